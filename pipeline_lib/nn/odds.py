"""Log-odds of water as arrays: what probability they are, and how right their sign is."""

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.model import Confusion
from pipeline_lib.nn.labels import IGNORE

Odds = NDArray[np.float32]


def sigmoid(odds: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probability from log-odds, stable at both ends; NaN stays NaN.

    Any shape.
    """
    return np.asarray(0.5 * (1 + np.tanh(0.5 * odds)), dtype=np.float32)


def pooled_iou(odds: Odds, labels: NDArray[np.uint8]) -> float:
    """Intersection over union of water, pooled over all labelled pixels; 0 where neither has water.

    Args:
        odds: log-odds of water, any shape; water above 0, NaN is left out.
        labels: of the same shape, 0 dry, 1 water, 255 left out.
    """
    known = (labels != IGNORE) & np.isfinite(odds)
    water, truth = (odds > 0)[known], (labels == 1)[known]
    hit, mapped, wet = (int(np.count_nonzero(one)) for one in (water & truth, water, truth))
    counts = Confusion(
        true_positive=hit,
        false_positive=mapped - hit,
        false_negative=wet - hit,
        true_negative=water.size - mapped - wet + hit,
    )
    return counts.water_iou or 0.0
