"""Coarse pictures of an event: small enough for a page, true enough to read."""

import math

import dask
import dask.array as da
import numpy as np
import xarray as xr

from pipeline_lib.errors import ContractError
from pipeline_lib.flood.archive import co_and_cross
from pipeline_lib.flood.window import windows_of
from pipeline_lib.publish.blocks import block_sums

PREVIEW_PX = 2048
"""Longest side of a stored preview, pixels."""
FAINTEST = 1e-6
"""Power taken as the least, so that a decibel exists."""


def coarse_factor(shape: tuple[int, int], longest_px: int = PREVIEW_PX) -> int:
    """Pixels of the grid along each side of a preview pixel."""
    return max(math.ceil(max(shape) / longest_px), 1)


def coarse_backscatter(dataset: xr.Dataset, factor: int) -> xr.DataArray:
    """Mean co-polarised power in blocks of ``factor`` pixels (and over time where there is a time), in dB.

    Args:
        dataset: Scene or history, dims (time, y, x) or (y, x), linear power, NaN = not observed.
        factor: pixels of the grid along each side of a block.

    Returns:
        float32 (preview_y, preview_x), NaN where nothing was observed; lazily.

    Raises:
        ContractError: the dataset holds no polarisation.
    """
    co, cross = co_and_cross(dataset)
    band = co if co is not None else cross
    if band is None:
        raise ContractError("A backscatter preview needs a polarisation; the dataset holds none.")
    shape = (band.sizes["y"], band.sizes["x"])
    size = factor * max(1024 // factor, 1)
    run = dask.delayed(_coarse, pure=True)
    rows = []
    for line in windows_of(shape, size=size):
        row = []
        for window in line:
            own = (window.rows.stop - window.rows.start, window.columns.stop - window.columns.start)
            small = (math.ceil(own[0] / factor), math.ceil(own[1] / factor))
            row.append(da.from_delayed(run(band.data[..., window.rows, window.columns], factor), small, np.float32))
        rows.append(row)
    return xr.DataArray(da.block(rows), dims=("preview_y", "preview_x"), attrs={"units": "dB", "factor": factor})


def coarse_power(power: np.ndarray, factor: int) -> np.ndarray:
    """Block mean of (y, x) over finite values, NaN where a block has none; partial blocks at the edges count."""
    total, count = block_sums(power, factor, math.nan)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def _coarse(power: np.ndarray, factor: int) -> np.ndarray:
    """One window, its passes averaged."""
    stack = power[np.newaxis] if power.ndim == 2 else power
    means = np.stack([coarse_power(one, factor) for one in stack])
    seen = np.isfinite(means).any(axis=0)
    mean = np.nansum(means, axis=0) / np.maximum(np.isfinite(means).sum(axis=0), 1)
    decibel = 10 * np.log10(np.maximum(mean, FAINTEST))
    return np.where(seen, decibel, np.nan).astype(np.float32)
