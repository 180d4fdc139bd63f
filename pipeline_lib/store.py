"""The store: the only reader and writer of intermediate datasets.

A dataset is a Zarr group in a folder named by its kind and by the digest of everything it was made from. It is
written beside its place and renamed, so that a folder that exists is complete, and a killed step can run again.
"""

import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

import rioxarray  # noqa: F401 - registers the .rio accessor
import xarray as xr

from pipeline_lib.errors import StoreError
from pipeline_lib.model.product import Stored

CHUNK = 2048
"""Pixels along each side of a stored chunk: 16 MiB of float32."""


@dataclass(frozen=True)
class Store:
    """A folder of datasets."""

    root: Path

    def place(self, kind: str, key: str) -> Stored:
        """Where a dataset of this kind and key lives, whether or not it exists."""
        return Stored(href=str(self.root / kind / f"{key}.zarr"), kind=kind, key=key)

    def has(self, stored: Stored) -> bool:
        """Whether the dataset is there, which means: there and complete."""
        return Path(stored.href).is_dir()

    def save(self, kind: str, key: str, dataset: xr.Dataset) -> Stored:
        """Compute and write a dataset chunk by chunk; return at once where it is already there.

        Raises:
            StoreError: the folder cannot be written (permissions, disk full).
        """
        stored = self.place(kind, key)
        if self.has(stored):
            return stored
        final = Path(stored.href)
        partial = final.with_name(f".{final.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}")
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            plain = _plain_encoding(dataset)
            encoding = {name: {"_FillValue": None} for name in plain.variables if plain[name].dtype.kind in "fiu"}
            plain.to_zarr(partial, mode="w", consolidated=True, zarr_format=2, encoding=encoding)
            _publish_folder(partial, final)
        except OSError as error:
            raise StoreError(f"Cannot write {final}: {error}. Free space or choose another folder.") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return stored

    def open(self, stored: Stored) -> xr.Dataset:
        """Open a dataset lazily, chunked as stored.

        Raises:
            StoreError: it is not there or is damaged.
        """
        try:
            dataset: xr.Dataset = xr.open_zarr(
                stored.href, consolidated=True, mask_and_scale=False, decode_coords="all"
            )
        except (OSError, ValueError, KeyError) as error:
            raise StoreError(
                f"The stored {stored.kind} {stored.href} cannot be read ({error}); delete it and run again."
            ) from error
        return dataset

    def sweep(self) -> int:
        """Remove what killed writers left behind; return how many folders that were."""
        leftovers = list(self.root.glob("*/.*.zarr.*"))
        for leftover in leftovers:
            shutil.rmtree(leftover, ignore_errors=True)
        return len(leftovers)


def _publish_folder(partial: Path, final: Path) -> None:
    """Rename into place; losing the race to another writer of the same key is as good as winning it."""
    try:
        partial.rename(final)
    except OSError:
        if not final.is_dir():
            raise


def _plain_encoding(dataset: xr.Dataset) -> xr.Dataset:
    """Drop inherited encodings and rechunk to the store's chunks, so that what is read is what was given."""
    plain = dataset.drop_encoding()
    return plain.chunk({dim: CHUNK for dim in ("y", "x") if dim in plain.dims}) if plain.dims else plain
