"""Speckle filters and the equivalent number of looks: linear power in, linear power out.

Every filter leaves out NaN neighbours, gives NaN where the input is NaN and only there, shortens its window at the
raster's edge, and sums each window in one fixed order: a Dask-chunked raster gives the very bits of a plain one.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pipeline_lib.errors import InputError, UnknownNameError
from pipeline_lib.model import polarisations_of
from pipeline_lib.sar import speckle_kernels as kernels

Image = NDArray[np.float32]
Filter = Callable[..., Image]

REFINED_LEE_WINDOW = 7


def lee(power: Image, *, window: int = 7, looks: float = 4.4) -> Image:
    """Lee filter: the local mean, plus as much of the pixel's difference as the local variance exceeds speckle.

    Args:
        power: (y, x) float32, linear, NaN = not observed.
        window: pixels along each side, odd.
        looks: equivalent number of looks; speckle variance is mean squared over looks.

    Returns:
        (y, x) float32, linear, NaN where the input is.

    References:
        Lee 1980, Digital image enhancement and noise filtering by use of local statistics, IEEE TPAMI 2(2), eq. 12-15.
    """
    mean, variance = local_moments(power, window)
    signal = np.maximum(variance - mean * mean / looks, 0) / (1 + 1 / looks)
    weight = signal / np.maximum(variance, np.finfo(np.float32).tiny)
    return np.asarray(mean + weight * (power - mean), np.float32)


def refined_lee(power: Image, *, window: int = REFINED_LEE_WINDOW, looks: float = 4.4) -> Image:
    """Lee filter in the half of a 7 x 7 window that lies on the pixel's side of the strongest edge.

    The edge is the strongest of four gradients between 3 x 3 means; the side is the one whose mean is nearer to that of
    the centre. ``window`` must be 7. Units and NaN as in `lee`.

    References:
        Lee 1981, Refined filtering of image noise using local statistics, CGIP 15(4), 380-389.
    """
    _checked(REFINED_LEE_WINDOW if window == REFINED_LEE_WINDOW else 0, "refined Lee filter's window is 7;")
    means, _ = _exact_moments(power, 3)
    out = np.empty(power.shape, np.float32)
    kernels.refined_lee(np.ascontiguousarray(power, np.float32), means, 1.0 / looks, out)
    return out


def gamma_map(power: Image, *, window: int = 7, looks: float = 4.4) -> Image:
    """Gamma maximum a posteriori filter: speckle and land both Gamma distributed.

    The mean where the window is as smooth as speckle, the pixel itself where it holds a point target, the posterior
    maximum in between. Arguments as in `lee`.

    References:
        Lopes, Nezry, Touzi & Laur 1993, Structure detection and statistical adaptive speckle filtering in SAR images,
        IJRS 14(9), 1735-1758.
    """
    mean, variance = _exact_moments(power, window)
    out = np.empty(power.shape, np.float32)
    kernels.gamma_map(np.ascontiguousarray(power, np.float32), mean, variance, looks, out)
    return out


def multitemporal(stack: NDArray[np.float32], *, window: int = 7) -> NDArray[np.float32]:
    """Quegan-Yu filter: the local mean of each date times the mean over dates of pixel over local mean.

    Speckle falls with the number of dates while edges stay as sharp as the pixels.

    Args:
        stack: (time, y, x) float32, linear, NaN = not observed; dates without the pixel are left out.
        window: pixels along each side, odd.

    Returns:
        (time, y, x) float32, linear, NaN where the input is.

    References:
        Quegan & Yu 2001, Filtering of multichannel SAR images, IEEE TGRS 39(11), 2373-2379, eq. 10.
    """
    means = np.stack([local_moments(image, window)[0] for image in stack])
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(means > 0, stack / means, np.where(np.isnan(stack), np.nan, 1.0))
    seen = ~np.isnan(ratio)
    average = np.where(seen, ratio, 0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    return np.where(np.isnan(stack), np.nan, means * average).astype(np.float32)


FILTERS: dict[str, Filter] = {"lee": lee, "refined_lee": refined_lee, "gamma_map": gamma_map}
"""Filters of one image by name."""


def filter_scene(scene: xr.Dataset, name: str, *, window: int = 7, looks: float = 4.4) -> xr.Dataset:
    """Filter every polarisation of a Scene, or of a history with dims (time, y, x).

    Args:
        scene: dims (y, x) or (time, y, x), float32, linear power, NaN = not observed; Dask-chunked or not.
        name: ``lee``, ``refined_lee``, ``gamma_map``; ``multitemporal`` (needs time); ``none``.
        window: pixels along each side, odd; the refined Lee filter always takes 7.
        looks: equivalent number of looks.

    Returns:
        The same dataset with its polarisations filtered and ``attrs["speckle_filter"]`` set.

    Raises:
        UnknownNameError: no such filter.
        InputError: an even window, or ``multitemporal`` without time.
    """
    if name == "none":
        return scene
    if name not in (*FILTERS, "multitemporal"):
        raise UnknownNameError("speckle filter", name, ("none", *FILTERS, "multitemporal"))
    if name == "multitemporal" and "time" not in scene.dims:
        raise InputError("The multitemporal filter needs a time dimension; give a history, or use lee or gamma_map.")
    size = _checked(REFINED_LEE_WINDOW if name == "refined_lee" else window)
    filtered = {
        polarisation: _filtered(scene[polarisation], name, size, looks) for polarisation in polarisations_of(scene)
    }
    return scene.assign(filtered).assign_attrs(speckle_filter=f"{name} {size}x{size}")


def local_moments(power: Image, window: int) -> tuple[Image, Image]:
    """Mean and variance of the valid pixels in the window around each valid pixel: (y, x) float32 each, else NaN."""
    mean, variance = np.empty(power.shape, np.float32), np.empty(power.shape, np.float32)
    kernels.moments(np.ascontiguousarray(power, np.float32), _checked(window) // 2, mean, variance)
    return mean, variance


def _exact_moments(power: Image, window: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`local_moments` in float64, for filters that decide by them."""
    mean, variance = np.empty(power.shape), np.empty(power.shape)
    kernels.moments(np.ascontiguousarray(power, np.float32), _checked(window) // 2, mean, variance)
    return mean, variance


def _filtered(band: xr.DataArray, name: str, window: int, looks: float) -> xr.DataArray:
    each: Filter = (
        partial(multitemporal, window=window)
        if name == "multitemporal"
        else partial(FILTERS[name], window=window, looks=looks)
    )
    one: Callable[[Any], Any] = each if name == "multitemporal" or band.ndim == 2 else partial(_every_date, each)
    data = band.data
    if isinstance(data, da.Array):
        depth = (0,) * (band.ndim - 2) + (window // 2, window // 2)
        whole_in_time = data.rechunk({0: -1}) if name == "multitemporal" else data
        meta = np.empty((0,) * band.ndim, "f4")
        result = whole_in_time.map_overlap(one, depth=depth, boundary="none", dtype="float32", meta=meta)
        return band.copy(data=result.rechunk(data.chunks))
    return band.copy(data=one(data))


def _every_date(each: Filter, stack: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.stack([each(image) for image in stack]) if len(stack) else stack


def _checked(window: int, what: str = "window of a speckle filter is an odd number of pixels, 3 or more;") -> int:
    if window < 3 or window % 2 == 0:
        raise InputError(f"The {what} got {window or 'another'}.")
    return window
