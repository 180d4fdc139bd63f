"""Calibration: make a probability mean what it says. Whether it does is measured by `pipeline_lib.evaluate`."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.nn.labels import IGNORE
from pipeline_lib.nn.odds import sigmoid

Array = NDArray[np.float32]
RIDGE = 1e-6
"""Keeps the fit finite where a net separates the pixels perfectly."""


@dataclass(frozen=True)
class Calibration:
    """``P(water) = sigmoid(scale * odds + bias)``; scale is 1 / temperature."""

    scale: float = 1.0
    bias: float = 0.0

    def apply(self, odds: Array) -> Array:
        """Calibrated probability of water, NaN kept."""
        return sigmoid(np.asarray(odds * np.float32(self.scale) + np.float32(self.bias), dtype=np.float32))


def fit_calibration(odds: Array, truth: NDArray[np.uint8], *, most: int = 1_000_000, seed: int = 0) -> Calibration:
    """Temperature and bias that minimise the negative log likelihood of held-out pixels in their natural mix.

    Newton's method on two parameters. The bias undoes what class-balanced patches did to the prior. A class that is
    absent, or a net that separates perfectly, leaves the identity: there is nothing to fit.

    Args:
        odds: log-odds, any shape, NaN left out.
        truth: 0, 1; 255 left out.
        most: at most so many pixels, drawn at random.
        seed: draws them.

    References: Guo et al. 2017, section 4.2 (temperature); Platt 1999 (scale and bias).
    """
    known = np.isfinite(odds) & (truth != IGNORE)
    z, y = odds[known].astype(np.float64), (truth[known] == 1).astype(np.float64)
    if len(z) > most:
        chosen = np.random.default_rng(seed).choice(len(z), most, replace=False)
        z, y = z[chosen], y[chosen]
    if len(y) == 0 or y.min() == y.max():
        return Calibration()
    weights = _newton(np.stack([z, np.ones_like(z)]), y)
    return Calibration() if weights[0] <= 0 else Calibration(float(weights[0]), float(weights[1]))


def _newton(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Minimum of the logistic loss of ``weights @ x``, barely regularised; each step is halved until it descends."""
    start = np.array([1.0, 0.0])

    def loss(weights: NDArray[np.float64]) -> float:
        """Mean logistic loss and what holds the weights near the identity."""
        odds = weights @ x
        return float(np.mean(np.logaddexp(0, odds) - y * odds)) + 0.5 * RIDGE * float(((weights - start) ** 2).sum())

    weights, current = start, loss(start)
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(weights @ x, -40, 40)))
        gradient = x @ (p - y) / len(y) + RIDGE * (weights - start)
        curvature = (x * (p * (1 - p))) @ x.T / len(y) + RIDGE * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        while (found := loss(weights - step)) > current and np.abs(step).max() > 1e-9:
            step = step / 2
        weights, current = weights - step, min(found, current)
        if np.abs(step).max() < 1e-7:
            break
    return weights
