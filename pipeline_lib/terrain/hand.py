"""Height above nearest drainage (HAND): how far water would have to rise to reach a pixel.

References:
    Nobre et al. 2011, Height Above the Nearest Drainage, Journal of Hydrology 404, 13-29.
"""

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pipeline_lib.pixel import pixel_size_m
from pipeline_lib.terrain.flow import drain_elevation, flow_directions, upstream_area

TILE = 4096
"""Pixels along each side of a tile of a large grid."""
MARGIN = 1024
"""Pixels around a tile in which rivers that enter it gather their upstream area."""


def height_above_nearest_drainage(
    elevation: xr.DataArray, *, drainage_area_km2: float = 1.0, tile: int = TILE, margin: int = MARGIN
) -> xr.DataArray:
    """Height of each pixel above the first channel pixel down its flow path.

    A channel is where at least ``drainage_area_km2`` flow through. Sea and voids (NaN) and the raster's edge take
    whatever flows into them: a pixel that reaches one before a channel is measured against that last pixel, which is
    exact at the sea, and a lower bound at the edge of the raster. Pixels in a depression below their drainage have 0.

    A grid beyond ``tile + 2 * margin`` pixels is worked in tiles fixed to the grid: about 25 bytes a pixel of one tile
    are held, the result does not depend on the chunks, and channels whose catchment lies farther than ``margin``
    upstream are still found where they gather their area within it.

    Args:
        elevation: (y, x), metres, NaN = unknown; Dask-chunked or not.
        drainage_area_km2: upstream area from which flow counts as a channel.
        tile: pixels along each side of a tile.
        margin: pixels of overlap between tiles.

    Returns:
        ``hand_m``: (y, x) float32, metres, >= 0, NaN where the elevation is; lazy where the elevation is.

    Raises:
        ContractError: the coordinates do not tell the pixel size.
    """
    height, width = pixel_size_m(elevation)
    channel_pixels = drainage_area_km2 * 1e6 / (height * width)
    values = elevation.astype("float32").data
    single = all(size <= tile + 2 * margin for size in values.shape)
    if isinstance(values, np.ndarray) and single:
        data = hand(values, height, width, channel_pixels)
    else:
        data = _tiled(da.asarray(values), single, tile, margin, (height, width, channel_pixels))
        data = data.rechunk(values.chunks) if isinstance(values, da.Array) else data.compute()
    attributes = {"units": "m", "long_name": "height above nearest drainage", "drainage_area_km2": drainage_area_km2}
    return elevation.copy(data=data).rename("hand_m").assign_attrs(attributes)


def hand(elevation: NDArray[np.float32], height: float, width: float, channel_pixels: float) -> NDArray[np.float32]:
    """HAND of an array of elevations (y, x); ``channel_pixels`` upstream pixels make a channel."""
    directions, order = flow_directions(elevation, height, width)
    drainage = upstream_area(directions, order) >= channel_pixels
    reference = drain_elevation(elevation, directions, order, drainage)
    height_m: NDArray[np.float32] = np.maximum(elevation - reference, np.float32(0))
    return height_m


def _tiled(values: da.Array, single: bool, tile: int, margin: int, sizes: tuple[float, float, float]) -> da.Array:
    height, width, channel_pixels = sizes
    chunks = tuple((size,) if single else _even_cuts(size, tile) for size in values.shape)
    return values.rechunk(chunks).map_overlap(
        hand,
        depth=tuple(margin if len(cuts) > 1 else 0 for cuts in chunks),
        boundary="none",
        allow_rechunk=False,
        dtype="float32",
        meta=np.empty((0, 0), "f4"),
        height=height,
        width=width,
        channel_pixels=channel_pixels,
    )


def _even_cuts(size: int, tile: int) -> tuple[int, ...]:
    """Cut into pieces of nearly one size, so that none is smaller than the margin."""
    pieces = -(-size // tile)
    return tuple(size * (n + 1) // pieces - size * n // pieces for n in range(pieces))
