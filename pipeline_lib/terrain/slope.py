"""Slope of the terrain."""

from typing import Any

import numpy as np
import xarray as xr
from numba import njit
from numpy.typing import NDArray

from pipeline_lib.pixel import pixel_size_m


def slope(elevation: xr.DataArray, *, reach_px: int = 1) -> xr.DataArray:
    """Steepest slope at each pixel by Horn's weighted differences between the pixel's neighbours.

    Elevation finer than its source (30 m resampled to 10 m) has no more detail, but the source's error over a shorter
    distance: with neighbours ``reach_px`` away the differences span what the source resolves.

    An unknown neighbour (NaN, or beyond the edge) is extrapolated through the centre from its opposite, so that a plane
    has its exact slope up to edges and voids; where both are unknown the terrain is taken as level in that direction.

    Args:
        elevation: (y, x), metres, NaN = unknown; Dask-chunked or not.
        reach_px: how far the eight neighbours lie, pixels.

    Returns:
        ``slope_deg``: (y, x) float32, degrees 0 to 90, NaN where the elevation is.

    Raises:
        ContractError: the coordinates do not tell the pixel size.

    References:
        Horn 1981, Hill shading and the reflectance map, Proc. IEEE 69(1), 14-47.
    """
    height, width = pixel_size_m(elevation)
    values = elevation.astype("float32").data
    if hasattr(values, "map_overlap"):
        data = values.map_overlap(
            horn,
            depth=reach_px,
            boundary="none",
            dtype="float32",
            meta=np.empty((0, 0), "f4"),
            height=height,
            width=width,
            reach=reach_px,
        ).rechunk(values.chunks)
    else:
        data = horn(values, height, width, reach_px)
    return elevation.copy(data=data).rename("slope_deg").assign_attrs(units="degree", long_name="slope")


def horn(elevation: NDArray[np.float32], height: float, width: float, reach: int = 1) -> NDArray[np.float32]:
    """Slope in degrees of elevations (y, x) in pixels of ``height`` x ``width`` metres, neighbours ``reach`` away."""
    out = np.empty(elevation.shape, np.float32)
    _horn(np.ascontiguousarray(elevation), height * reach, width * reach, reach, out)
    return out


@njit(cache=True, nogil=True)
def _rise(z: Any, i: Any, j: Any, di: Any, dj: Any) -> Any:  # pragma: no cover - compiled
    """Elevation of a neighbour above the centre; of its opposite, negated, where it is unknown; else NaN."""
    for sign in (1, -1):
        p, q = i + sign * di, j + sign * dj
        if 0 <= p < z.shape[0] and 0 <= q < z.shape[1] and not np.isnan(z[p, q]):
            return sign * (z[p, q] - z[i, j])
    return np.nan


@njit(cache=True, nogil=True)
def _corner(z: Any, i: Any, j: Any, di: Any, dj: Any, along_y: Any, along_x: Any) -> Any:  # pragma: no cover - compiled
    """Rise to a diagonal neighbour, on the plane through the straight ones where that diagonal is unknown."""
    rise = _rise(z, i, j, di, dj)
    return along_y + along_x if np.isnan(rise) else rise


@njit(cache=True, nogil=True)
def _or_level(rise: Any) -> Any:  # pragma: no cover - compiled
    return 0.0 if np.isnan(rise) else rise


@njit(cache=True, nogil=True)
def _horn(z: Any, height: Any, width: Any, r: Any, out: Any) -> None:  # pragma: no cover - compiled
    rows, columns = z.shape
    for i in range(rows):
        for j in range(columns):
            if np.isnan(z[i, j]):
                out[i, j] = np.nan
                continue
            east, west = _or_level(_rise(z, i, j, 0, r)), _or_level(_rise(z, i, j, 0, -r))
            south, north = _or_level(_rise(z, i, j, r, 0)), _or_level(_rise(z, i, j, -r, 0))
            south_east = _corner(z, i, j, r, r, south, east)
            south_west = _corner(z, i, j, r, -r, south, west)
            north_east = _corner(z, i, j, -r, r, north, east)
            north_west = _corner(z, i, j, -r, -r, north, west)
            dx = (north_east + 2 * east + south_east - north_west - 2 * west - south_west) / (8 * width)
            dy = (south_west + 2 * south + south_east - north_west - 2 * north - north_east) / (8 * height)
            out[i, j] = np.degrees(np.arctan(np.sqrt(dx * dx + dy * dy)))
