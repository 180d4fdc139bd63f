"""A data set's scores: pooled, per chip, per event, and on its dry chips; conventions as in `evaluate.scores`."""

from collections.abc import Iterable, Sequence
from itertools import groupby

import numpy as np

from pipeline_lib.errors import ContractError
from pipeline_lib.evaluate.scores import Scores, pool, score
from pipeline_lib.model import Confusion, Record


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
    false_alarm_pixels_per_km2: float | None = None
    """False alarm pixels over the valid area of the dry chips; None as above."""


class Summary(Record):
    """A whole dataset scored: pooled, per chip, per event, and its dry chips."""

    pooled: Scores
    per_chip: PerChip
    per_event: PerEvent
    dry_chips: DryChips
    events: dict[str, Scores]
    """Pixels pooled within each event."""


def summarise(chips: Sequence[ChipConfusion]) -> Summary:
    """Score a dataset pooled, per chip and per event.

    Raises:
        ContractError: no chip has a valid pixel, so that there is nothing to score.
    """
    used = [chip for chip in chips if compared(chip.confusion)]
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


def compared(counts: Confusion) -> int:
    """Pixels compared."""
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
    alarms, valid = sum(chip.confusion.false_positive for chip in dry), sum(compared(chip.confusion) for chip in dry)
    areas = [chip.pixel_area_km2 for chip in dry if chip.pixel_area_km2 is not None]
    known = bool(dry) and len(areas) == len(dry)
    viewed = sum(compared(chip.confusion) * area for chip, area in zip(dry, areas, strict=True)) if known else 0.0
    wrong = sum(chip.confusion.false_positive * area for chip, area in zip(dry, areas, strict=True)) if known else None
    return DryChips(
        chips=len(dry),
        false_alarm_pixels=alarms,
        valid_pixels=valid,
        false_alarm_share=alarms / valid if valid else None,
        false_alarm_km2=wrong,
        false_alarm_pixels_per_km2=alarms / viewed if viewed else None,
    )


def _mean(values: Iterable[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def _median(values: Iterable[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.median(defined)) if defined else None
