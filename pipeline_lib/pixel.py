"""The size of a pixel on the ground."""

import math
from typing import Any

import odc.geo.xr  # noqa: F401 - registers .odc
import xarray as xr
from pyproj import CRS

from pipeline_lib.errors import ContractError

METRES_PER_DEGREE = 111_195.0
"""Length of a degree of latitude on a sphere of 6371 km."""


def ground_size_m(height: float, width: float, crs: Any, latitude_deg: float) -> tuple[float, float]:
    """Height and width in metres of a pixel given in units of its CRS, which is one of degrees or of lengths.

    Degrees are converted on a sphere, at ``latitude_deg``; lengths (feet, metres) are taken as the CRS has them, the
    scale of its projection left out. Signs are dropped.

    Args:
        height: along y, in units of the CRS.
        width: along x, in units of the CRS.
        crs: anything that pyproj reads.
        latitude_deg: of the pixel; without effect where the CRS is one of lengths.
    """
    found = CRS.from_user_input(crs)
    if found.is_geographic:
        parallel = METRES_PER_DEGREE * math.cos(math.radians(latitude_deg))
        return abs(height) * METRES_PER_DEGREE, abs(width) * parallel
    metres = found.axis_info[0].unit_conversion_factor if found.axis_info else 1.0
    return abs(height) * metres, abs(width) * metres


def pixel_size_m(raster: xr.DataArray) -> tuple[float, float]:
    """Height and width of a pixel (y, x) in metres, from the coordinates; degrees at the middle latitude.

    Where no CRS is given, coordinates are metres.

    Raises:
        ContractError: no two coordinates along an axis, or not evenly spaced.
    """
    height, width = (_step(raster, name) for name in ("y", "x"))
    crs = raster.odc.crs
    return (height, width) if crs is None else ground_size_m(height, width, crs.proj, float(raster["y"].mean()))


def _step(raster: xr.DataArray, name: str) -> float:
    """Spacing of the coordinates along an axis."""
    if name not in raster.coords or raster.sizes[name] < 2:
        raise ContractError(f"The raster needs at least two {name!r} coordinates to tell its pixel size.")
    values = raster[name].to_numpy()
    step = abs(float(values[-1] - values[0])) / (len(values) - 1)
    if step == 0 or abs(abs(float(values[1] - values[0])) - step) > 1e-3 * step:
        raise ContractError(f"The {name!r} coordinates of the raster are not evenly spaced.")
    return step
