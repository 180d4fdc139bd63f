"""Power and decibel."""

from typing import Any, TypeVar

import numpy as np
import xarray as xr

Raster = TypeVar("Raster")
"""`xarray.DataArray`, NumPy or Dask array."""


def to_decibel(power: Raster) -> Raster:
    """10 log10 of linear power: same type, shape and dtype, units dB; NaN where the power is not positive."""
    given: Any = power
    positive = given.where(given > 0) if isinstance(given, xr.DataArray) else np.where(given > 0, given, np.nan)
    decibel: Raster = _like(10.0 * np.log10(positive), given, "dB")
    return decibel


def to_power(decibel: Raster) -> Raster:
    """Linear power of decibels: same type, shape and dtype, units 1; NaN stays NaN."""
    given: Any = decibel
    power: Raster = _like(10.0 ** (given / 10.0), given, "1")
    return power


def _like(values: Any, given: Any, units: str) -> Any:
    """Keep the dtype of floating input (integers become float32) and say the units."""
    converted = values.astype(given.dtype if np.issubdtype(given.dtype, np.floating) else np.dtype("float32"))
    return converted.assign_attrs({**given.attrs, "units": units}) if isinstance(converted, xr.DataArray) else converted
