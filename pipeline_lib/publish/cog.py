"""Cloud-optimised GeoTIFFs, written band of rows by band of rows.

References:
    Cloud Optimized GeoTIFF 1.0: tiles, overviews and a header that says where they are, before any pixel.
"""

import math
from pathlib import Path
from typing import Any

import dask
import rasterio
import rioxarray
import xarray as xr
from rasterio.enums import Resampling
from rasterio.shutil import copy as raster_copy
from rasterio.windows import Window

from pipeline_lib.content import digest_of_file
from pipeline_lib.full_disk import unwritable
from pipeline_lib.model import Grid
from pipeline_lib.publish.layers import Layer
from pipeline_lib.whole_raster import WRITE_ERRORS, need_blocks

BLOCK_PX = 512
BAND_PX = 2048
"""Rows held at a time: the store's chunk."""
CACHE_MIB = 128
"""GDAL's block cache; its default is a share of the machine's memory."""


def write_cog(path: Path, layer: Layer, pixels: xr.DataArray, grid: Grid, *, compression: str = "deflate") -> str:
    """Write one layer as a COG with overviews (nearest), no-data, colour table, units and class names.

    Args:
        path: where; its folder exists. Never a file that readers know: the caller renames its folder.
        layer: what the values mean.
        pixels: (y, x) of the layer's dtype, NumPy or Dask; (band, y, x) where the layer has bands.
        grid: where the pixels lie.
        compression: ``deflate`` or ``zstd``.

    Returns:
        SHA-256 of the file, hexadecimal.

    Raises:
        StoreError: the folder is not writable or full.
    """
    flat = path.with_suffix(".flat.tif")
    profile = {
        "driver": "GTiff",
        "width": grid.shape[1],
        "height": grid.shape[0],
        "count": max(len(layer.bands), 1),
        "dtype": layer.dtype,
        "crs": grid.crs,
        "transform": grid.geobox.affine,
        "nodata": layer.nodata,
        "tiled": True,
        "blockxsize": BLOCK_PX,
        "blockysize": BLOCK_PX,
        "bigtiff": "IF_SAFER",
    } | ({"photometric": "RGB"} if layer.bands else {})
    try:
        with rasterio.Env(GDAL_CACHEMAX=CACHE_MIB, GDAL_TIFF_OVR_BLOCKSIZE=BLOCK_PX):
            with rasterio.open(flat, "w", **profile) as target:
                _fill(target, layer, pixels)
            with rasterio.open(flat, "r+") as target:
                # Built uncompressed, here: left to the COG driver they cost three times the whole rest of the file.
                target.build_overviews(_levels(grid.shape), Resampling.nearest)
            need_blocks(flat)
            raster_copy(
                flat,
                path,
                driver="COG",
                compress=compression,
                level=1 if compression == "zstd" else 6,
                blocksize=BLOCK_PX,
                num_threads=2,
                bigtiff="IF_SAFER",
            )
            need_blocks(path)
    except (OSError, *WRITE_ERRORS) as error:
        raise unwritable(f"Cannot write {path}", path, error) from error
    finally:
        flat.unlink(missing_ok=True)
        flat.with_suffix(".tif.aux.xml").unlink(missing_ok=True)
    return digest_of_file(path)


def read_cog(path: Path, pixels: xr.DataArray) -> xr.DataArray:
    """Read back lazily the single-band layer that `write_cog` wrote of ``pixels``, which may be dear to compute.

    Dims (y, x), coordinates and attributes of ``pixels``; values as stored.
    """
    stored: Any = rioxarray.open_rasterio(path, chunks={"y": BAND_PX, "x": BAND_PX}, cache=False)
    return pixels.copy(data=stored.data[0])


def _levels(shape: tuple[int, int]) -> list[int]:
    """Factors of the overviews: halved until the last fits into one block."""
    halvings = max(math.ceil(math.log2(max(shape) / BLOCK_PX)), 0)
    return [2**power for power in range(1, halvings + 1)]


def _fill(target: rasterio.io.DatasetWriter, layer: Layer, pixels: xr.DataArray) -> None:
    """Pixels, colours and descriptions into an open dataset."""
    rows, columns = target.height, target.width
    for top in range(0, rows, BAND_PX):
        height = min(BAND_PX, rows - top)
        part = pixels.data[..., top : top + height, :]
        (values,) = dask.compute(part)
        stack = values.astype(layer.dtype, copy=False).reshape(target.count, height, columns)
        target.write(stack, window=Window(0, top, columns, height))
    if layer.codes and layer.dtype == "uint8":
        target.write_colormap(1, {code.value: code.colour for code in layer.codes})
        target.update_tags(1, classes="; ".join(f"{code.value}={code.name}" for code in layer.codes))
    if layer.flags is not None:
        target.update_tags(1, bits="; ".join(f"{flag.value}={str(flag.name).lower()}" for flag in layer.flags))
    for number, name in enumerate(layer.bands or (layer.title,), start=1):
        target.set_band_description(number, name)
    if layer.unit:
        target.set_band_unit(1, layer.unit)
    target.update_tags(TIFFTAG_IMAGEDESCRIPTION=layer.description)
