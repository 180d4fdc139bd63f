"""The time series of an event's area, pass by pass, and the state it is in."""

import math
from collections.abc import Sequence

import dask
import dask.array as da
import numba
import numpy as np
import xarray as xr

from pipeline_lib.flood.window import WINDOW_PX, windows_of
from pipeline_lib.model import EXCLUDED, NOT_OBSERVED, EventState

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
    "doubt",
    "water",
    "reference",
    "total",
)
"""Areas of each pass: its own flood, by class; what it saw; the event's flood up to it (any pass; newest usable
observation); everything seen up to it; the doubt about its flood (`area_range`); water, reference water where seen, and
the whole area."""

SERIES_LAYERS = ("flood_extent", "flood_class", "likelihood", "reference_water", "water_extent", "observations")
STEADY_SHARE = 0.1
"""Change of the flooded area, of its largest, that is none yet."""
OVER_SHARE = 0.05
"""Below this share of its largest area a flood is over."""
INDEPENDENT = 4.0
"""Independent patches in a flood: errors run over whole fields, shores and towns. Chosen on simulated worlds
(`benchmarks/event_worlds.py`, seeds 601 to 612)."""
NINETY = 1.645
"""Standard deviations either side of the mean that hold nine tenths of a normal distribution."""
_VARIANCE = np.arange(101) * (100 - np.arange(101)) / 1e4
"""Variance of whether a pixel is water, by likelihood in percent."""


def area_series(
    floods: Sequence[xr.Dataset],
    column_area_m2: np.ndarray,
    inside: xr.DataArray | None = None,
    *,
    block_px: int = 2 * WINDOW_PX,
) -> xr.DataArray:
    """Areas of every pass, lazily: square metres, float64 (time, quantity) by `QUANTITIES`.

    Args:
        floods: FloodMaps in order of time on one grid.
        column_area_m2: ground area of a pixel of each column.
        inside: uint8 (y, x), 1 in the area of interest; everything where None.
        block_px: side of the windows that are counted one by one.
    """
    shape = (floods[0].sizes["y"], floods[0].sizes["x"])
    inputs = [inside, *(flood.get(name) for flood in floods for name in SERIES_LAYERS)]
    run = dask.delayed(_measure, pure=True)
    parts = []
    for window in (window for line in windows_of(shape, size=block_px) for window in line):
        cut = [None if layer is None else layer.data[window.rows, window.columns] for layer in inputs]
        parts.append(da.from_delayed(run(column_area_m2[window.columns], *cut), (len(floods), len(QUANTITIES)), float))
    return xr.DataArray(da.stack(parts).sum(axis=0), dims=("time", "quantity"))


def _measure(column_area_m2: np.ndarray, inside: np.ndarray | None, *arrays: np.ndarray | None) -> np.ndarray:
    """One window of the series."""
    step = len(SERIES_LAYERS)
    assert arrays[0] is not None  # noqa: S101 - guaranteed by the contract of FloodMap
    memory = np.zeros(arrays[0].shape, np.uint8)
    counted = _plane(inside)
    rows = []
    for start in range(0, len(arrays), step):
        planes = tuple(_plane(array) for array in arrays[start : start + step])
        counts, doubt = np.zeros((len(QUANTITIES), len(column_area_m2)), np.int64), np.zeros(len(column_area_m2))
        _tally(counted, planes, memory, counts, doubt)
        areas = [float(count @ column_area_m2) for count in counts]
        areas[DOUBT] = float(doubt @ column_area_m2)
        rows.append(areas)
    return np.array(rows)


def _plane(array: np.ndarray | None) -> np.ndarray:
    """A layer as the kernel reads it; an empty one where there is none."""
    if array is None:
        return np.empty((0, 0), np.uint8)
    return np.ascontiguousarray(array, array.dtype if array.dtype == np.uint16 else np.uint8)


(
    FLOOD,
    OPEN_FLOOD,
    FLOODED_VEGETATION,
    FLOODED_TOWN,
    USABLE,
    LEFT_OUT,
    OBSERVED,
    FLOOD_SO_FAR,
    FLOOD_NOW,
    SEEN_SO_FAR,
    DOUBT,
    WATER_SEEN,
    REFERENCE,
    TOTAL,
) = range(len(QUANTITIES))
"""Places of `QUANTITIES`, in its order."""
_EVER, _NOW, _SEEN = 1, 2, 4
"""Bits of what is remembered of a pixel: flooded once, flooded at the newest usable observation, seen."""


@numba.njit(cache=True, nogil=True)
def _tally(
    counted: np.ndarray, layers: tuple[np.ndarray, ...], memory: np.ndarray, counts: np.ndarray, doubt: np.ndarray
) -> None:
    """Pixels of each quantity by column (``counts``), their doubt, and what is remembered (``memory``)."""
    flood, classes, likelihood, reference, water, looks = layers
    for y in range(flood.shape[0]):
        for x in range(flood.shape[1]):
            usable, wet = flood[y, x] < EXCLUDED, flood[y, x] == 1
            if usable:
                memory[y, x] = (memory[y, x] & ~_NOW) | _SEEN | (_EVER | _NOW if wet else 0)
            if counted.size > 0 and counted[y, x] != 1:
                continue
            is_reference = reference[y, x] == 1 or reference[y, x] == 2
            code = (classes[y, x] if classes.size > 0 else 2) if wet else 0
            counts[FLOOD, x] += wet
            if 2 <= code <= 4:  # open flood, vegetation, town: in the order of their codes
                counts[OPEN_FLOOD + code - 2, x] += 1
            counts[USABLE, x] += usable
            counts[LEFT_OUT, x] += flood[y, x] == EXCLUDED
            counts[OBSERVED, x] += flood[y, x] != NOT_OBSERVED
            counts[FLOOD_SO_FAR, x] += (memory[y, x] & _EVER) != 0
            counts[FLOOD_NOW, x] += (memory[y, x] & _NOW) != 0
            counts[SEEN_SO_FAR, x] += (memory[y, x] & _SEEN) != 0
            counts[WATER_SEEN, x] += water.size > 0 and water[y, x] == 1
            counts[REFERENCE, x] += usable and is_reference
            counts[TOTAL, x] += 1
            if usable and not is_reference:
                variance = _VARIANCE[min(likelihood[y, x], 100)]
                doubt[x] += variance / max(looks[y, x], 1) if looks.size > 0 else variance


def area_range(flood_m2: float, doubt_m2: float, usable_m2: float) -> tuple[float, float]:
    """Range that holds the true flooded area in nine cases of ten, square metres.

    Were pixels independent, the flooded area sum(a_i x_i) with likelihoods p_i had the variance
    sum(a_i^2 p_i (1 - p_i)), which is nothing beside the truth: what goes wrong goes wrong over patches of many pixels.
    With patches of area b the variance is b D, where D = sum(a_i p_i (1 - p_i)) is the doubt. A flood of area A is
    taken as N = `INDEPENDENT` patches, b = (A + D) / N. Passes err independently, so a pixel with n usable looks
    counts p_i (1 - p_i) / n.

    Args:
        flood_m2: mapped flood, A.
        doubt_m2: D, over what could be told and is no reference water.
        usable_m2: what could be told, which no flood exceeds.

    References:
        Kish (1965), Survey Sampling, chapter 5: clusters and the effective size of a sample.
    """
    half = NINETY * math.sqrt((flood_m2 + doubt_m2) * doubt_m2 / INDEPENDENT)
    return max(flood_m2 - half, 0.0), min(flood_m2 + half, max(usable_m2, flood_m2))


def state_of(flood_now_m2: Sequence[float]) -> EventState:
    """State of an event from the carried-forward flood area at each pass.

    Rising: the newest area is the largest and grew by more than `STEADY_SHARE`. Peak: within `STEADY_SHARE` of the
    largest. Over: below `OVER_SHARE` of the largest. Receding: anything else.
    """
    areas = list(flood_now_m2)
    largest = max(areas, default=0.0)
    if largest <= 0:
        return EventState.NONE
    if areas[-1] < OVER_SHARE * largest:
        return EventState.OVER
    if len(areas) > 1 and areas[-1] == largest and areas[-1] > (1 + STEADY_SHARE) * areas[-2]:
        return EventState.RISING
    if areas[-1] >= (1 - STEADY_SHARE) * largest:
        return EventState.PEAK
    return EventState.RECEDING
