"""Records of published versions: what ``overbank events`` and the next version read.

A record that an earlier release wrote is brought to the present schema step by step when it is read (`MIGRATIONS`); the
file stays as it is.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline_lib.errors import StoreError, UnknownNameError
from pipeline_lib.publish import versions
from pipeline_lib.publish.version_record import VersionRecord

RECORD = "record.json"
SCHEMA: int = VersionRecord.model_fields["schema_version"].default


def read_record(folder: Path, number: int | None = None) -> VersionRecord | None:
    """Record of a version of an event (the current one where None); None where nothing is published.

    Args:
        folder: of the event.
        number: of the version.

    Raises:
        StoreError: it cannot be read, or is of a newer overbank.
    """
    number = number or versions.current_version(folder)
    path = versions.version_folder(folder, number) / RECORD
    return _read(path) if number and path.is_file() else None


def write_record(place: Path, record: VersionRecord) -> None:
    """Write the record of a version into the folder in which the version is built."""
    (place / RECORD).write_text(json.dumps(record.model_dump(mode="json"), indent=1), encoding="utf-8")


def _read(path: Path) -> VersionRecord:
    """A record of this schema or an earlier one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        schema = content.get("schema_version", 1)
        if schema not in (*MIGRATIONS, SCHEMA):
            raise StoreError(
                f"{path} has schema {schema!r}, and this overbank reads 1 to {SCHEMA}: a newer one wrote it. Update "
                "overbank, or publish to another folder."
            )
        for number in range(schema, SCHEMA):
            content = MIGRATIONS[number](content)
        return VersionRecord.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise StoreError(
            f"{path} is not a record of a version: {first['msg']} at {where}. Restore the file from a copy, or move "
            "the event's folder away and map it again."
        ) from error
    except (OSError, ValueError, AttributeError) as error:
        raise StoreError(
            f"The record {path} cannot be read ({error}). Restore the file from a copy, or move the event's folder "
            "away and map it again."
        ) from error


def _from_1(content: dict[str, Any]) -> dict[str, Any]:
    """Schema 1 had no number, and an empty mapping where no detector or decision was recorded."""
    known = content["provenance"]
    made = known | {name: known.get(name) or None for name in ("detector", "decision")}
    return content | {"schema_version": 2, "provenance": made}


MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_1}
"""What brings a record of a schema to the next one."""


def need_record(out: Path, event_id: str, number: int | None = None) -> VersionRecord:
    """The same, where it must be there.

    Raises:
        UnknownNameError: no such event, or no such version of it.
        StoreError: it cannot be read, or is of a newer overbank.
    """
    record = read_record(out / event_id, number)
    if record is not None:
        return record
    if versions.current_version(out / event_id):
        known = tuple(str(one) for one in versions.version_numbers(out / event_id))
        raise UnknownNameError(f"version of {event_id}", str(number), known)
    folders = sorted(out.iterdir()) if out.is_dir() else []
    raise UnknownNameError("event", event_id, tuple(path.name for path in folders if versions.current_version(path)))
