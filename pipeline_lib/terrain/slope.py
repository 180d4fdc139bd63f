"""Slope of the terrain."""

from typing import Any

import numpy as np
import xarray as xr
from numba import njit
from numpy.typing import NDArray

from pipeline_lib.terrain.pixel import pixel_size_m


def slope(elevation: xr.DataArray) -> xr.DataArray:
    """Steepest slope at each pixel by Horn's weighted differences over 3 x 3 pixels.

    An unknown neighbour (NaN, or beyond the edge) is extrapolated through the centre from its opposite, so that a plane
    has its exact slope up to edges and voids; where both are unknown the terrain is taken as level in that direction.

    Args:
        elevation: (y, x), metres, NaN = unknown; Dask-chunked or not.

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
            horn, depth=1, boundary="none", dtype="float32", meta=np.empty((0, 0), "f4"), height=height, width=width
        )
    else:
        data = horn(values, height, width)
    return elevation.copy(data=data).rename("slope_deg").assign_attrs(units="degree", long_name="slope")


def horn(elevation: NDArray[np.float32], height: float, width: float) -> NDArray[np.float32]:
    """Slope in degrees of an array of elevations (y, x) with pixels of ``height`` x ``width`` metres."""
    out = np.empty(elevation.shape, np.float32)
    _horn(np.ascontiguousarray(elevation), height, width, out)
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
def _horn(z: Any, height: Any, width: Any, out: Any) -> None:  # pragma: no cover - compiled
    rows, columns = z.shape
    for i in range(rows):
        for j in range(columns):
            if np.isnan(z[i, j]):
                out[i, j] = np.nan
                continue
            east, west = _or_level(_rise(z, i, j, 0, 1)), _or_level(_rise(z, i, j, 0, -1))
            south, north = _or_level(_rise(z, i, j, 1, 0)), _or_level(_rise(z, i, j, -1, 0))
            south_east = _corner(z, i, j, 1, 1, south, east)
            south_west = _corner(z, i, j, 1, -1, south, west)
            north_east = _corner(z, i, j, -1, 1, north, east)
            north_west = _corner(z, i, j, -1, -1, north, west)
            dx = (north_east + 2 * east + south_east - north_west - 2 * west - south_west) / (8 * width)
            dy = (south_west + 2 * south + south_east - north_west - 2 * north - north_east) / (8 * height)
            out[i, j] = np.degrees(np.arctan(np.sqrt(dx * dx + dy * dy)))
