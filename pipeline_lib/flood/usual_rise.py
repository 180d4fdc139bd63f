"""How much brighter than its archive a whole pass is: rain on soil, frost, another season.

What a flood does to a stand or a street has to be told from what the weather did to all land. Rain wets the ground of
a whole pass and raises its backscatter by a decibel or two; the median change of dry land far from the flood says how
much.
"""

import dask
import numpy as np
import xarray as xr

from pipeline_lib.distance import square_distance
from pipeline_lib.flood.archive import smoothed_db
from pipeline_lib.model import DRY, WATER

BLOCK_PX = 256
MAX_BLOCKS = 36
MIN_PIXELS = 2000
"""With less dry land than this nothing is said of the weather."""
MAX_RISE_DB = 4.0
"""More, over half of all dry land, is no weather but a pass on another scale."""


def usual_rise_db(
    water: xr.DataArray,
    reference: xr.DataArray,
    co: xr.DataArray,
    co_mean_db: xr.DataArray,
    *,
    smoothing_px: int,
    reach_px: int,
) -> float:
    """Median rise of dry land over the archive's mean, dB; computed now, from blocks spread evenly over the grid.

    Args:
        water: uint8 (y, x), 0 dry, 1 water, 255 not observed.
        reference: uint8 (y, x), 0 none, 1 permanent, 2 seasonal, 255 unknown.
        co: co-polarised linear power (y, x), NaN = not observed.
        co_mean_db: the archive's mean of smoothed power, dB, NaN = unknown.
        smoothing_px: side of the box over which power is averaged, as in the archive.
        reach_px: land nearer to open flood is left out, unless there is no other.

    Returns:
        0 to `MAX_RISE_DB`; 0 with too little dry land to tell. A pass whose land is darker than usual gives 0 too: wet
        snow or frost darkens land unevenly, and what they spared has not risen.
    """
    blocks = _blocks((water.sizes["y"], water.sizes["x"]))
    read = [[layer[block].data for layer in (water, reference, co, co_mean_db)] for block in blocks]
    far, near = [], []
    for now, known, power, mean in dask.compute(read)[0]:
        rise = smoothed_db(power, smoothing_px) - mean.astype(np.float32)
        dry = (now == DRY) & (known == 0) & np.isfinite(rise)
        flood = (now == WATER) & (known == 0)
        apart = square_distance(flood, reach_px + 1) > reach_px**2
        far.append(rise[dry & apart])
        near.append(rise[dry & ~apart])
    told = np.concatenate(far)
    if told.size < MIN_PIXELS:
        told = np.concatenate([told, *near])
    if told.size < MIN_PIXELS:
        return 0.0
    return float(np.clip(np.median(told), 0.0, MAX_RISE_DB))


def _blocks(shape: tuple[int, int]) -> list[tuple[slice, slice]]:
    """At most `MAX_BLOCKS` blocks, evenly spread; all of a small grid."""
    spans = []
    for length in shape:
        count = min(int(MAX_BLOCKS**0.5), -(-length // BLOCK_PX))
        starts = np.linspace(0, max(length - BLOCK_PX, 0), count).round().astype(int)
        spans.append([slice(int(start), min(int(start) + BLOCK_PX, length)) for start in starts])
    return [(rows, columns) for rows in spans[0] for columns in spans[1]]
