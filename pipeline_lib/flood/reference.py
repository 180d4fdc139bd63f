"""Reference water: what is water without a flood, permanently or in season.

Two witnesses are heard. The long-term optical record (JRC Global Surface Water: occurrence, and seasonality where it
is given) sees decades at 30 m; the archive of the same orbit sees the last months at 10 m with the same geometry.

==========================================  =========================================================
permanent (1)                               seasonality = 12 months or occurrence >= 75 %; or at least 4
                                            archive passes, >= 80 % of them dark as water
seasonal (2)                                occurrence >= 25 %; or >= 50 % of the archive passes dark (with
                                            fewer than 4 passes nothing more can be said than seasonal)
none (0)                                    either witness is heard and neither says water
unknown (255)                               no occurrence and no archive pass at this pixel
==========================================  =========================================================

Dark land (sand, tarmac, wet snow) is dark in every pass too. Where the long-term record knows the place and never
saw water within `ReferenceOptions.shore_px`, a dark archive is not believed: `derive_flood` excludes such pixels.

References:
    Pekel et al. (2016), High-resolution mapping of global surface water and its long-term changes, Nature 540.
"""

from functools import partial

import numpy as np
import xarray as xr
from scipy.ndimage import maximum_filter

from pipeline_lib.errors import InputError
from pipeline_lib.flood.archive import archive_statistics
from pipeline_lib.flood.window import WINDOW_PX, map_windows
from pipeline_lib.options.derive import ReferenceOptions

NONE, PERMANENT, SEASONAL, UNKNOWN = 0, 1, 2, 255


def reference_water(
    occurrence: xr.DataArray | None,
    history: xr.Dataset | None,
    options: ReferenceOptions | None = None,
    *,
    seasonality: xr.DataArray | None = None,
    like: xr.DataArray | None = None,
    block_px: int = WINDOW_PX,
) -> xr.DataArray:
    """Reference water of one orbit, by the table of this module.

    Args:
        occurrence: long-term share of observations with water, percent, float32 (y, x), NaN = unknown.
        history: passes before the event on the same relative orbit, dims (time, y, x), linear power, or their
            `archive_statistics`.
        options: limits of the table.
        seasonality: months of water in a year, 0 to 12, (y, x), NaN = unknown.
        like: gives the grid where neither witness is there (all unknown then).
        block_px: side of the windows that are worked on one by one; the result does not depend on it.

    Returns:
        uint8 (y, x): 0 none, 1 permanent, 2 seasonal, 255 unknown; lazily.

    Raises:
        InputError: nothing gives the grid.
    """
    options = options or ReferenceOptions()
    passes = dark = None
    if history is not None and history.sizes.get("time", 1) > 0:
        statistics = archive_statistics(history, options, block_px=block_px)
        passes, dark = statistics["passes"], statistics["dark_share"]
    witnesses = (occurrence, seasonality, passes, dark)
    if all(witness is None for witness in witnesses):
        if like is None:
            raise InputError("Reference water needs occurrence, a history, or a grid (like=) to be unknown on.")
        return _described(xr.full_like(like, UNKNOWN, dtype="uint8"))
    block = partial(_reference, options=options)
    layers = map_windows(block, witnesses, {"reference_water": "uint8"}, halo=options.shore_px, size=block_px)
    return _described(layers["reference_water"])


def _described(layer: xr.DataArray) -> xr.DataArray:
    """Name, units and codes."""
    layer.attrs = {
        "units": "1",
        "flag_values": [0, 1, 2, 255],
        "flag_meanings": "none permanent seasonal unknown",
    }
    return layer.rename("reference_water")


def _reference(
    occurrence: np.ndarray | None,
    seasonality: np.ndarray | None,
    passes: np.ndarray | None,
    dark: np.ndarray | None,
    *,
    options: ReferenceOptions,
) -> tuple[np.ndarray, ...]:
    """One window of the table."""
    shape = next(array.shape for array in (occurrence, seasonality, passes) if array is not None)
    percent = np.full(shape, np.nan, np.float32) if occurrence is None else occurrence
    months = np.full(shape, np.nan, np.float32) if seasonality is None else seasonality
    count = np.zeros(shape, np.uint16) if passes is None else passes
    share = np.zeros(shape, np.float32) if dark is None else np.nan_to_num(dark.astype(np.float32))
    recorded = np.isfinite(percent)
    near_water = maximum_filter(np.nan_to_num(percent, nan=100.0), 2 * options.shore_px + 1, mode="nearest")
    believed = ~recorded | (near_water >= options.never_occurrence_percent)
    enough = count >= options.min_passes
    permanent = (percent >= options.permanent_occurrence_percent) | (months >= 12)
    permanent |= enough & believed & (share >= options.permanent_share)
    seasonal = (percent >= options.seasonal_occurrence_percent) | (
        (count > 0) & believed & (share >= options.seasonal_share)
    )
    known = recorded | (count > 0)
    return (np.select([permanent, seasonal, known], [PERMANENT, SEASONAL, NONE], UNKNOWN).astype(np.uint8),)
