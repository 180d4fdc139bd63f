"""Water depth from an elevation model: the flood's surface at its shore, carried inwards.

At the edge of a flood, where it meets land that was seen dry, water stands as high as the ground. Each flooded pixel
takes the elevation of the nearest such edge pixel, smoothed, as its water surface; depth is that surface less the
ground. Where no dry edge is near, where the elevation is unknown, or where the ground lies above the surface, depth is
unknown, and never 0: an elevation model of some metres' error cannot say that there is no water where radar sees it.

References:
    Cohen et al. (2019), The Floodwater Depth Estimation Tool (FwDET v2.0) for improved remote sensing analysis of
    coastal flooding, Nat. Hazards Earth Syst. Sci. 19, 2053-2065.
"""

from functools import partial

import numpy as np
import xarray as xr
from scipy.ndimage import binary_dilation, distance_transform_edt, uniform_filter

from pipeline_lib.flood.window import WINDOW_PX, map_windows

UNKNOWN_CM = 65535
REACH_PX = 100
"""Farthest edge that still tells the surface, pixels."""
SMOOTHING_PX = 5


def water_depth(
    flood_extent: xr.DataArray,
    water_extent: xr.DataArray,
    elevation_m: xr.DataArray,
    *,
    reach_px: int = REACH_PX,
    block_px: int = WINDOW_PX,
) -> xr.DataArray:
    """Depth of the flood, lazily.

    Args:
        flood_extent: uint8 (y, x), 0 no flood, 1 flood, 254 excluded, 255 not observed.
        water_extent: uint8 (y, x), the same codes; a river's bank is no shore of the flood.
        elevation_m: float32 (y, x), metres, NaN = unknown.
        reach_px: farthest edge that still tells the surface, pixels.
        block_px: side of the windows that are worked on one by one; the result does not depend on it.

    Returns:
        uint16 (y, x), centimetres, at least 1; 65535 unknown or not flooded.
    """
    block = partial(_depth, reach_px=reach_px)
    halo = reach_px + SMOOTHING_PX + 1
    layers = (flood_extent, water_extent, elevation_m)
    depth = map_windows(block, layers, {"depth": "uint16"}, halo=halo, size=block_px)["depth"]
    depth.attrs = {"units": "cm", "long_name": "water depth estimated from the elevation at the flood's edge"}
    return depth


def _depth(
    flood_extent: np.ndarray | None, water_extent: np.ndarray | None, elevation_m: np.ndarray | None, *, reach_px: int
) -> tuple[np.ndarray, ...]:
    """One window, halo included."""
    assert flood_extent is not None  # noqa: S101 - water_depth gives all three
    assert water_extent is not None  # noqa: S101
    assert elevation_m is not None  # noqa: S101
    flooded = flood_extent == 1
    unknown = np.full(flooded.shape, UNKNOWN_CM, np.uint16)
    edge = flooded & binary_dilation(water_extent == 0, np.ones((3, 3), bool)) & np.isfinite(elevation_m)
    if not edge.any():
        return (unknown,)
    distance, nearest = distance_transform_edt(~edge, return_indices=True)
    told = flooded & (distance <= reach_px)
    surface = np.where(told, elevation_m[tuple(nearest)], 0.0).astype(np.float64)
    weight = uniform_filter(told.astype(np.float64), SMOOTHING_PX, mode="constant")
    surface = uniform_filter(surface, SMOOTHING_PX, mode="constant") / np.maximum(weight, 1e-9)
    depth_cm = np.rint(100 * (surface - elevation_m))
    known = told & np.isfinite(depth_cm) & (depth_cm >= 1)
    return (np.where(known, np.minimum(depth_cm, UNKNOWN_CM - 1), UNKNOWN_CM).astype(np.uint16),)
