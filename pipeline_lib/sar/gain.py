"""Gain between a pass and references that were made otherwise (GRD here, terrain-corrected there), in decibel.

Terrain-corrected products of an archive and our own differ by tenths of a decibel: enough to shift what a change of
backscatter means. The gain is the median difference over ground that did not change: cells of several pixels that are
no water and look alike in all references, without the outliers that flood and harvest make of the pass.

References:
    Schott et al. 1988, Radiometric scene normalization using pseudoinvariant features, Remote Sens. Environ. 26, 1-16.
    Small 2011, Flattening gamma: radiometric terrain correction for SAR imagery, IEEE TGRS 49(8), 3081-3093.
"""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pipeline_lib.model import Record, polarisations_of
from pipeline_lib.sar.registration import CHANGE_DB, DARK_DB

CELL_PX = 8
"""Side of a cell: the mean of 64 pixels of 4.4 looks, taken as half independent, has a speckle of 0.4 dB."""
STABLE_DB = 1.0
"""Standard deviation of a cell over the references, at most; speckle alone makes less than half of it."""
MIN_CELLS = 100
"""Fewer cells of stable ground tell nothing; the median of a hundred is known to a tenth of their spread."""
MAX_SPREAD_DB = 1.5
"""Robust spread of the differences on stable ground; where it is larger, the two do not show the same ground."""
OUTLIER = 3.0
"""Differences further than so many spreads from the median are change."""


class GainEstimate(Record):
    """How much brighter a pass is than its references on ground that did not change."""

    references: str
    """What made the references."""
    gain_db: dict[str, float]
    """By polarisation; empty where it could not be measured."""
    spread_db: dict[str, float]
    """Robust standard deviation of the differences, by polarisation."""
    cells: int
    """Cells of stable ground, of the polarisation that has fewest."""
    reason: str = ""
    """Why the gain cannot be trusted; empty where it was taken off the pass."""


def measure_gain(scene: xr.Dataset, history: xr.Dataset, *, references: str) -> GainEstimate:
    """Measure the gain of a pass against its references.

    Args:
        scene: Scene (y, x) of the pass, linear power.
        history: the references (time, y, x) on the same grid, linear power.
        references: what made them, for the record.

    Returns:
        The gain, with a reason where it cannot be trusted.
    """
    shared = [name for name in polarisations_of(scene) if name in history]
    layers = {name: [*_layers(scene[name], history[name])] for name in shared}
    computed = xr.Dataset(
        {f"{name}_{part}": layer for name, parts in layers.items() for part, layer in zip("dms", parts, strict=True)}
    ).compute()
    gains, spreads, counts = {}, {}, []
    for name in shared:
        difference, mean, deviation = (computed[f"{name}_{part}"].to_numpy() for part in "dms")
        stable = np.isfinite(difference) & (mean > DARK_DB[name]) & ~(deviation > STABLE_DB)
        gain, spread, count = _robust(difference[stable])
        counts.append(count)
        if count >= MIN_CELLS:
            gains[name], spreads[name] = round(gain, 3), round(spread, 3)
    cells = min(counts, default=0)
    estimate = GainEstimate(references=references, gain_db=gains, spread_db=spreads, cells=cells)
    return estimate.model_copy(update={"reason": _reason(estimate, shared)})


def without_gain(scene: xr.Dataset, estimate: GainEstimate) -> xr.Dataset:
    """A Scene (y, x) as bright as its references, polarisation by polarisation; linear power."""
    changed = {
        name: (scene[name] / np.float32(10 ** (gain / 10))).assign_attrs(scene[name].attrs)
        for name, gain in estimate.gain_db.items()
    }
    return scene.assign(changed)


def _layers(power: xr.DataArray, history: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Of every cell, lazily: difference of the pass and the mean of the references, that mean, their deviation; dB."""
    here, before = _cells(power), _cells(history)
    mean = before.mean("time", skipna=False)
    return here - mean, mean, before.std("time", skipna=False)


def _cells(power: xr.DataArray) -> xr.DataArray:
    """Mean power of every cell that is observed throughout, decibel."""
    cells = power.drop_vars([name for name in power.coords if name != "time"]).coarsen(
        y=CELL_PX, x=CELL_PX, boundary="trim"
    )
    mean = cells.reduce(np.mean)
    decibel: xr.DataArray = 10 * xr.apply_ufunc(np.log10, mean.where(mean > 0), dask="allowed")
    return decibel


def _robust(differences: NDArray[np.float32]) -> tuple[float, float, int]:
    """Median and robust spread without outliers, and how many values are left."""
    for _ in range(2):
        if not differences.size:
            return 0.0, 0.0, 0
        middle = float(np.median(differences))
        spread = 1.4826 * float(np.median(np.abs(differences - middle)))
        differences = differences[np.abs(differences - middle) <= OUTLIER * max(spread, 1e-3)]
    return float(np.median(differences)), spread, int(differences.size)


def _reason(estimate: GainEstimate, shared: list[str]) -> str:
    """Why a gain cannot be trusted; empty where it can."""
    if not shared:
        return "the pass and its references share no polarisation"
    if estimate.cells < MIN_CELLS:
        return f"{estimate.cells} cells of stable ground were found, {MIN_CELLS} are needed"
    for name, gain in estimate.gain_db.items():
        if abs(gain) > CHANGE_DB:
            return f"{name.upper()} differs by {gain:+.1f} dB, more than products of one scene do"
        if estimate.spread_db[name] > MAX_SPREAD_DB:
            return f"differences of {name.upper()} on stable ground spread by {estimate.spread_db[name]:.1f} dB"
    return ""
