"""What the archive of one orbit says about each pixel: how bright it is before a flood, and how often it is dark.

All passes share the relative orbit and so the viewing geometry: their differences are changes on the ground.
"""

from functools import partial

import numpy as np
import xarray as xr

from pipeline_lib.flood.window import map_windows
from pipeline_lib.options.derive import ReferenceOptions
from pipeline_lib.water.filtering import boxcar, decibel

STATISTICS = {
    "passes": "uint16",
    "dark_share": "float32",
    "co_mean_db": "float32",
    "co_std_db": "float32",
    "cross_mean_db": "float32",
}


def co_and_cross(dataset: xr.Dataset) -> tuple[xr.DataArray | None, xr.DataArray | None]:
    """The co-polarised (vv or hh) and the cross-polarised (vh or hv) variable of a Scene or a history."""
    co = next((dataset[name] for name in ("vv", "hh") if name in dataset), None)
    cross = next((dataset[name] for name in ("vh", "hv") if name in dataset), None)
    return co, cross


def archive_statistics(history: xr.Dataset, options: ReferenceOptions) -> xr.Dataset:
    """Statistics of the passes before the event.

    Args:
        history: polarisations with dims (time, y, x), linear power, NaN = not observed.
        options: smoothing and what counts as dark.

    Returns:
        Dataset (y, x): ``passes`` uint16 valid passes; ``dark_share`` share of them dark as water, NaN without any;
        ``co_mean_db``, ``co_std_db``, ``cross_mean_db`` of smoothed power in dB, NaN where unknown.
    """
    co, cross = co_and_cross(history)
    block = partial(
        _statistics, size=options.smoothing_px, dark_co_db=options.dark_vv_db, dark_cross_db=options.dark_vh_db
    )
    return map_windows(block, (co, cross), STATISTICS, halo=options.smoothing_px // 2)


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
    count, dark = np.zeros(shape, np.uint16), np.zeros(shape, np.uint16)
    sums = {name: np.zeros(shape, np.float64) for name in ("co", "co2", "cross")}
    for index in range(stack.shape[0]):
        levels = [None if band is None else smoothed_db(band[index], size) for band in (co, cross)]
        seen = np.logical_and.reduce([np.isfinite(level) for level in levels if level is not None])
        is_dark = seen.copy()
        for level, limit in zip(levels, (dark_co_db, dark_cross_db), strict=True):
            if level is not None:
                is_dark &= np.nan_to_num(level, nan=0.0) < limit
        count += seen
        dark += is_dark
        for name, level, power in (("co", levels[0], 1), ("co2", levels[0], 2), ("cross", levels[1], 1)):
            if level is not None:
                sums[name] += np.where(seen, level, 0.0) ** power
    return _moments(count, dark, sums, (co is not None, cross is not None))


def _moments(
    count: np.ndarray, dark: np.ndarray, sums: dict[str, np.ndarray], present: tuple[bool, bool]
) -> tuple[np.ndarray, ...]:
    """Sums to means and standard deviation; NaN where there is nothing to tell."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(count > 0, dark / count, np.nan)
        mean = np.where((count > 0) & present[0], sums["co"] / count, np.nan)
        variance = np.maximum(sums["co2"] / count - mean**2, 0) * count / (count - 1.0)
        std = np.where(count > 1, np.sqrt(variance), np.nan)
        cross = np.where((count > 0) & present[1], sums["cross"] / count, np.nan)
    return count, share, mean, std, cross
