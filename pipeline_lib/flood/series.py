"""The time series of an event's area, pass by pass, and the state it is in."""

from collections.abc import Sequence
from enum import StrEnum

import dask
import dask.array as da
import numpy as np
import xarray as xr

from pipeline_lib.flood.window import WINDOW_PX, windows_of
from pipeline_lib.model import EXCLUDED, NOT_OBSERVED

QUANTITIES = (
    "flood",
    "open_flood",
    "flooded_vegetation",
    "flooded_town",
    "usable",
    "excluded",
    "observed",
    "flood_so_far",
    "flood_now",
    "seen_so_far",
    "flood_high",
    "flood_low",
    "flood_expected",
    "water",
    "reference",
    "total",
)
"""Areas of each pass: its own flood, by class; what it saw; the event's flood up to it (any pass; newest usable
observation); everything seen up to it; flood at a likelihood above 25 %, above 75 %, and the sum of likelihoods; water,
reference water where seen, and the whole area."""

SERIES_LAYERS = ("flood_extent", "flood_class", "likelihood", "reference_water", "water_extent")


class EventState(StrEnum):
    """Where the event stands."""

    RISING = "rising"
    PEAK = "peak"
    RECEDING = "receding"
    OVER = "over"
    NONE = "no flood seen"


def area_series(
    floods: Sequence[xr.Dataset], column_area_m2: np.ndarray, inside: xr.DataArray | None = None
) -> xr.DataArray:
    """Areas of every pass, lazily: square metres, float64 (time, quantity) by `QUANTITIES`.

    Args:
        floods: FloodMaps in order of time on one grid.
        column_area_m2: ground area of a pixel of each column.
        inside: uint8 (y, x), 1 in the area of interest; everything where None.
    """
    shape = (floods[0].sizes["y"], floods[0].sizes["x"])
    inputs = [inside, *(flood.get(name) for flood in floods for name in SERIES_LAYERS)]
    run = dask.delayed(_measure, pure=True)
    parts = []
    for window in (window for line in windows_of(shape, size=2 * WINDOW_PX) for window in line):
        cut = [None if layer is None else layer.data[window.rows, window.columns] for layer in inputs]
        parts.append(da.from_delayed(run(column_area_m2[window.columns], *cut), (len(floods), len(QUANTITIES)), float))
    return xr.DataArray(da.stack(parts).sum(axis=0), dims=("time", "quantity"))


def _measure(column_area_m2: np.ndarray, inside: np.ndarray | None, *arrays: np.ndarray | None) -> np.ndarray:
    """One window of the series."""
    step = len(SERIES_LAYERS)
    assert arrays[0] is not None  # noqa: S101 - guaranteed by the contract of FloodMap
    now = np.zeros(arrays[0].shape, bool)
    ever, seen = now.copy(), now.copy()
    rows = []
    for start in range(0, len(arrays), step):
        flood, classes, likelihood, reference, water = arrays[start : start + step]
        assert flood is not None  # noqa: S101 - guaranteed by the contract of FloodMap
        assert likelihood is not None  # noqa: S101
        assert reference is not None  # noqa: S101
        usable, wet = flood < EXCLUDED, flood == 1
        now = np.where(usable, wet, now)
        ever |= wet
        seen |= usable
        kinds = [wet & ((2 if classes is None else classes) == code) for code in (2, 3, 4)]
        is_reference = np.isin(reference, (1, 2))
        told = usable & ~is_reference
        masks = [wet, *kinds, usable, flood == EXCLUDED, flood != NOT_OBSERVED, ever, now, seen]
        masks += [told & (likelihood > 25), told & (likelihood > 75)]
        counted = np.ones(flood.shape, bool) if inside is None else inside == 1
        areas = [float(np.count_nonzero(mask & counted, axis=0) @ column_area_m2) for mask in masks]
        expected = np.where(told & counted, likelihood, 0).sum(axis=0, dtype=np.float64) / 100
        rest = [np.asarray(water == 1), usable & is_reference, np.ones(flood.shape, bool)]
        others = [float(np.count_nonzero(mask & counted, axis=0) @ column_area_m2) for mask in rest]
        rows.append([*areas, float(expected @ column_area_m2), *others])
    return np.array(rows)


def state_of(flood_now_m2: Sequence[float], *, tolerance: float = 0.1, over_share: float = 0.05) -> EventState:
    """State of an event from the carried-forward flood area at each pass.

    Rising: the newest area is the largest and grew by more than ``tolerance``. Peak: within ``tolerance`` of the
    largest. Over: below ``over_share`` of the largest. Receding: anything else.
    """
    areas = list(flood_now_m2)
    largest = max(areas, default=0.0)
    if largest <= 0:
        return EventState.NONE
    if areas[-1] < over_share * largest:
        return EventState.OVER
    if len(areas) > 1 and areas[-1] == largest and areas[-1] > (1 + tolerance) * areas[-2]:
        return EventState.RISING
    if areas[-1] >= (1 - tolerance) * largest:
        return EventState.PEAK
    return EventState.RECEDING
