"""Taking an event back: a new version that says so, on every item and over the page. Nothing is deleted."""

import json
from datetime import datetime
from pathlib import Path

from pipeline_lib.errors import InputError
from pipeline_lib.publish import versions
from pipeline_lib.publish.catalogue import update_catalogue
from pipeline_lib.publish.collection import write_collections
from pipeline_lib.publish.item import moment
from pipeline_lib.publish.page_file import banner
from pipeline_lib.publish.rasters import share_file
from pipeline_lib.publish.records import RECORD, need_record, write_record
from pipeline_lib.publish.version_record import VersionRecord

WRITTEN_ANEW = {RECORD, "index.html", "collection.json"}
WAIT_S = 60.0
"""How long another writer of the event is waited for."""


def retract(out: Path, event_id: str, reason: str, *, now: datetime) -> VersionRecord:
    """Publish a version of an event that is marked as retracted; return its record.

    Raises:
        InputError: no reason is given, or the event is retracted already.
        UnknownNameError: no such event.
        StoreError: another writer is alive, or the folder is not writable.
    """
    if not reason.strip():
        raise InputError("A retraction needs a reason: people acted on this map.")
    folder = out / event_id
    need_record(out, event_id)
    with versions.writing(folder, WAIT_S):
        before = need_record(out, event_id)
        if before.retracted:
            raise InputError(f"{event_id} is retracted already, since version {before.version}.")
        number = before.version + 1
        old = versions.version_folder(folder, before.version)
        record = before.model_copy(
            update={
                "version": number,
                "key": f"retracted-{number}",
                "status": "retracted",
                "retracted_because": reason,
                "published": now,
                "changes": (f"Retracted: {reason}",),
            }
        )
        with versions.workplace(folder, number) as place:
            _build(old, place, record, now)
            versions.switch(folder, place, number)
    update_catalogue(out)
    return record


def _build(old: Path, place: Path, record: VersionRecord, now: datetime) -> None:
    """The version that says so."""
    _copy(old, place, record.version, now)
    page = (old / "index.html").read_text(encoding="utf-8")
    (place / "index.html").write_text(page.replace("<!-- notices -->", banner(record), 1), encoding="utf-8")
    write_collections(place, record, record.license)
    write_record(place, record)


def _copy(old: Path, place: Path, number: int, now: datetime) -> None:
    """Share every file of the version before; items are written anew as deprecated."""
    for path in sorted(old.rglob("*")):
        name = path.relative_to(old)
        if path.is_dir() or name.parts[0] == "top" or str(name) in WRITTEN_ANEW:
            continue
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".json" and name.parts[0] in {"event", "passes"}:
            item = json.loads(path.read_text(encoding="utf-8"))
            item["properties"] |= {"deprecated": True, "version": str(number), "updated": moment(now)}
            (place / name).write_text(json.dumps(item, indent=1), encoding="utf-8")
        else:
            share_file(path, place / name)
