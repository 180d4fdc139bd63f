"""What ``overbank events`` does: list, show, compare, export and retract published events."""

import json
import posixpath
import shutil
import urllib.error
import urllib.request
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pipeline_lib.atomic import whole_file, whole_folder
from pipeline_lib.errors import CatalogError, InputError, StoreError, shown
from pipeline_lib.publish import versions
from pipeline_lib.publish.catalogue import events_of
from pipeline_lib.publish.changes import describe_changes
from pipeline_lib.publish.records import need_record
from pipeline_lib.publish.retraction import retract
from pipeline_lib.publish.upload import copy_version
from pipeline_lib.publish.version_record import VersionRecord


def list_events(out: Path) -> list[dict[str, Any]]:
    """One row an event, the newest pass first.

    Raises:
        InputError: there is no such folder.
    """
    if not out.is_dir():
        raise InputError(f"There is no folder {out}; give the one that `overbank map --out` wrote to.")
    return [
        {
            "event": record.event_id,
            "version": record.version,
            "state": "retracted" if record.retracted else str(record.figures.state),
            "flooded km2": f"{record.figures.flood_area_km2:,.2f}",
            "observed": f"{record.figures.observed_share:.0%}",
            "passes": record.figures.passes,
            "last pass": f"{record.figures.last_pass:%Y-%m-%d %H:%M}",
            "title": record.title,
        }
        for record in events_of(out)
    ]


class ShownVersion(VersionRecord):
    """A version, and which others of its event there are."""

    versions: tuple[int, ...]


def show_event(out: Path, event_id: str, version: int | None = None) -> ShownVersion:
    """Everything recorded of a version, and which versions there are.

    Raises:
        UnknownNameError: no such event or version.
    """
    record = need_record(out, event_id, version)
    return ShownVersion(**dict(record), versions=tuple(versions.version_numbers(out / event_id)))


def show_text(record: ShownVersion) -> str:
    """A record for a terminal."""
    figures = record.figures
    lines = [f"{record.title} ({record.event_id}), version {record.version} of {len(record.versions)}"]
    if record.retracted:
        lines.append(f"RETRACTED: {record.retracted_because}")
    low, high = figures.flood_area_low_km2, figures.flood_area_high_km2
    lines += [
        f"  flooded    {figures.flood_area_km2:,.2f} km2, likely {low:,.2f} to {high:,.2f}",
        f"  state      {figures.state}, observed {figures.observed_share:.0%}",
        f"  significant {'yes' if figures.significant else 'no'}: {'; '.join(record.significance.reasons)}",
        "  passes",
    ]
    lines += [
        f"    {entry.time:%Y-%m-%d %H:%M}  {entry.flood_km2:>10,.2f} km2  observed "
        f"{entry.observed_share:>4.0%}  {entry.acquisition_id}, mapped by {one.mapped_by}"
        for entry, one in zip(record.series, record.passes.values(), strict=True)
    ]
    return "\n".join([*lines, "  changes", *(f"    {sentence}" for sentence in record.changes)])


def diff_events(out: Path, event_id: str, before: int | None = None, after: int | None = None) -> list[str]:
    """What changed from one version to another; the newest and the one before it where not given.

    Raises:
        UnknownNameError: no such event or version.
        InputError: there is only one version.
    """
    later = need_record(out, event_id, after)
    number = before or later.version - 1
    if number < 1:
        raise InputError(f"{event_id} has one version only; there is nothing to compare it with.")
    return describe_changes(need_record(out, event_id, number), later)


def retract_event(out: Path, event_id: str, reason: str) -> int:
    """Publish a version that says the event was no flood; return its number."""
    return retract(out, event_id, reason, now=datetime.now(timezone.utc)).version


def export_event(out: Path, event_id: str, to: str, version: int | None = None) -> str:
    """Copy a version, whole and self-contained, to a folder, a ``.zip`` or any fsspec URL (``s3://bucket/path``).

    Returns:
        Where it is.

    Raises:
        UnknownNameError: no such event or version.
        StoreError: the destination cannot be written, or is there already.
    """
    record = need_record(out, event_id, version)
    source = versions.version_folder(out / event_id, record.version)
    try:
        if to.endswith(".zip"):
            return _zip(source, Path(to))
        if "://" in to:
            copy_version(source, to)
            return to.rstrip("/")
        return _copy(source, Path(to))
    except (OSError, InputError) as error:
        raise StoreError(f"Cannot export {event_id} to {to}: {shown(error)}.") from error


def _copy(source: Path, target: Path) -> str:
    """Beside its place, then renamed."""
    if target.exists():
        raise StoreError(f"{target} is there already; give a folder that is not.")
    with whole_folder(target) as partial:
        shutil.copytree(source, partial, dirs_exist_ok=True)
    return str(target)


def _zip(source: Path, target: Path) -> str:
    """One file, written beside its place, then renamed."""
    with whole_file(target) as partial:
        shutil.make_archive(str(partial.with_suffix("")), "zip", source)
    return str(target)


def push_event(out: Path, event_id: str, api: str, base_url: str, version: int | None = None) -> list[str]:
    """Put the collection and its items into a STAC API with the transaction extension; what is there is replaced.

    Args:
        out: folder of all events.
        event_id: which.
        api: root of the API.
        base_url: where the exported files can be fetched; hrefs are made absolute with it.
        version: which; the current one where None.

    Returns:
        What was created or replaced.

    Raises:
        CatalogError: the API refuses or cannot be reached.
        UnknownNameError: no such event or version.
    """
    record = need_record(out, event_id, version)
    source = versions.version_folder(out / event_id, record.version)
    root, base = api.rstrip("/"), base_url.rstrip("/")
    collection = json.loads((source / "collection.json").read_text(encoding="utf-8"))
    hrefs = [link["href"].removeprefix("./") for link in collection["links"] if link["rel"] == "item"]
    done = [_put(f"{root}/collections", event_id, _absolute(collection, base, "") | {"links": []})]
    for href in hrefs:
        item = json.loads((source / href).read_text(encoding="utf-8"))
        folder = href.rsplit("/", 1)[0]
        done.append(
            _put(f"{root}/collections/{event_id}/items", item["id"], _absolute(item, base, folder) | {"links": []})
        )
    return done


def _absolute(thing: dict[str, Any], base: str, folder: str) -> dict[str, Any]:
    """A copy with absolute asset hrefs."""
    assets = {
        name: asset | {"href": f"{base}/{posixpath.normpath(posixpath.join(folder, asset['href']))}"}
        for name, asset in thing["assets"].items()
    }
    return thing | {"assets": assets}


def _put(url: str, identity: str, body: dict[str, Any]) -> str:
    """Create; replace where it is there already (409)."""
    try:
        _send("POST", url, body)
    except urllib.error.HTTPError as error:
        if error.code != 409:
            raise CatalogError(f"{url} refused {identity}: {error.code} {shown(error.reason)}.") from error
        try:
            _send("PUT", f"{url}/{identity}", body)
        except (urllib.error.URLError, OSError) as again:
            raise CatalogError(f"{url} refused to replace {identity}: {shown(again)}.") from again
        return f"replaced {identity}"
    except (urllib.error.URLError, OSError) as error:
        raise CatalogError(f"{url} cannot be reached: {shown(error)}. Is the address right?") from error
    return f"created {identity}"


def _send(method: str, url: str, body: dict[str, Any]) -> None:
    """One request."""
    if not url.startswith(("http://", "https://")):
        raise InputError(f"{url} is no address of a STAC API; it begins with http:// or https://.")
    request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        answer.read()
