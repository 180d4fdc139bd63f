"""Copies of versions outside the folder of events: file by file, what leads a reader to them last.

A version's files never change, and each is put in place whole. So a copy that was interrupted goes on by size: what is
there with the right size is there. Files that the version before has too are copied inside the bucket.
"""

import filecmp
import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from fsspec.implementations.local import LocalFileSystem

from pipeline_lib.content import digest_of_file
from pipeline_lib.errors import StoreError
from pipeline_lib.publish.records import RECORD
from pipeline_lib.remote import located, put_file, said

AT_ONCE = 4
"""Files on their way at the same time."""
LAST = "collection.json"
SWITCHED = {"quicklook.png": "quicklook.png", "index.html": "index.html", "top/collection.json": "collection.json"}
"""Files of a version that stand for the event, and their names beside ``versions/``, in the order of the switch: each
names files of its version alone, by the version's own folder."""
BLOCK = 2**20


class Copied(NamedTuple):
    """What was put in place; files that were there already do not count."""

    files: int
    bytes: int


def copy_version(source: Path, href: str, earlier: Path | None = None, *, read_back: bool = False) -> Copied:
    """Copy a version's files, its record first and its collection last, and check that all of them are there.

    Args:
        source: folder of the version.
        href: folder or URL that becomes its copy.
        earlier: folder of the version before, whose copy lies beside ``href`` under its own name.
        read_back: compare content instead of sizes with what is there; what differs is put in place anew.

    Raises:
        StoreError: another version lies there, something did not arrive whole, or it cannot be written.
        InputError: ``href`` is of a kind that no installed package opens, or holds credentials.
    """
    filesystem, root = located(href.rstrip("/"))
    paths = (path for path in sorted(source.rglob("*")) if path.is_file() and path.parent.name != "top")
    files = {path.relative_to(source).as_posix(): path for path in paths}
    with said(f"Cannot copy version {source.name} to {href}", near=href):
        sizes = _sizes(filesystem, root)
        _refuse_another(filesystem, root, source, href, sizes)
        missing = [name for name, path in files.items() if sizes.get(name) != path.stat().st_size]
        if read_back:
            there = [name for name in files if name not in missing]
            missing += [name for name in there if _digest(filesystem, f"{root}/{name}") != digest_of_file(files[name])]
        shared = _shared(filesystem, root, missing, files, earlier)
        for names in _in_order(missing):
            with ThreadPoolExecutor(AT_ONCE) as threads:
                list(threads.map(lambda name: _put(filesystem, files[name], f"{root}/{name}", shared.get(name)), names))
        _check(files, _sizes(filesystem, root) if missing else sizes, href)
    return Copied(len(missing), sum(files[name].stat().st_size for name in missing))


def switch(source: Path, href: str) -> None:
    """Lead readers of an event's copy to a version whose copy is complete.

    Args:
        source: folder of the version.
        href: folder or URL of the event.

    Raises:
        StoreError: it cannot be written.
    """
    filesystem, root = located(href.rstrip("/"))
    with said(f"Cannot make version {source.name} current in {href}", near=href):
        for name, target in SWITCHED.items():
            put_file(filesystem, source / name, f"{root}/{target}")


def _in_order(names: list[str]) -> list[list[str]]:
    """The record by itself, then everything else, then the collection by itself."""
    rest = [name for name in names if name not in {RECORD, LAST}]
    return [group for group in ([n for n in names if n == RECORD], rest, [n for n in names if n == LAST]) if group]


def _refuse_another(filesystem: Any, root: str, source: Path, href: str, sizes: dict[str, int]) -> None:
    """Versions never change: where another one lies, readers hold on to it."""
    if sizes and (RECORD not in sizes or filesystem.cat_file(f"{root}/{RECORD}") != (source / RECORD).read_bytes()):
        raise StoreError(f"{href} holds something else than this version; choose another place, or empty it.")


def _shared(
    filesystem: Any, root: str, missing: list[str], files: dict[str, Path], earlier: Path | None
) -> dict[str, str]:
    """Files that the copy of the version before has as well, by name: where they lie."""
    if earlier is None or not missing or isinstance(filesystem, LocalFileSystem):
        return {}
    place = f"{root.rpartition('/')[0]}/{earlier.name}"
    sizes = _sizes(filesystem, place)
    return {
        name: f"{place}/{name}"
        for name in missing
        if sizes.get(name) == files[name].stat().st_size
        and (earlier / name).is_file()
        and filecmp.cmp(earlier / name, files[name], shallow=False)
    }


def _put(filesystem: Any, path: Path, target: str, origin: str | None) -> None:
    """Copy within the bucket what lies there already; send what is new."""
    if origin is None:
        put_file(filesystem, path, target)
    else:
        filesystem.cp_file(origin, target)


def _sizes(filesystem: Any, root: str) -> dict[str, int]:
    """Every file below ``root``, by its path there; one listing."""
    try:
        found = filesystem.find(root, detail=True)
    except FileNotFoundError:
        return {}
    sizes = {name.partition(f"{root}/")[2]: int(entry["size"]) for name, entry in found.items()}
    return {name: size for name, size in sizes.items() if not name.rpartition("/")[2].startswith(".")}


def _check(files: dict[str, Path], sizes: dict[str, int], href: str) -> None:
    """Every file is there, whole."""
    for name, path in files.items():
        if sizes.get(name) != path.stat().st_size:
            raise StoreError(
                f"{name} has {sizes.get(name, 'no')} bytes in {href}, expected {path.stat().st_size}. Copy it again."
            )


def _digest(filesystem: Any, path: str) -> str:
    """SHA-256 of a file there, read in pieces."""
    digest = hashlib.sha256()
    with filesystem.open(path, "rb", block_size=8 * BLOCK) as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
