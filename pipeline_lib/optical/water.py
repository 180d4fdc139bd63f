"""Water as Sentinel-2 sees it."""

import numpy as np
import xarray as xr

from pipeline_lib.model import DRY, NOT_OBSERVED, WATER
from pipeline_lib.optical.water_index import awei_nsh, mndwi, ndwi


def optical_water(reflectance: xr.Dataset, clear: xr.DataArray) -> xr.DataArray:
    """Water where at least two of NDWI, MNDWI and AWEI (no shadow) are above their published threshold of 0.

    Args:
        reflectance: B03, B08, B11, B12 (y, x), reflectance (1), NaN = no data.
        clear: (y, x) bool, of `pipeline_lib.optical.cloud`.

    Returns:
        ``water``: (y, x) uint8: 0 dry, 1 water, 255 not observed (cloud, shadow of a cloud, no data).

    Raises:
        ContractError: a band is missing.
    """
    indices = [ndwi(reflectance), mndwi(reflectance), awei_nsh(reflectance)]
    votes = xr.zeros_like(indices[0], dtype="uint8")
    observed = clear
    for index in indices:
        votes = votes + (index > 0)
        observed = observed & np.isfinite(index)
    water = (votes >= 2).astype("uint8") * WATER + (votes < 2).astype("uint8") * DRY
    seen = water.where(observed, NOT_OBSERVED).astype("uint8")
    return seen.rename("water").assign_attrs(units="1", long_name="water seen by Sentinel-2")
