"""Where an optical sensor saw the ground."""

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage

from pipeline_lib.errors import ContractError

NOT_OBSERVED_CLASSES = (0, 1)
"""Sen2Cor: no data, saturated or defective."""
SHADOW_CLASSES = (3,)
CLOUD_CLASSES = (8, 9, 10)
"""Sen2Cor: cloud of medium and high probability, thin cirrus."""


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
