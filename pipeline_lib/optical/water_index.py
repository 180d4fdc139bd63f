"""Spectral indices of water from Sentinel-2 reflectance.

Reflectance below `FLOOR` (atmospheric correction overshoots over dark water) counts as `FLOOR`, so that an index of two
dark bands stays finite and keeps its sign.
"""

import xarray as xr

from pipeline_lib.errors import ContractError

FLOOR = 1e-4


def ndwi(reflectance: xr.Dataset) -> xr.DataArray:
    """Normalised difference water index (B03 - B08) / (B03 + B08), -1 to 1; water above 0.

    Args:
        reflectance: B03, B08, (y, x), 0 to 1, NaN = not observed.

    Returns:
        (y, x) float32, NaN where a band is NaN.

    Raises:
        ContractError: a band is missing.

    References:
        McFeeters 1996, The use of the Normalized Difference Water Index, IJRS 17(7), 1425-1432.
    """
    return _difference(reflectance, "B03", "B08").rename("ndwi")


def mndwi(reflectance: xr.Dataset) -> xr.DataArray:
    """Modified NDWI (B03 - B11) / (B03 + B11), -1 to 1; water above 0, built-up land well below.

    Args:
        reflectance: B03, B11, (y, x), 0 to 1, NaN = not observed.

    Returns:
        (y, x) float32, NaN where a band is NaN.

    Raises:
        ContractError: a band is missing.

    References:
        Xu 2006, Modification of normalised difference water index, IJRS 27(14), 3025-3033.
    """
    return _difference(reflectance, "B03", "B11").rename("mndwi")


def ndvi(reflectance: xr.Dataset) -> xr.DataArray:
    """Normalised difference vegetation index (B08 - B04) / (B08 + B04), -1 to 1.

    Args:
        reflectance: B08, B04, (y, x), 0 to 1, NaN = not observed.

    Returns:
        (y, x) float32, NaN where a band is NaN.

    Raises:
        ContractError: a band is missing.

    References:
        Rouse et al. 1974, Monitoring vegetation systems in the Great Plains with ERTS, NASA SP-351.
    """
    return _difference(reflectance, "B08", "B04").rename("ndvi")


def awei_nsh(reflectance: xr.Dataset) -> xr.DataArray:
    """Automated water extraction index without shadow: 4 (B03 - B11) - (0.25 B08 + 2.75 B12); water above 0.

    Args:
        reflectance: B03, B08, B11, B12, (y, x), 0 to 1, NaN = not observed.

    Returns:
        (y, x) float32, NaN where a band is NaN.

    Raises:
        ContractError: a band is missing.

    References:
        Feyisa et al. 2014, Automated Water Extraction Index, Remote Sensing of Environment 140, 23-35, eq. 2.
    """
    green, nir, swir1, swir2 = _bands(reflectance, "B03", "B08", "B11", "B12")
    return _index(4 * (green - swir1) - (0.25 * nir + 2.75 * swir2), "awei_nsh")


def _bands(reflectance: xr.Dataset, *names: str) -> list[xr.DataArray]:
    missing = [name for name in names if name not in reflectance]
    if missing:
        raise ContractError(
            f"The index needs {', '.join(names)}; missing: {', '.join(missing)}; the dataset holds "
            f"{', '.join(sorted(map(str, reflectance)))}."
        )
    return [reflectance[name].clip(min=FLOOR) for name in names]


def _difference(reflectance: xr.Dataset, one: str, other: str) -> xr.DataArray:
    first, second = _bands(reflectance, one, other)
    return _index((first - second) / (first + second), "")


def _index(values: xr.DataArray, name: str) -> xr.DataArray:
    return values.astype("float32").rename(name).assign_attrs(units="1", long_name=name)
