"""The rasters and polygons of one item: written, or taken over from the version before where nothing changed."""

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import geopandas
import xarray as xr

from pipeline_lib.content import digest_of_file
from pipeline_lib.model import Grid
from pipeline_lib.options.publish import PublishOptions
from pipeline_lib.publish.cog import write_cog
from pipeline_lib.publish.heap import give_back_memory
from pipeline_lib.publish.item import file_facts, raster_asset
from pipeline_lib.publish.layers import Layer
from pipeline_lib.publish.vectors import MEDIA_TYPES, TITLES, write_polygons

WRITERS = 2
"""Files made at the same time; each layer holds one band of rows."""


def write_files(
    folder: Path,
    dataset: xr.Dataset,
    layers: tuple[Layer, ...],
    grid: Grid,
    options: PublishOptions,
    make_polygons: Callable[[], geopandas.GeoDataFrame],
) -> tuple[dict[str, Any], geopandas.GeoDataFrame]:
    """Write each layer that the dataset holds as a COG and, at the same time, its polygons.

    Args:
        folder: of the item.
        dataset: a FloodMap or an event.
        layers: that are published; those that the dataset does not hold are left out.
        grid: of the dataset.
        options: formats and compression.
        make_polygons: makes the polygons to write.

    Returns:
        STAC assets of all files by key, and the polygons.
    """
    present = [layer for layer in layers if layer.name in dataset]

    def write(layer: Layer) -> dict[str, Any]:
        """One file and its asset."""
        path = folder / f"{layer.name}.tif"
        digest = write_cog(path, layer, dataset[layer.name], grid, compression=options.compression)
        return raster_asset(layer, file_facts(path, digest), grid)

    def trace() -> tuple[geopandas.GeoDataFrame, dict[str, Any]]:
        """Polygons and their assets."""
        polygons = make_polygons()
        give_back_memory()
        return polygons, write_vectors(folder, polygons, options)

    with ThreadPoolExecutor(WRITERS) as pool:
        traced = pool.submit(trace)  # first, because it takes longest
        assets = dict(zip((layer.name for layer in present), pool.map(write, present), strict=True))
        polygons, vectors = traced.result()
    give_back_memory()
    return assets | vectors, polygons


def write_vectors(folder: Path, polygons: geopandas.GeoDataFrame, options: PublishOptions) -> dict[str, Any]:
    """Write the polygons in each format wanted; return their STAC assets."""
    written = write_polygons(polygons, folder, options.vectors)
    return {
        f"polygons_{name}": {
            "href": f"./{path.name}",
            "type": MEDIA_TYPES[name],
            "title": TITLES[name],
            "roles": ["data"],
            **file_facts(path, digest_of_file(path)),
        }
        for name, path in written.items()
    }


def take_over(before: Path, folder: Path, assets: dict[str, Any]) -> bool:
    """Link the files of unchanged assets from the version before; False where one is missing or has another size.

    A hard link costs no space and no time. Published files are never written again, so sharing them is safe.
    """
    names = [asset["href"].removeprefix("./") for asset in assets.values()]
    sizes = [asset["file:size"] for asset in assets.values()]
    if any(
        not (before / name).is_file() or (before / name).stat().st_size != size
        for name, size in zip(names, sizes, strict=True)
    ):
        return False
    for name in names:
        share_file(before / name, folder / name)
    return True


def share_file(path: Path, target: Path) -> None:
    """Link a file to another name; copy it where the file system cannot link."""
    try:
        os.link(path, target)
    except OSError:
        shutil.copy2(path, target)
