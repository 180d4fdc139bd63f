"""Rasters that appear whole or not at all: GDAL may close a file of which a full disk took a part, and say nothing."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from pipeline_lib.atomic import whole_file

WRITE_ERRORS = (RasterioError, CPLE_BaseError)
"""Of GDAL while it writes, beside ``OSError``: what closing a file meets comes as GDAL's own error, which Rasterio does
not count among its errors."""


@contextmanager
def whole_raster(path: Path) -> Iterator[Path]:
    """Where to write a TIFF; it takes the name ``path``, over what is there, when the block ends well and it is whole.

    Raises:
        StoreError: in place of an ``OSError`` or an error of GDAL, in the block or when what was written lacks blocks.
    """
    with whole_file(path, *WRITE_ERRORS) as partial:
        yield partial
        need_blocks(partial)


def need_blocks(path: Path) -> None:
    """Make sure that a closed TIFF has every block of every band and overview; no pixel is read.

    Raises:
        OSError: it lacks one. Readers would take it for no-data.
        RasterioError: it cannot be opened.
    """
    with rasterio.open(path) as raster:
        levels = [None, *range(len(raster.overviews(1)))]
    for level in levels:
        with rasterio.open(path, **({} if level is None else {"OVERVIEW_LEVEL": level})) as raster:
            shapes, (rows, columns) = raster.block_shapes, raster.shape
        with rasterio.open(path) as raster:
            for band, (high, wide) in enumerate(shapes, start=1):
                for y in range(math.ceil(rows / high)):
                    for x in range(math.ceil(columns / wide)):
                        _need_block(raster, path, (band, level, x, y))


def _need_block(raster: rasterio.DatasetReader, path: Path, which: tuple[int, int | None, int, int]) -> None:
    """The same for one block: band, overview or None, column and row."""
    band, level, x, y = which
    offset, size = (
        int(raster.get_tag_item(f"BLOCK_{what}_{x}_{y}", "TIFF", bidx=band, ovr=level) or 0)
        for what in ("OFFSET", "SIZE")
    )
    if not offset or not size or offset + size > path.stat().st_size:
        raise OSError(f"{path.name} was not written to its end")
