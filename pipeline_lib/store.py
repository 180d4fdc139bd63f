"""The store: the only reader and writer of intermediate datasets, in a folder or in a bucket.

::

    KIND/KEY.<random>.zarr/   a Zarr group, named by its kind and the digest of everything it was made from
    KIND/KEY.json             names the group; written last, at once, and only where it is not there yet

A dataset is visible when its ``KEY.json`` is, so what is visible is complete, and of two writers of one key the first
wins (where a place knows no such condition the last: both wrote the same content). What the other wrote, and what a
killed writer leaves, is a group that nothing names: it is swept. See docs/adr/0011.
"""

import json
import re
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

import rioxarray  # noqa: F401 - registers the .rio accessor
import xarray as xr

from pipeline_lib.deferred_metadata import DeferredMetadata
from pipeline_lib.model.product import Stored
from pipeline_lib.remote import located, modified, put_new, said, touch

CHUNK = 2048
"""Pixels along each side of a stored chunk: 16 MiB of float32."""
GRACE = timedelta(days=1)
"""Groups that nothing names are removed when nothing was written into them for so long: a living writer writes more
often, and nobody goes on reading for so long what was forgotten."""
USE = timedelta(hours=12)
"""A dataset's moment of last use is as exact as this: it costs a request to write down."""
DAMAGED = "Delete it and run again."
_GROUP = re.compile(r"[^/]+\.[0-9a-f]{12}\.zarr")
_FORGOTTEN = ".forgotten"
"""Put into a group when its name is taken away: the grace begins then."""


class Swept(NamedTuple):
    """What was removed."""

    groups: int
    bytes: int


@dataclass(frozen=True)
class Store:
    """A folder or a bucket of datasets.

    Raises:
        InputError: ``root`` is the URL of something that no installed package can open, or holds credentials.
    """

    root: str | Path
    """A folder, or an fsspec URL (``s3://bucket/prefix``); credentials come from the environment."""

    def __post_init__(self) -> None:
        """Refuse what could never work before anything is computed; a ``file://`` URL is its folder."""
        object.__setattr__(self, "root", str(self.root).removeprefix("file://").rstrip("/"))
        located(str(self.root))

    def place(self, kind: str, key: str) -> Stored:
        """Where a dataset of this kind and key lives, whether or not it exists."""
        return Stored(href=f"{self.root}/{kind}/{key}.json", kind=kind, key=key)

    def ready(self) -> None:
        """Find out before anything is computed whether datasets can be written.

        Raises:
            StoreError: they cannot (permissions, no such bucket, no credentials, disk full).
        """
        filesystem, root = located(str(self.root))
        probe = f"{root}/.probe-{uuid.uuid4().hex}"
        with said(f"Cannot write into {self.root}", near=str(self.root)):
            filesystem.pipe_file(probe, b"")
            filesystem.rm_file(probe)

    def has(self, stored: Stored) -> bool:
        """Whether the dataset is there, which means: there and complete. One request; it counts as a use.

        Raises:
            StoreError: the store cannot be asked.
        """
        filesystem, name = located(stored.href)
        with said(f"Cannot look for {stored.href}"):
            try:
                if datetime.now(timezone.utc) - filesystem.modified(name) > USE:
                    touch(filesystem, name)
            except (FileNotFoundError, NotADirectoryError):
                return False
        return True

    def save(self, kind: str, key: str, dataset: xr.Dataset) -> Stored:
        """Compute and write a dataset chunk by chunk; return at once where it is already there.

        Any variables and dims: Dask arrays are computed chunk by chunk, in their chunks.

        Raises:
            StoreError: the store cannot be written (permissions, disk full).
        """
        stored = self.place(kind, key)
        if self.has(stored):
            return stored
        filesystem, name = located(stored.href)
        group, won = f"{key}.{uuid.uuid4().hex[:12]}.zarr", False
        place = _beside(name, group)
        try:
            with said(f"Cannot write {stored.href}", near=str(self.root)):
                fresh = DeferredMetadata(_beside(stored.href, group))
                plain = _plain_encoding(dataset)
                encoding = {name: {"_FillValue": None} for name in plain.variables if plain[name].dtype.kind in "fiu"}
                plain.to_zarr(fresh, mode="w-", consolidated=True, zarr_format=2, encoding=encoding)
                filesystem.pipe({f"{place}/{part}": content for part, content in fresh.metadata().items()})
                won = put_new(filesystem, name, json.dumps({"zarr": group}).encode(), aside=f"{place}/.name")
        finally:
            if not won:
                # What cannot be removed now is swept later, and the error that matters is the one above.
                with suppress(Exception):
                    filesystem.rm(place, recursive=True)
        return stored

    def open(self, stored: Stored) -> xr.Dataset:
        """Open a dataset lazily, chunked as stored.

        Raises:
            StoreError: it is not there or is damaged.
        """
        filesystem, name = located(stored.href)
        with said(f"Cannot read the stored {stored.kind} {stored.href}", DAMAGED, ValueError, KeyError):
            group = _beside(stored.href, _named(filesystem.cat_file(name)))
            dataset: xr.Dataset = xr.open_zarr(
                group, consolidated=True, zarr_format=2, mask_and_scale=False, decode_coords="all"
            )
        return dataset

    def forget(self, unused_since: datetime) -> int:
        """Take the names of datasets away that nobody used since then; `sweep` removes their groups after the grace.

        Returns:
            How many datasets that were.

        Raises:
            StoreError: the store cannot be listed or written.
        """
        count = 0
        filesystem, root = located(str(self.root))
        with said(f"Cannot forget old datasets of {self.root}", near=str(self.root)):
            for entry in _entries(filesystem, root):
                name = entry["name"]
                if name.endswith(".json") and modified(filesystem, entry) < unused_since:
                    with suppress(ValueError, FileNotFoundError):  # one that names nothing is taken away as well
                        filesystem.pipe_file(_beside(name, f"{_named(filesystem.cat_file(name))}/{_FORGOTTEN}"), b"")
                    with suppress(FileNotFoundError):  # another retention was faster
                        filesystem.rm_file(name)
                    count += 1
        return count

    def sweep(self, untouched_since: datetime) -> Swept:
        """Remove the groups that nothing names: what killed writers left behind, and what was forgotten.

        Args:
            untouched_since: a group with anything newer stays: its writer may live, or a reader (`GRACE`).

        Raises:
            StoreError: the store cannot be listed or written.
        """
        groups, size = 0, 0
        filesystem, root = located(str(self.root))
        with said(f"Cannot sweep {self.root}"):
            entries = [entry["name"].rstrip("/") for entry in _entries(filesystem, root)]
            names = [name for name in entries if name.endswith(".json")]
            contents = filesystem.cat(names, on_error="omit") if names else {}
            kept = {_beside(name, str(_group_of(content))) for name, content in contents.items()}
            for group in entries:
                if group.endswith(".zarr") and group not in kept:
                    parts = list(filesystem.find(group, detail=True).values())
                    if all(modified(filesystem, part) <= untouched_since for part in parts):
                        filesystem.rm(group, recursive=True)
                        groups, size = groups + 1, size + sum(part["size"] for part in parts)
        return Swept(groups, size)


def holding(stored: Stored) -> Store:
    """The store that a dataset is in."""
    return Store(stored.href.rsplit("/", 2)[0])


def _beside(name: str, other: str) -> str:
    """The path or URL of ``other`` in the same folder as ``name``."""
    return f"{name.rpartition('/')[0]}/{other}"


def _named(content: bytes) -> str:
    """The group that a name names.

    Raises:
        ValueError: it names none.
    """
    group = _group_of(content)
    if group is None:
        raise ValueError("it names no group")
    return group


def _group_of(content: bytes) -> str | None:
    """The same; None where it names none."""
    try:
        group = json.loads(content)["zarr"]
    except (ValueError, KeyError, TypeError):
        return None
    return group if isinstance(group, str) and _GROUP.fullmatch(group) else None


def _entries(filesystem: Any, root: str) -> Iterator[dict[str, Any]]:
    """Names and groups of every kind, as the file system lists them."""
    with suppress(FileNotFoundError):  # nothing was ever written, or the last of a kind has just been removed
        for kind in filesystem.ls(root, detail=True):
            if kind["type"] == "directory":
                yield from filesystem.ls(kind["name"], detail=True)


def _plain_encoding(dataset: xr.Dataset) -> xr.Dataset:
    """Drop inherited encodings and rechunk to the store's chunks, so that what is read is what was given."""
    plain = dataset.drop_encoding()
    return plain.chunk({dim: CHUNK for dim in ("y", "x") if dim in plain.dims}) if plain.dims else plain
