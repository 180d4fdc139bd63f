"""Pictures for a page: coarse layers as 8-bit images in Web Mercator, values kept, colours left to the page.

A block of the grid becomes one picture pixel: flood (of the commonest kind) where at least a quarter of the block is
flood, otherwise the commonest value. Small floods stay visible, and a picture at full resolution equals the raster.
"""

import base64
import io
from dataclasses import dataclass

import numpy as np
import xarray as xr
from PIL import Image
from rasterio.transform import Affine, from_bounds
from rasterio.warp import Resampling, reproject, transform_bounds

from pipeline_lib.flood.area import RASTERIO_WARNINGS
from pipeline_lib.model import Grid
from pipeline_lib.publish.blocks import block_sums, code_counts, covered

FLOOD_CODES = (2, 3, 4)
FLOOD_SHARE = 0.25
NOT_SEEN = 255
MERCATOR = "EPSG:3857"
DARK_DB, BRIGHT_DB = -24.0, -4.0
"""Backscatter drawn black and white."""
PNG_LEVEL = 6
"""A seventh larger than the utmost, in a ninth of the time."""
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


def coarse_codes(codes: np.ndarray, factor: int) -> np.ndarray:
    """Blocks of flood classes by the rule of this module; uint8 (rows, columns), partial edge blocks counted."""
    if factor == 1:
        return codes
    values, counts = code_counts(codes, factor)
    flood = np.isin(values, FLOOD_CODES)
    commonest: np.ndarray = values[np.argmax(counts, axis=0)]
    if not flood.any():
        return commonest
    total = counts[flood].sum(axis=0)
    kind = values[flood][np.argmax(counts[flood], axis=0)]
    return np.asarray(np.where(total >= np.maximum(FLOOD_SHARE * covered(codes.shape, factor), 1), kind, commonest))


def coarse_where(values: np.ndarray, factor: int, nodata: int) -> np.ndarray:
    """Mean of each block's values, rounded; ``nodata`` where fewer than a quarter of a block are others than that.

    Dims (y, x); the result is smaller by ``factor``, its type that of ``values``.
    """
    if factor == 1:
        return values
    total, count = block_sums(values, factor, nodata)
    enough = count >= np.maximum(FLOOD_SHARE * covered(values.shape, factor), 1)
    return np.where(enough, np.rint(total / np.maximum(count, 1)), nodata).astype(values.dtype)


def coarse_layer(layer: xr.DataArray, factor: int, *, flood_codes: bool, nodata: int) -> np.ndarray:
    """A whole layer made coarse band by band, so that only one band of rows is held.

    Args:
        layer: (y, x), lazily.
        factor: pixels of the grid along a picture pixel.
        flood_codes: classes (the commonest, flood first) instead of measures (the mean).
        nodata: of a measure.

    Returns:
        (y, x) array, smaller by ``factor``.
    """
    step = factor * max(2048 // factor, 1)
    parts = []
    for top in range(0, layer.sizes["y"], step):
        values = layer[top : top + step].values
        coarse = coarse_codes(values, factor) if flood_codes else coarse_where(values, factor, nodata)
        parts.append(coarse)
    return np.concatenate(parts)


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


def photo_uri(values: np.ndarray, quality: int = 62) -> str:
    """A grey photograph (WebP, lossy) as a data URI; where the grey is 0 it is clear, exactly.

    ``values`` are uint8 (y, x); ``quality`` is WebP's, 1 to 100.
    """
    grey_level = Image.fromarray(values, mode="L")
    photo = Image.merge("RGBA", (*[grey_level] * 3, grey_level.point(lambda level: 255 if level else 0)))
    return _uri(photo, "WEBP", quality=quality, method=4)


def colour_uri(values: np.ndarray, quality: int = 62) -> str:
    """A colour photograph, uint8 (3, rows, columns), as a data URI (WebP, lossy); clear, exactly, where all are 0."""
    bands = [Image.fromarray(band, mode="L") for band in values]
    seen = Image.fromarray(np.where(values.any(axis=0), 255, 0).astype(np.uint8), mode="L")
    return _uri(Image.merge("RGBA", (*bands, seen)), "WEBP", quality=quality, method=4)


def _uri(image: Image.Image, kind: str, **options: int | bool) -> str:
    """Encode an image."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


__all__ = ["Canvas", "canvas_of", "coarse_layer", "colour_uri", "grey", "photo_uri", "placed", "png_uri"]
