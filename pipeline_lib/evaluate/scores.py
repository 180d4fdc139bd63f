"""Scores of a binary water map against a label: counted once, then read in every way the literature reads them.

"IoU" alone means nothing: published numbers pool pixels, average chips, average batches or average events. Every
score here says in its name which of them it is. A score whose denominator is zero is None, never 0 or 1.

Conventions: positive = water (or flood, where the label is flood only); *pooled* = one confusion over all pixels of
all chips; *per chip* = one score a chip, then mean or median over the chips where it is defined (a chip with no water
in the label and none predicted has no IoU and is skipped; a chip with no water but a false alarm has IoU 0);
*wet chip* = the label holds water; *per event* = pixels pooled within an event, then averaged over events.

References:
    Bonafilia et al., Sen1Floods11, CVPRW 2020; Cohen, A coefficient of agreement for nominal scales, 1960;
    Matthews, Biochim. Biophys. Acta 405, 1975.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.errors import ContractError, GridMismatchError
from pipeline_lib.model import EXCLUDED, NOT_OBSERVED, WATER, Confusion, Record

UNLABELLED = (-1, EXCLUDED, NOT_OBSERVED)
"""Codes that mean "no answer" in a label or a map: they are left out of every score, and counted."""


class Scores(Record):
    """Every score of one confusion; None where the denominator is zero."""

    confusion: Confusion
    """The counts that all else follows from."""
    pixel_accuracy: float | None
    """(TP + TN) / N."""
    water_precision: float | None
    """TP / (TP + FP); 1 - commission error."""
    water_recall: float | None
    """TP / (TP + FN); 1 - omission error."""
    water_f1: float | None
    """2 TP / (2 TP + FP + FN)."""
    water_iou: float | None
    """TP / (TP + FP + FN); also called CSI or threat score."""
    land_precision: float | None
    """TN / (TN + FN)."""
    land_recall: float | None
    """TN / (TN + FP)."""
    land_f1: float | None
    """2 TN / (2 TN + FP + FN)."""
    land_iou: float | None
    """TN / (TN + FP + FN)."""
    mean_iou: float | None
    """Mean of water_iou and land_iou; None where either is undefined."""
    area_bias: float | None
    """(TP + FP) / (TP + FN): mapped water area over labelled water area; 1 = no bias."""
    kappa: float | None
    """Cohen's kappa: agreement beyond chance."""
    mcc: float | None
    """Matthews correlation coefficient."""


class ChipConfusion(Record):
    """The counts of one chip, and what it is to be pooled with."""

    chip: str
    """Identifier of the chip within its dataset."""
    event: str
    """Flood event (or place and date) the chip belongs to."""
    confusion: Confusion
    pixel_area_km2: float | None = None
    """Area of one pixel; None where the dataset does not say."""


class PerChip(Record):
    """Scores a chip, summarised over chips; see the module's conventions for what is skipped."""

    chips: int
    """Chips with at least one valid pixel."""
    chips_skipped_empty: int
    """Chips without water in label and map: water IoU undefined, skipped."""
    wet_chips: int
    """Chips whose label holds water."""
    water_iou_per_chip_mean: float | None
    water_iou_per_chip_median: float | None
    water_iou_per_chip_mean_empty_as_one: float | None
    """The mean if chips without water in label and map count as 1 instead of being skipped."""
    water_iou_per_wet_chip_mean: float | None
    water_iou_per_wet_chip_median: float | None
    water_f1_per_chip_mean: float | None
    pixel_accuracy_per_chip_mean: float | None
    water_iou_per_batch_of_4_mean: float | None
    """Mean over batches of 4 consecutive chips of the batch-pooled water IoU, 1e-7 added to both parts, as the
    Sen1Floods11 notebook computes it: depends on the order of the chips; only for comparison with published numbers."""


class PerEvent(Record):
    """Scores an event (pixels pooled within the event), summarised over events."""

    events: int
    water_iou_per_event_mean: float | None
    water_iou_per_event_median: float | None
    water_iou_per_event_worst: float | None


class DryChips(Record):
    """What was mapped on chips whose label holds no water at all."""

    chips: int
    false_alarm_pixels: int
    valid_pixels: int
    false_alarm_share: float | None
    """False alarm pixels over valid pixels."""
    false_alarm_km2: float | None
    """None where a chip's pixel area is unknown."""


class Summary(Record):
    """A whole dataset scored: pooled, per chip, per event, and its dry chips."""

    pooled: Scores
    per_chip: PerChip
    per_event: PerEvent
    dry_chips: DryChips
    events: dict[str, Scores]
    """Pixels pooled within each event."""


def confusion(
    predicted: NDArray[np.generic],
    truth: NDArray[np.generic],
    *,
    positive: Collection[int] = (WATER,),
    truth_positive: Collection[int] = (WATER,),
    ignore: Collection[int] = UNLABELLED,
    valid: NDArray[np.bool_] | None = None,
) -> Confusion:
    """Count agreement on the pixels valid on both sides.

    Args:
        predicted: codes or booleans, any shape.
        truth: codes or booleans, the same shape.
        positive: codes of ``predicted`` that mean water.
        truth_positive: codes of ``truth`` that mean water.
        ignore: codes that mean "no answer", on either side; those pixels are counted as ignored.
        valid: further restriction, True = compare; None = everywhere.

    Raises:
        GridMismatchError: the shapes differ.
        ContractError: an array holds floats: threshold a likelihood first, so that the threshold is a decision.
    """
    if predicted.shape != truth.shape or (valid is not None and valid.shape != truth.shape):
        shapes = [array.shape for array in (predicted, truth, valid) if array is not None]
        raise GridMismatchError(f"Map, label and validity must share one shape; got {shapes}.")
    common = _answered(predicted, ignore, "map") & _answered(truth, ignore, "label")
    if valid is not None:
        common &= valid
    water, labelled = _among(predicted, positive)[common], _among(truth, truth_positive)[common]
    hits = int(np.count_nonzero(water & labelled))
    mapped, wet = int(np.count_nonzero(water)), int(np.count_nonzero(labelled))
    return Confusion(
        true_positive=hits,
        false_positive=mapped - hits,
        false_negative=wet - hits,
        true_negative=water.size - mapped - wet + hits,
        ignored=truth.size - water.size,
    )


def _among(codes: NDArray[np.generic], wanted: Collection[int]) -> NDArray[np.bool_]:
    """Membership; -1 cannot occur in an unsigned array and must not wrap to 255 there."""
    found = np.zeros(codes.shape, bool)
    for code in wanted:
        if codes.dtype == bool or code >= 0 or np.issubdtype(codes.dtype, np.signedinteger):
            found |= codes == code
    return found


def _answered(codes: NDArray[np.generic], ignore: Collection[int], what: str) -> NDArray[np.bool_]:
    if codes.dtype == bool:
        return np.ones(codes.shape, bool)
    if not np.issubdtype(codes.dtype, np.integer):
        raise ContractError(
            f"The {what} has dtype {codes.dtype}, expected class codes (integer or bool); threshold it."
        )
    return ~_among(codes, ignore)


def score(counts: Confusion) -> Scores:
    """Read every score out of one confusion."""
    hit, false, missed, rejected = (
        counts.true_positive,
        counts.false_positive,
        counts.false_negative,
        counts.true_negative,
    )
    water_iou, land_iou = _ratio(hit, hit + false + missed), _ratio(rejected, rejected + false + missed)
    return Scores(
        confusion=counts,
        pixel_accuracy=_ratio(hit + rejected, hit + false + missed + rejected),
        water_precision=_ratio(hit, hit + false),
        water_recall=_ratio(hit, hit + missed),
        water_f1=_ratio(2 * hit, 2 * hit + false + missed),
        water_iou=water_iou,
        land_precision=_ratio(rejected, rejected + missed),
        land_recall=_ratio(rejected, rejected + false),
        land_f1=_ratio(2 * rejected, 2 * rejected + false + missed),
        land_iou=land_iou,
        mean_iou=None if water_iou is None or land_iou is None else (water_iou + land_iou) / 2,
        area_bias=_ratio(hit + false, hit + missed),
        kappa=_kappa(hit, false, missed, rejected),
        mcc=_mcc(hit, false, missed, rejected),
    )


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _kappa(hit: int, false: int, missed: int, rejected: int) -> float | None:
    total = hit + false + missed + rejected
    if not total:
        return None
    chance = ((hit + false) * (hit + missed) + (rejected + missed) * (rejected + false)) / total**2
    return _ratio((hit + rejected) / total - chance, 1 - chance)


def _mcc(hit: int, false: int, missed: int, rejected: int) -> float | None:
    # Python's integers do not overflow where a product of four scene-sized counts would.
    product = (hit + false) * (hit + missed) * (rejected + false) * (rejected + missed)
    return _ratio(hit * rejected - false * missed, math.sqrt(product))


def pool(counts: Iterable[Confusion]) -> Confusion:
    """Sum of confusions; all zero for none."""
    return sum(counts, start=Confusion(true_positive=0, false_positive=0, false_negative=0, true_negative=0))


def summarise(chips: Sequence[ChipConfusion]) -> Summary:
    """Score a dataset pooled, per chip and per event.

    Raises:
        ContractError: no chip has a valid pixel, so that there is nothing to score.
    """
    used = [chip for chip in chips if _compared(chip.confusion)]
    if not used:
        raise ContractError(f"None of the {len(chips)} chips has a pixel that is valid in both map and label.")
    ordered = sorted(used, key=lambda chip: chip.event)
    events = {
        event: score(pool(chip.confusion for chip in members))
        for event, members in groupby(ordered, key=lambda chip: chip.event)
    }
    return Summary(
        pooled=score(pool(chip.confusion for chip in chips)),
        per_chip=_per_chip(used),
        per_event=_per_event(events),
        dry_chips=_dry_chips(used),
        events=events,
    )


def _compared(counts: Confusion) -> int:
    return counts.true_positive + counts.false_positive + counts.false_negative + counts.true_negative


def _is_wet(chip: ChipConfusion) -> bool:
    return chip.confusion.true_positive + chip.confusion.false_negative > 0


def _per_chip(chips: Sequence[ChipConfusion]) -> PerChip:
    scores = [score(chip.confusion) for chip in chips]
    ious = [each.water_iou for each in scores]
    wet = [each.water_iou for chip, each in zip(chips, scores, strict=True) if _is_wet(chip)]
    return PerChip(
        chips=len(chips),
        chips_skipped_empty=sum(iou is None for iou in ious),
        wet_chips=len(wet),
        water_iou_per_chip_mean=_mean(ious),
        water_iou_per_chip_median=_median(ious),
        water_iou_per_chip_mean_empty_as_one=_mean([1.0 if iou is None else iou for iou in ious]),
        water_iou_per_wet_chip_mean=_mean(wet),
        water_iou_per_wet_chip_median=_median(wet),
        water_f1_per_chip_mean=_mean([each.water_f1 for each in scores]),
        pixel_accuracy_per_chip_mean=_mean([each.pixel_accuracy for each in scores]),
        water_iou_per_batch_of_4_mean=_mean(
            [_batch_iou(chips[start : start + 4]) for start in range(0, len(chips), 4)]
        ),
    )


def _batch_iou(batch: Sequence[ChipConfusion]) -> float:
    counts, epsilon = pool(chip.confusion for chip in batch), 1e-7
    union = counts.true_positive + counts.false_positive + counts.false_negative
    return (counts.true_positive + epsilon) / (union + epsilon)


def _per_event(events: dict[str, Scores]) -> PerEvent:
    ious = [each.water_iou for each in events.values()]
    defined = [iou for iou in ious if iou is not None]
    return PerEvent(
        events=len(events),
        water_iou_per_event_mean=_mean(ious),
        water_iou_per_event_median=_median(ious),
        water_iou_per_event_worst=min(defined, default=None),
    )


def _dry_chips(chips: Sequence[ChipConfusion]) -> DryChips:
    dry = [chip for chip in chips if not _is_wet(chip)]
    alarms, valid = sum(chip.confusion.false_positive for chip in dry), sum(_compared(chip.confusion) for chip in dry)
    areas = [chip.confusion.false_positive * chip.pixel_area_km2 for chip in dry if chip.pixel_area_km2 is not None]
    return DryChips(
        chips=len(dry),
        false_alarm_pixels=alarms,
        valid_pixels=valid,
        false_alarm_share=_ratio(alarms, valid),
        false_alarm_km2=sum(areas) if dry and len(areas) == len(dry) else None,
    )


def _mean(values: Iterable[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def _median(values: Iterable[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.median(defined)) if defined else None
