"""Are two folders of published events the same, byte for byte except timestamps?

What is compared: every file, folder and symbolic link under the folder of events, hidden leftovers of killed writers
included, so that what a kill leaves behind shows as a difference. What is left out or made neutral, and nothing else:

- ``.overbank`` (intermediates, compared by `store_contents`) and the lock files, which hold a pid and a time;
- the moment of publication of each version, as its ``record.json`` gives it, in the four forms in which it is written;
- ``gpkg_contents.last_change`` of GeoPackages, which GDAL sets to the present;
- ``file:checksum`` of a file that holds one of these: it is replaced by the checksum of the neutral content. A checksum
  that does not belong to a file of the same folder stays, and so shows.
"""

import hashlib
import json
import sqlite3
from datetime import datetime, timezone
from pathlib import Path

LOCKS = (".lock", ".catalog.lock")
TEXTS = {".json", ".html", ".geojson"}
NEUTRAL = "(time of publication)"


def contents(folder: Path) -> dict[str, str]:
    """Relative path to digest of the neutral content, or to the target of a link."""
    paths = sorted(path for path in folder.rglob("*") if _compared(path.relative_to(folder)))
    links = {str(path.relative_to(folder)): f"-> {path.readlink()}" for path in paths if path.is_symlink()}
    files = [path for path in paths if path.is_file() and str(path.relative_to(folder)) not in links]
    moments = _moments(folder)
    neutral = {path: _neutral(path, moments) for path in files}
    checksums = {
        _sha256(path.read_bytes()): _sha256(content)
        for path, content in neutral.items()
        if content != path.read_bytes()
    }
    digests = {str(path.relative_to(folder)): _sha256(_with(neutral[path], path, checksums)) for path in files}
    return digests | links


def differences(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """What is only in one, only in the other, or different; empty where both are the same."""
    return (
        [f"only in the first: {name}" for name in sorted(set(one) - set(other))]
        + [f"only in the second: {name}" for name in sorted(set(other) - set(one))]
        + [f"different: {name}" for name in sorted(set(one) & set(other)) if one[name] != other[name]]
    )


def store_contents(out: Path) -> dict[str, str]:
    """Digest of every file of every complete intermediate dataset, under the dataset's kind and key."""
    return {
        f"{name.parent.name}/{name.stem}/{path.relative_to(group)}": _sha256(path.read_bytes())
        for name in sorted((out / ".overbank" / "store").glob("*/*.json"))
        for group in [name.with_name(json.loads(name.read_text(encoding="utf-8"))["zarr"])]
        for path in sorted(group.rglob("*"))
        if path.is_file()
    }


def _compared(relative: Path) -> bool:
    return relative.parts[0] != ".overbank" and relative.name not in LOCKS


def _moments(folder: Path) -> list[bytes]:
    """Every form in which the moments of publication are written, the longest first."""
    forms: set[str] = set()
    for record in folder.glob("*/versions/*/record.json"):
        published = json.loads(record.read_text(encoding="utf-8"))["published"]
        moment = datetime.fromisoformat(published).astimezone(timezone.utc)
        forms |= {published, f"{moment:%Y-%m-%dT%H:%M:%SZ}", f"{moment:%Y-%m-%d %H:%M}"}
        forms.add(f"{moment.day} {moment:%b %Y, %H:%M}")
    return [form.encode() for form in sorted(forms, key=len, reverse=True)]


def _neutral(path: Path, moments: list[bytes]) -> bytes:
    content = path.read_bytes()
    if path.suffix == ".gpkg":
        moments = _last_changes(path)
    elif path.suffix not in TEXTS:
        return content
    for moment in moments:
        content = content.replace(moment, NEUTRAL.encode())
    return content


def _last_changes(path: Path) -> list[bytes]:
    with sqlite3.connect(f"file:{path}?immutable=1", uri=True) as connection:
        return [row[0].encode() for row in connection.execute("SELECT DISTINCT last_change FROM gpkg_contents")]


def _with(content: bytes, path: Path, checksums: dict[str, str]) -> bytes:
    if path.suffix in TEXTS:
        for before, after in checksums.items():
            content = content.replace(before.encode(), after.encode())
    return content


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
