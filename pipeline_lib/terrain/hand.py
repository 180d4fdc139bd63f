"""Height above nearest drainage (HAND): how far water would have to rise to reach a pixel.

References:
    Nobre et al. 2011, Height Above the Nearest Drainage, Journal of Hydrology 404, 13-29.
"""

from functools import partial
from threading import BoundedSemaphore
from typing import Any

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
TILES_AT_A_TIME = 4
"""In one process, however many threads it has: each tile holds half a gigabyte."""


_turns = BoundedSemaphore(TILES_AT_A_TIME)


def height_above_nearest_drainage(
    elevation: xr.DataArray, *, drainage_area_km2: float = 1.0, tile: int = TILE, margin: int = MARGIN
) -> xr.DataArray:
    """Height of each pixel above the first channel pixel down its flow path.

    A channel is where at least ``drainage_area_km2`` flow through. Sea and voids (NaN) and the raster's edge take
    whatever flows into them: a pixel that reaches one before a channel is measured against that last pixel, which is
    exact at the sea, and a lower bound at the edge of the raster. Pixels in a depression below their drainage have 0.

    A grid beyond ``tile + 2 * margin`` pixels is worked in tiles fixed to the grid, at most `TILES_AT_A_TIME` at once:
    some 14 bytes a pixel of a tile and its margin are held, the result does not depend on the chunks, and channels
    whose catchment lies farther than ``margin`` upstream are still found where they gather their area within it. Each
    tile reads its own window of the elevation, so give one that is cheap to read again: a stored one.

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
    height_m = drain_elevation(elevation, directions, order, drainage)
    np.subtract(elevation, height_m, out=height_m)
    return np.maximum(height_m, np.float32(0), out=height_m)


def _tiled(values: da.Array, single: bool, tile: int, margin: int, sizes: tuple[float, float, float]) -> da.Array:
    """HAND tile by tile.

    Tiles that share the chunks they read, as `dask.array.overlap` makes them, keep rows of them in memory.
    """
    chunks = tuple((size,) if single else _even_cuts(size, tile) for size in values.shape)
    one = partial(_tile, values, margin=margin, sizes=sizes)
    return da.map_blocks(one, chunks=chunks, dtype="float32", meta=np.empty((0, 0), "f4"))


def _tile(
    values: da.Array, margin: int, sizes: tuple[float, float, float], block_info: Any = None
) -> NDArray[np.float32]:
    """HAND of one tile, from the window of the elevation that it and its margin cover."""
    own = block_info[None]["array-location"]
    window = tuple(
        slice(max(start - margin, 0), min(stop + margin, size))
        for (start, stop), size in zip(own, values.shape, strict=True)
    )
    inner = tuple(
        slice(start - around.start, stop - around.start) for (start, stop), around in zip(own, window, strict=True)
    )
    with _turns:
        # Inside a Dask task already: computing on this very thread cannot wait for itself.
        elevation = values[window].compute(scheduler="synchronous")
        return hand(elevation, *sizes)[inner].copy()  # a view would hold the margin


def _even_cuts(size: int, tile: int) -> tuple[int, ...]:
    """Cut into pieces of nearly one size."""
    pieces = -(-size // tile)
    return tuple(size * (n + 1) // pieces - size * n // pieces for n in range(pieces))
