"""What the shape of the land says: slope, and the height above the drainage that water would rise from."""

import xarray as xr

from pipeline_lib.pixel import pixel_size_m
from pipeline_lib.terrain.hand import height_above_nearest_drainage
from pipeline_lib.terrain.slope import slope

__all__ = ["height_above_nearest_drainage", "slope", "terrain_of"]


def terrain_of(elevation: xr.DataArray, *, drainage_area_km2: float = 1.0) -> xr.Dataset:
    """Elevation, slope and height above nearest drainage as one dataset.

    Where ``attrs["native_pixel_m"]`` says that the elevation comes from a coarser source, slope is taken over that
    distance (see `slope`).

    Args:
        elevation: (y, x) float32, metres, NaN = unknown (sea, voids).
        drainage_area_km2: of `height_above_nearest_drainage`.

    Returns:
        ``elevation_m``, ``slope_deg``, ``hand_m``: (y, x) float32, NaN = unknown, lazy where the elevation is.
    """
    native_m = float(elevation.attrs.get("native_pixel_m", 0.0))
    reach_px = max(1, round(native_m / pixel_size_m(elevation)[0]))
    return xr.Dataset(
        {
            "elevation_m": elevation.astype("float32").rename("elevation_m").assign_attrs(units="m"),
            "slope_deg": slope(elevation, reach_px=reach_px),
            "hand_m": height_above_nearest_drainage(elevation, drainage_area_km2=drainage_area_km2),
        }
    )
