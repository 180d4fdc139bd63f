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
from collections.abc import Collection, Iterable

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
    water_iou, land_iou = counts.water_iou, _ratio(rejected, rejected + false + missed)
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
