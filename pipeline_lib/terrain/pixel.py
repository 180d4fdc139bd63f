"""The size of a pixel on the ground."""

import math

import odc.geo.xr  # noqa: F401 - registers .odc
import xarray as xr

from pipeline_lib.errors import ContractError

METRES_PER_DEGREE = 111_195.0
"""Length of a degree of latitude on a sphere of 6371 km."""


def pixel_size_m(raster: xr.DataArray) -> tuple[float, float]:
    """Height and width of a pixel in metres, from the coordinates; degrees are converted at the middle latitude.

    Raises:
        ContractError: no two coordinates along an axis, or not evenly spaced.
    """
    steps = []
    for name in ("y", "x"):
        if name not in raster.coords or raster.sizes[name] < 2:
            raise ContractError(f"The raster needs at least two {name!r} coordinates to tell its pixel size.")
        values = raster[name].to_numpy()
        step = abs(float(values[-1] - values[0])) / (len(values) - 1)
        if step == 0 or abs(abs(float(values[1] - values[0])) - step) > 1e-3 * step:
            raise ContractError(f"The {name!r} coordinates of the raster are not evenly spaced.")
        steps.append(step)
    height, width = steps
    crs = raster.odc.crs
    if crs is not None and crs.geographic:
        latitude = math.radians(float(raster["y"].to_numpy().mean()))
        return height * METRES_PER_DEGREE, width * METRES_PER_DEGREE * math.cos(latitude)
    return height, width
