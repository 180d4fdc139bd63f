"""How sure a score is: bootstrap over events, and chips within events.

Pixels of a chip, and chips of an event, are not independent; an interval over pixels would be absurdly narrow. Each
resample draws events with replacement, then chips within each drawn event with replacement. With one event only, the
interval is over its chips and says nothing about other events.

References:
    Efron and Tibshirani: An introduction to the bootstrap, 1993, ch. 8 (two-level sampling), ch. 13 (percentiles).
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.errors import ContractError
from pipeline_lib.evaluate.summary import ChipConfusion, compared
from pipeline_lib.model import Record

RESAMPLES = 1000


class Interval(Record):
    """A 95 % percentile interval."""

    low: float
    high: float


class Intervals(Record):
    """95 % bootstrap intervals of the headline scores; None where a score is undefined in most resamples."""

    resamples: int
    events: int
    """Events drawn from; 1 means that the interval speaks of chips of one event only."""
    water_iou_pooled: Interval | None
    water_f1_pooled: Interval | None
    water_iou_per_chip_mean: Interval | None
    water_iou_per_chip_median: Interval | None
    water_iou_per_event_mean: Interval | None


Counts = NDArray[np.float64]
"""TP, FP, FN of each drawn chip, with the number of its drawn event: shape (chip, 4)."""


def _pooled_iou(drawn: Counts) -> float:
    return _mean(_ious(drawn.sum(axis=0, keepdims=True)))


def _pooled_f1(drawn: Counts) -> float:
    hit, false, missed = drawn[:, :3].sum(axis=0)
    whole = 2 * hit + false + missed
    return float(2 * hit / whole) if whole else float("nan")


def _ious(counts: Counts) -> NDArray[np.float64]:
    """Of each row that has any water."""
    union = counts[:, :3].sum(axis=1)
    ious: NDArray[np.float64] = counts[union > 0, 0] / union[union > 0]
    return ious


def _mean(ious: NDArray[np.float64]) -> float:
    return float(ious.mean()) if ious.size else float("nan")


def _chip_mean(drawn: Counts) -> float:
    return _mean(_ious(drawn))


def _chip_median(drawn: Counts) -> float:
    ious = _ious(drawn)
    return float(np.median(ious)) if ious.size else float("nan")


def _event_mean(drawn: Counts) -> float:
    events = drawn[:, 3].astype(int)
    return _mean(_ious(np.stack([np.bincount(events, drawn[:, kind]) for kind in range(3)], axis=1)))


STATISTICS: dict[str, Callable[[Counts], float]] = {
    "water_iou_pooled": _pooled_iou,
    "water_f1_pooled": _pooled_f1,
    "water_iou_per_chip_mean": _chip_mean,
    "water_iou_per_chip_median": _chip_median,
    "water_iou_per_event_mean": _event_mean,
}


def bootstrap(chips: Sequence[ChipConfusion], *, resamples: int = RESAMPLES, seed: int = 0) -> Intervals:
    """Intervals of the headline scores.

    Args:
        chips: counts of every chip; those without a valid pixel are left out.
        resamples: number of bootstrap samples.
        seed: of the random draw: the same chips give the same interval.

    Raises:
        ContractError: no chip has a valid pixel.
    """
    blocks = _blocks([chips])
    draws = [drawn for (drawn,) in _resample(blocks, resamples, seed)]
    found = {name: _interval([statistic(drawn) for drawn in draws]) for name, statistic in STATISTICS.items()}
    return Intervals(resamples=resamples, events=len(blocks), **found)


def paired_bootstrap(
    one: Sequence[ChipConfusion],
    other: Sequence[ChipConfusion],
    *,
    statistic: str = "water_iou_pooled",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval | None:
    """Interval of the difference ``one - other`` of two methods on the same chips: above 0 means better, surely.

    Raises:
        ContractError: the chips are not the same, or none has a valid pixel.
    """
    if [(chip.chip, chip.event) for chip in one] != [(chip.chip, chip.event) for chip in other]:
        raise ContractError("A paired comparison needs the same chips in the same order on both sides.")
    score = STATISTICS[statistic]
    return _interval([score(a) - score(b) for a, b in _resample(_blocks([one, other]), resamples, seed)])


def _blocks(methods: Sequence[Sequence[ChipConfusion]]) -> list[NDArray[np.float64]]:
    """TP, FP, FN by event: one array (method, chip, 3) each."""
    events: dict[str, list[list[list[int]]]] = {}
    for chips in zip(*methods, strict=True):
        if any(compared(chip.confusion) for chip in chips):
            counts = [
                [chip.confusion.true_positive, chip.confusion.false_positive, chip.confusion.false_negative]
                for chip in chips
            ]
            events.setdefault(chips[0].event, []).append(counts)
    if not events:
        raise ContractError("No chip has a pixel that is valid in both map and label.")
    return [np.array(counts, np.float64).transpose(1, 0, 2) for counts in events.values()]


def _resample(blocks: list[NDArray[np.float64]], resamples: int, seed: int) -> list[list[Counts]]:
    """Draw events, then chips within them; the same draw for every method."""
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(resamples):
        parts = []
        for place, event in enumerate(rng.integers(0, len(blocks), len(blocks))):
            block = blocks[event]
            chosen = block[:, rng.integers(0, block.shape[1], block.shape[1])]
            parts.append(np.concatenate([chosen, np.full((*chosen.shape[:2], 1), place)], axis=2))
        drawn.append(list(np.concatenate(parts, axis=1)))
    return drawn


def _interval(values: list[float]) -> Interval | None:
    finite = np.array([value for value in values if np.isfinite(value)])
    if finite.size < len(values) / 2:
        return None
    low, high = np.percentile(finite, [2.5, 97.5])
    return Interval(low=float(low), high=float(high))
