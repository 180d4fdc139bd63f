"""True areas of pixels: a map projection stretches, and a country's flooded square kilometres should not."""

import numpy as np
import rioxarray  # noqa: F401 - registers the .rio accessor
import xarray as xr
from pyproj import CRS, Proj, Transformer


def column_areas(layer: xr.DataArray) -> np.ndarray:
    """Ground area of a pixel of each column, square metres, float64 (x,).

    In transverse Mercator the areal scale depends on easting almost alone (to 1e-5 along a column of 200 km), so one
    value a column, taken at the middle row, is exact enough for any figure. A layer without CRS counts as undistorted.

    Args:
        layer: (y, x) with coordinates of a projected CRS in metres.
    """
    columns = layer.sizes["x"]
    if "x" not in layer.coords or columns < 2 or layer.sizes["y"] < 2:
        return np.full(columns, 100.0)
    x, y = layer["x"].values, layer["y"].values
    nominal = abs((x[-1] - x[0]) / (columns - 1) * (y[-1] - y[0]) / (y.size - 1))
    found = layer.rio.crs
    if found is None:
        return np.full(columns, nominal)
    crs = CRS.from_user_input(found.to_wkt())
    if crs.is_geographic:
        return np.full(columns, _degree_area(nominal, float(y[y.size // 2])))
    middle = np.full(columns, y[y.size // 2])
    longitude, latitude = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True).transform(x, middle)
    scale = np.asarray(Proj(crs).get_factors(longitude, latitude).areal_scale, dtype=np.float64)
    areas: np.ndarray = nominal / scale
    return areas


def _degree_area(square_degrees: float, latitude: float) -> float:
    """Square degrees at a latitude as square metres on the sphere of authalic radius."""
    return float(square_degrees * (np.pi / 180 * 6_371_007.2) ** 2 * np.cos(np.radians(latitude)))
