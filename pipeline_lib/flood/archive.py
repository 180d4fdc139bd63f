"""What the archive of one orbit says about each pixel: how bright it is before a flood, and how often it is dark.

All passes share the relative orbit and so the viewing geometry: their differences are changes on the ground.
"""

from functools import partial

import numba
import numpy as np
import xarray as xr

from pipeline_lib.flood.window import WINDOW_PX, map_windows
from pipeline_lib.options.derive import ReferenceOptions
from pipeline_lib.water.filtering import boxcar, decibel

STATISTICS = {
    "passes": "uint8",
    "dark_share": "float16",
    "co_mean_db": "float16",
    "co_std_db": "float16",
    "cross_mean_db": "float16",
}
"""Half precision: 0.01 dB at -16 dB, in half the room; a large event keeps one such set for every orbit."""


def co_and_cross(dataset: xr.Dataset) -> tuple[xr.DataArray | None, xr.DataArray | None]:
    """The co-polarised (vv or hh) and the cross-polarised (vh or hv) variable of a Scene or a history.

    Linear power with the dims that the dataset has; None for a polarisation that it does not hold.
    """
    co = next((dataset[name] for name in ("vv", "hh") if name in dataset), None)
    cross = next((dataset[name] for name in ("vh", "hv") if name in dataset), None)
    return co, cross


def archive_statistics(history: xr.Dataset, options: ReferenceOptions, *, block_px: int = WINDOW_PX) -> xr.Dataset:
    """Statistics of the passes before the event.

    Args:
        history: polarisations with dims (time, y, x), linear power, NaN = not observed; statistics made before are
            returned as they are.
        options: smoothing and what counts as dark.
        block_px: side of the windows that are worked on one by one; the result does not depend on it.

    Returns:
        Dataset (y, x): ``passes`` uint8 valid passes; ``dark_share`` share of them dark as water, NaN without any;
        ``co_mean_db``, ``co_std_db``, ``cross_mean_db`` of smoothed power in dB, float16, NaN where unknown.
    """
    if "dark_share" in history:
        return history
    co, cross = co_and_cross(history)
    block = partial(
        _statistics, size=options.smoothing_px, dark_co_db=options.dark_vv_db, dark_cross_db=options.dark_vh_db
    )
    return map_windows(block, (co, cross), STATISTICS, halo=options.smoothing_px // 2, size=block_px)


def smoothed_db(power: np.ndarray, size: int) -> np.ndarray:
    """Box mean of linear power (y, x) over its valid neighbours, in dB; NaN where the pixel itself is not observed."""
    level: np.ndarray = decibel(boxcar(np.ascontiguousarray(power, dtype=np.float32), size // 2))
    return level


def _statistics(
    co: np.ndarray | None, cross: np.ndarray | None, *, size: int, dark_co_db: float, dark_cross_db: float
) -> tuple[np.ndarray, ...]:
    """One window: pass by pass, so that only one smoothed pass is held at a time."""
    stack = co if co is not None else cross
    assert stack is not None  # noqa: S101 - co_and_cross gave at least one, or map_windows had no template
    shape = stack.shape[1:]
    count, dark = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    sums = np.zeros((3, *shape), np.float32)
    absent = np.zeros((0, 0), np.float32)
    for index in range(min(stack.shape[0], 255)):
        first, second = (absent if band is None else smoothed_db(band[index], size) for band in (co, cross))
        _accumulate(first, second, dark_co_db, dark_cross_db, count, dark, sums)
    return _moments(count, dark, sums, (co is not None, cross is not None))


@numba.njit(nogil=True, cache=True)
def _accumulate(
    co: np.ndarray,
    cross: np.ndarray,
    dark_co_db: float,
    dark_cross_db: float,
    count: np.ndarray,
    dark: np.ndarray,
    sums: np.ndarray,
) -> None:
    """Add one pass to the counts and to the sums of co, co squared and cross; an empty array is no polarisation."""
    for y in range(count.shape[0]):
        for x in range(count.shape[1]):
            first = co[y, x] if co.size else np.float32(-99.0)
            second = cross[y, x] if cross.size else np.float32(-99.0)
            if np.isnan(first) or np.isnan(second):
                continue
            count[y, x] += 1
            if first < dark_co_db and second < dark_cross_db:
                dark[y, x] += 1
            sums[0, y, x] += first
            sums[1, y, x] += first * first
            sums[2, y, x] += second


def _moments(
    count: np.ndarray, dark: np.ndarray, sums: np.ndarray, present: tuple[bool, bool]
) -> tuple[np.ndarray, ...]:
    """Sums to means and standard deviation; NaN where there is nothing to tell."""
    number = count.astype(np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(count > 0, dark / number, np.nan)
        mean = np.where((count > 0) & present[0], sums[0] / number, np.nan)
        variance = np.maximum(sums[1] / number - mean**2, 0) * number / (number - 1)
        std = np.where(count > 1, np.sqrt(variance), np.nan)
        cross = np.where((count > 0) & present[1], sums[2] / number, np.nan)
    return count, share, mean, std, cross
