"""Pictures for a page: coarse layers as 8-bit images in Web Mercator, values kept, colours left to the page.

A block of the grid becomes one picture pixel. Of classes it takes a code that is there, never a mean of codes: flood
(of the commonest kind) where at least a quarter of the block is flood, otherwise the commonest code. Small floods stay
visible, and a picture at full resolution equals the raster.
"""

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from PIL import Image
from rasterio.transform import Affine, from_bounds
from rasterio.warp import Resampling, reproject, transform_bounds

from pipeline_lib.flood.area import RASTERIO_WARNINGS
from pipeline_lib.model import Grid
from pipeline_lib.publish.blocks import block_sums, code_counts, covered

SHARE = 0.25
"""Of a block from which on what shows first is shown, and a measure is known."""
NOT_SEEN = 255
MERCATOR = "EPSG:3857"
DARK_DB, BRIGHT_DB = -24.0, -4.0
"""Backscatter drawn black and white."""
PNG_LEVEL = 6
"""A seventh larger than the utmost, in a ninth of the time."""
QUALITY = 62
"""Of WebP, 1 to 100."""
FAINT = 1
"""Grey of the darkest backscatter; 0 means not observed."""


@dataclass(frozen=True)
class Canvas:
    """The picture plane: a Web Mercator raster over the event's grid."""

    source: Affine
    """Of the coarse grid, in the event's CRS."""
    crs: str
    transform: Affine
    width: int
    height: int
    bounds: tuple[float, float, float, float]
    """West, south, east, north in degrees; east may exceed 180 where the event lies over the antimeridian."""
    metres: float
    """Ground size of a picture pixel at the middle of the event."""


def canvas_of(grid: Grid, factor: int) -> Canvas:
    """Plane for pictures of ``grid`` in blocks of ``factor`` pixels."""
    rows, columns = (-(-size // factor) for size in grid.shape)
    source = grid.geobox.affine * Affine.scale(factor)
    left, top = source * (0, 0)
    right, bottom = source * (columns, rows)
    west, south, east, north = transform_bounds(grid.crs, "EPSG:4326", left, bottom, right, top, densify_pts=21)
    if west > east:
        east += 360
    x0, y0, x1, y1 = (*_mercator(west, south), *_mercator(east, north))
    middle = np.cos(np.radians((south + north) / 2))
    step = grid.pixel_m * factor / middle
    width, height = max(round((x1 - x0) / step), 1), max(round((y1 - y0) / step), 1)
    return Canvas(
        source=source,
        crs=grid.crs,
        transform=from_bounds(x0, y0, x1, y1, width, height),
        width=width,
        height=height,
        bounds=(west, south, east, north),
        metres=grid.pixel_m * factor,
    )


def _mercator(longitude: float, latitude: float) -> tuple[float, float]:
    """Degrees to Web Mercator metres, longitudes beyond 180 going on."""
    radius = 6_378_137.0
    y = radius * np.log(np.tan(np.pi / 4 + np.radians(latitude) / 2))
    return radius * np.radians(longitude), float(y)


def placed(values: np.ndarray, canvas: Canvas, nodata: float) -> np.ndarray:
    """Coarse values (rows, columns) warped onto the canvas: nearest for codes, bilinear for dB."""
    target = np.full((canvas.height, canvas.width), nodata, values.dtype)
    with RASTERIO_WARNINGS:
        reproject(
            values,
            target,
            src_transform=canvas.source,
            src_crs=canvas.crs,
            dst_transform=canvas.transform,
            dst_crs=MERCATOR,
            src_nodata=nodata,
            dst_nodata=nodata,
            resampling=Resampling.bilinear if values.dtype.kind == "f" else Resampling.nearest,
        )
    return target


def coarse_classes(layer: xr.DataArray, factor: int, first: Sequence[int]) -> np.ndarray:
    """The commonest code of each block; of the codes ``first``, where these make up a quarter of it.

    Args:
        layer: (y, x) uint8, lazily.
        factor: pixels of the grid along a picture pixel; partial blocks at the edges count.
        first: codes that are shown before others.

    Returns:
        (y, x) uint8, smaller by ``factor``.
    """
    return _coarse(layer, factor, lambda codes: _commonest(codes, factor, first))


def coarse_measure(layer: xr.DataArray, factor: int, nodata: int) -> np.ndarray:
    """The mean of each block's values, rounded; ``nodata`` where less than a quarter of it is known.

    Args:
        layer: (y, x) whole numbers, lazily.
        factor: pixels of the grid along a picture pixel; partial blocks at the edges count.
        nodata: value that means unknown.

    Returns:
        (y, x), smaller by ``factor``, in the type of ``layer``.
    """
    return _coarse(layer, factor, lambda values: _mean(values, factor, nodata))


def _coarse(layer: xr.DataArray, factor: int, reduce: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """A whole layer made coarse band by band, so that only one band of rows is held."""
    if factor == 1:
        return np.asarray(layer.values)
    step = factor * max(2048 // factor, 1)
    return np.concatenate([reduce(layer[top : top + step].values) for top in range(0, layer.sizes["y"], step)])


def _commonest(codes: np.ndarray, factor: int, first: Sequence[int]) -> np.ndarray:
    values, counts = code_counts(codes, factor)
    commonest: np.ndarray = values[np.argmax(counts, axis=0)]
    shown = np.isin(values, first)
    if not shown.any():
        return commonest
    total = counts[shown].sum(axis=0)
    kind = values[shown][np.argmax(counts[shown], axis=0)]
    return np.asarray(np.where(total >= np.maximum(SHARE * covered(codes.shape, factor), 1), kind, commonest))


def _mean(values: np.ndarray, factor: int, nodata: int) -> np.ndarray:
    total, count = block_sums(values, factor, nodata)
    enough = count >= np.maximum(SHARE * covered(values.shape, factor), 1)
    return np.where(enough, np.rint(total / np.maximum(count, 1)), nodata).astype(values.dtype)


def grey(decibel: np.ndarray) -> np.ndarray:
    """Backscatter in dB as grey `FAINT` to 255; 0 where not observed.

    Any shape; NaN = not observed.
    """
    level = np.clip((decibel - DARK_DB) / (BRIGHT_DB - DARK_DB), 0, 1) * (255 - FAINT) + FAINT
    return np.where(np.isfinite(decibel), level, 0).astype(np.uint8)


def png_uri(values: np.ndarray) -> str:
    """An 8-bit grey PNG as a data URI: every value comes back exactly.

    ``values`` are uint8 (y, x).
    """
    return _uri(Image.fromarray(values, mode="L"), "PNG", compress_level=PNG_LEVEL)


def photo_uri(values: np.ndarray) -> str:
    """A grey photograph (WebP, lossy) as a data URI; where the grey is 0 it is clear, exactly.

    ``values`` are uint8 (y, x).
    """
    grey_level = Image.fromarray(values, mode="L")
    photo = Image.merge("RGBA", (*[grey_level] * 3, grey_level.point(lambda level: 255 if level else 0)))
    return _uri(photo, "WEBP", quality=QUALITY, method=4)


def colour_uri(values: np.ndarray) -> str:
    """A colour photograph, uint8 (3, rows, columns), as a data URI (WebP, lossy); clear, exactly, where all are 0."""
    bands = [Image.fromarray(band, mode="L") for band in values]
    seen = Image.fromarray(np.where(values.any(axis=0), 255, 0).astype(np.uint8), mode="L")
    return _uri(Image.merge("RGBA", (*bands, seen)), "WEBP", quality=QUALITY, method=4)


def _uri(image: Image.Image, kind: str, **options: int | bool) -> str:
    """Encode an image."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


__all__ = [
    "Canvas",
    "canvas_of",
    "coarse_classes",
    "coarse_measure",
    "colour_uri",
    "grey",
    "photo_uri",
    "placed",
    "png_uri",
]
