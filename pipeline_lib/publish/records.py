"""Records of published versions: what ``overbank events`` and the next version read."""

import json
from pathlib import Path
from typing import Any

from pipeline_lib.errors import UnknownNameError
from pipeline_lib.publish import versions

RECORD = "record.json"


def read_record(folder: Path, number: int | None = None) -> dict[str, Any] | None:
    """Record of a version of an event (the current one where None); None where nothing is published.

    Args:
        folder: of the event.
        number: of the version.
    """
    number = number or versions.current_version(folder)
    path = versions.version_folder(folder, number) / RECORD
    record: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8")) if number and path.is_file() else None
    return record


def need_record(out: Path, event_id: str, number: int | None = None) -> dict[str, Any]:
    """The same, where it must be there.

    Raises:
        UnknownNameError: no such event, or no such version of it.
    """
    record = read_record(out / event_id, number)
    if record is not None:
        return record
    if versions.current_version(out / event_id):
        known = tuple(str(one) for one in versions.version_numbers(out / event_id))
        raise UnknownNameError(f"version of {event_id}", str(number), known)
    folders = sorted(out.iterdir()) if out.is_dir() else []
    raise UnknownNameError("event", event_id, tuple(path.name for path in folders if versions.current_version(path)))
