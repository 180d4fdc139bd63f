"""Advisory flags: warnings over a neighbourhood that leave each class as it is.

Decided in square cells, because wind, frost and drought are regional and a single pixel cannot show them.
"""

import numpy as np

from pipeline_lib.flood.evidence import Evidence
from pipeline_lib.model import Advisory

MIN_PIXELS = 30
"""A cell with fewer telling pixels raises no flag."""
MISSED_SHARE = 0.3
"""Share of a cell's permanent water that must look like land before wind is suspected."""
FROST_DROP_DB = 3.0
"""Median fall of both channels over land from which frost or wet snow is suspected."""
DRY_LAND_DB = -14.0
"""Median co-polarised gamma0 of land from which dry, smooth soil is suspected."""


def advisory_flags(evidence: Evidence, cell_px: int, core: tuple[slice, slice]) -> np.ndarray:
    """Bits of `Advisory`, uint8 (y, x), constant within each cell of ``core``; 0 = none, and outside ``core``.

    ROUGH_WATER: more than `MISSED_SHARE` of the permanent water seen in the cell was not found as water.
    FROZEN_OR_WET_SNOW: over land, co- and cross-polarised power both fell by `FROST_DROP_DB` (median) against the
    archive. DRY_SOIL: the land's median co-polarised power lies below `DRY_LAND_DB`.
    """
    flags = np.zeros(evidence.water.shape, np.uint8)
    rows, columns = core
    for top in range(rows.start, rows.stop, cell_px):
        for left in range(columns.start, columns.stop, cell_px):
            cell = slice(top, min(top + cell_px, rows.stop)), slice(left, min(left + cell_px, columns.stop))
            flags[cell] = _cell(evidence, cell)
    flags[evidence.water == 255] = 0
    return flags


def _cell(evidence: Evidence, cell: tuple[slice, slice]) -> np.uint8:
    """The flags of one cell."""
    flags = 0
    water, reference = evidence.water[cell], evidence.reference[cell]
    permanent = (reference == 1) & (water != 255)
    if permanent.sum() >= MIN_PIXELS and (water[permanent] == 0).mean() > MISSED_SHARE:
        flags |= Advisory.ROUGH_WATER
    land = (reference == 0) & (water == 0)
    if land.sum() < MIN_PIXELS or evidence.co_db is None:
        return np.uint8(flags)
    if np.nanmedian(evidence.co_db[cell][land]) < DRY_LAND_DB:
        flags |= Advisory.DRY_SOIL
    falls = [
        level[cell][land] - mean[cell][land]
        for level, mean in ((evidence.co_db, evidence.co_mean_db), (evidence.cross_db, evidence.cross_mean_db))
        if level is not None and mean is not None
    ]
    falls = [fall[np.isfinite(fall)] for fall in falls]
    if falls and all(fall.size >= MIN_PIXELS and np.median(fall) <= -FROST_DROP_DB for fall in falls):
        flags |= Advisory.FROZEN_OR_WET_SNOW
    return np.uint8(flags)
