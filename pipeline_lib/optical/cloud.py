"""Where an optical sensor saw the ground."""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage

from pipeline_lib.errors import ContractError, InputError

NOT_OBSERVED_CLASSES = (0, 1)
"""Sen2Cor: no data, saturated or defective."""
SHADOW_CLASSES = (3,)
CLOUD_CLASSES = (8, 9, 10)
"""Sen2Cor: cloud of medium and high probability, thin cirrus."""

CloudMasker = Callable[[xr.Dataset], xr.DataArray]
"""Reflectance in, clear bool (y, x) out: what `clear_by_scene_class` and `clear_by_csmask` are."""

CSMASK_BANDS = ("B02", "B03", "B04", "B08", "B11", "B12")
"""Bands that ukis-csmask wants, in its order blue, green, red, nir, swir16, swir22."""


def clear_by_scene_class(
    reflectance: xr.Dataset, *, cloud_margin_px: int = 10, shadow_margin_px: int = 3
) -> xr.DataArray:
    """Pixels that saw the ground, by Sen2Cor's scene class.

    Clouds are grown by ``cloud_margin_px``, their shadows by ``shadow_margin_px``: Sen2Cor misses thin edges. Dark
    areas (2), water (6), unclassified (7) and snow (11) are clear.

    Args:
        reflectance: with ``SCL`` uint8 (y, x), as `pipeline_lib.load.sentinel2_l2a` gives it.
        cloud_margin_px: pixels of the grid.
        shadow_margin_px: pixels of the grid.

    Returns:
        ``clear``: (y, x) bool; False where not observed, cloud or shadow.

    Raises:
        ContractError: there is no ``SCL``.
    """
    if "SCL" not in reflectance:
        raise ContractError(f"The scene class 'SCL' is missing; the dataset holds {sorted(map(str, reflectance))}.")
    classes = reflectance["SCL"]
    margin = max(cloud_margin_px, shadow_margin_px, 0)
    data = classes.data
    if isinstance(data, da.Array):
        data = data.map_overlap(
            _clear,
            depth=margin,
            boundary="none",
            dtype=bool,
            meta=np.empty((0, 0), bool),
            cloud_margin=cloud_margin_px,
            shadow_margin=shadow_margin_px,
        ).rechunk(data.chunks)
    else:
        data = _clear(data, cloud_margin_px, shadow_margin_px)
    return xr.DataArray(data, dims=classes.dims, coords=classes.coords, name="clear", attrs={"units": "1"})


def clear_by_csmask(reflectance: xr.Dataset) -> xr.DataArray:
    """Pixels that saw the ground, by the network of ukis-csmask, where that package is installed.

    Args:
        reflectance: with `CSMASK_BANDS`, reflectance (1), NaN = no data. It is loaded into memory.

    Returns:
        ``clear``: (y, x) bool.

    Raises:
        InputError: ukis-csmask is not installed.
        ContractError: a band is missing.

    References:
        Wieland, Li & Martinis 2019, Multi-sensor cloud and cloud shadow segmentation with a convolutional neural
        network, Remote Sensing of Environment 230, 111203.
    """
    if find_spec("ukis_csmask") is None:
        raise InputError("The cloud mask 'csmask' needs the package ukis-csmask: pip install ukis-csmask[cpu].")
    missing = [band for band in CSMASK_BANDS if band not in reflectance]
    if missing:
        raise ContractError(f"ukis-csmask needs the bands {', '.join(CSMASK_BANDS)}; missing: {', '.join(missing)}.")
    masker: Any = import_module("ukis_csmask.mask").CSmask
    image = np.stack([reflectance[band].to_numpy() for band in CSMASK_BANDS], axis=-1)
    observed = np.isfinite(image).all(axis=-1)
    result = masker(
        img=np.nan_to_num(image),
        band_order=["blue", "green", "red", "nir", "swir16", "swir22"],
        product_level="l2a",
        nodata_value=0,
    )
    valid = np.asarray(result.valid).reshape(observed.shape).astype(bool)
    first = reflectance[CSMASK_BANDS[0]]
    return xr.DataArray(valid & observed, dims=first.dims, coords=first.coords, name="clear", attrs={"units": "1"})


def _clear(classes: NDArray[np.uint8], cloud_margin: int, shadow_margin: int) -> NDArray[np.bool_]:
    hidden = np.isin(classes, NOT_OBSERVED_CLASSES)
    hidden |= _grown(np.isin(classes, CLOUD_CLASSES), cloud_margin)
    hidden |= _grown(np.isin(classes, SHADOW_CLASSES), shadow_margin)
    return ~hidden


def _grown(marked: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """Grow by a square of ``pixels`` on each side."""
    if pixels <= 0 or not marked.any():
        return marked
    grown: NDArray[np.bool_] = ndimage.maximum_filter(marked, size=2 * pixels + 1, mode="constant", cval=False)
    return grown
