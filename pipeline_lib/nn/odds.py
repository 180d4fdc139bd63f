"""Log-odds of water as arrays: what probability they are, and how right their sign is."""

import numpy as np
from numpy.typing import NDArray

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
    known = (labels != 255) & np.isfinite(odds)
    predicted, truth = (odds > 0) & known, (labels == 1) & known
    union = np.count_nonzero(predicted | truth)
    return float(np.count_nonzero(predicted & truth) / union) if union else 0.0
