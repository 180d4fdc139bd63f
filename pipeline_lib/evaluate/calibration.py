"""Whether a likelihood of 70 % is water 7 times in 10: reliability table, ECE, Brier score, log loss.

Everything follows from sums over `FINE` narrow bins of P(water), which add up chip by chip: a dataset of any size is
scored in one pass. Bins are of P(water), not of the confidence in the answer, so that over- and under-statement
of water show on their own sides.

References:
    Naeini, Cooper, Hauskrecht: Obtaining well calibrated probabilities using Bayesian binning, AAAI 2015 (ECE);
    Nixon et al.: Measuring calibration in deep learning, CVPR Workshops 2019 (adaptive bins);
    Brier, Monthly Weather Review 78, 1950.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.errors import ContractError, GridMismatchError
from pipeline_lib.model import Record

BINS = 15
FINE = 15 * 1200
"""Narrow bins: a multiple of 15 (the table's bins) and of 20 (0.05 and 0.95 are edges)."""
CLIP = 1e-6
"""Likelihoods nearer to 0 and 1 than this are moved there for the log loss only: one sure error is not infinite."""


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """Sums over narrow bins of P(water); two of them add."""

    pixels: NDArray[np.int64]
    """Pixels in each bin, shape (FINE,)."""
    likelihood: NDArray[np.float64]
    """Sum of P(water) in each bin."""
    water: NDArray[np.int64]
    """Pixels labelled water in each bin."""
    squared_error: float
    """Sum of (P - label)^2."""
    log_loss: float
    """Sum of -log of the probability given to the label, nats."""

    def __add__(self, other: "Reliability") -> "Reliability":
        """Pool two."""
        return Reliability(
            pixels=self.pixels + other.pixels,
            likelihood=self.likelihood + other.likelihood,
            water=self.water + other.water,
            squared_error=self.squared_error + other.squared_error,
            log_loss=self.log_loss + other.log_loss,
        )


class ReliabilityBin(Record):
    """One row of the reliability table."""

    low: float
    high: float
    pixels: int
    mean_likelihood: float | None
    """None where the bin is empty."""
    water_share: float | None
    """Share of the bin's pixels that are labelled water."""


class Calibration(Record):
    """Calibration of P(water) over all valid pixels, pooled."""

    pixels: int
    ece_pooled: float
    """Expected calibration error: mean over 15 equal-width bins of |water share - mean likelihood|, by pixels."""
    ece_adaptive_pooled: float
    """The same over 15 bins of equal pixel number (edges to 1/18000)."""
    ece_uncertain_pooled: float | None
    """ECE over pixels with P in [0.05, 0.95): the easy pixels, often above 90 %, cannot hide it. None without any."""
    uncertain_share: float
    """Share of pixels with P in [0.05, 0.95)."""
    brier_pooled: float
    """Mean of (P - label)^2."""
    nll_pooled: float
    """Mean negative log likelihood, nats; P clipped to [1e-6, 1 - 1e-6]."""
    table: tuple[ReliabilityBin, ...]
    """The 15 equal-width bins."""


def reliability(likelihood: NDArray[np.floating], truth: NDArray[np.uint8]) -> Reliability:
    """Sum up one chip.

    Args:
        likelihood: P(water) in [0, 1], NaN = not observed.
        truth: 0 dry, 1 water, any other code no answer; the same shape.

    Raises:
        GridMismatchError: the shapes differ.
        ContractError: a likelihood lies outside [0, 1].
    """
    if likelihood.shape != truth.shape:
        raise GridMismatchError(f"Likelihood {likelihood.shape} and label {truth.shape} must share one shape.")
    valid = np.isfinite(likelihood) & (truth <= 1)
    chance, water = likelihood[valid].astype(np.float64), truth[valid] == 1
    if chance.size and not 0 <= chance.min() <= chance.max() <= 1:
        raise ContractError(f"Likelihoods span {chance.min():g} to {chance.max():g}, expected 0 to 1 (not percent).")
    index = np.minimum((chance * FINE).astype(np.int64), FINE - 1)
    given = np.clip(np.where(water, chance, 1 - chance), CLIP, 1 - CLIP)
    return Reliability(
        pixels=np.bincount(index, minlength=FINE),
        likelihood=np.bincount(index, weights=chance, minlength=FINE).astype(np.float64),
        water=np.bincount(index[water], minlength=FINE),
        squared_error=float(((chance - water) ** 2).sum()),
        log_loss=float(-np.log(given).sum()),
    )


def calibrate_scores(parts: Iterable[Reliability]) -> Calibration:
    """Read the calibration scores out of pooled sums.

    Raises:
        ContractError: there is no valid pixel.
    """
    listed = list(parts)
    if not sum(int(part.pixels.sum()) for part in listed):
        raise ContractError("No pixel has both a likelihood and a label: calibration cannot be scored.")
    pooled = listed[0]
    for part in listed[1:]:
        pooled = pooled + part
    total = int(pooled.pixels.sum())
    even = np.arange(FINE) // (FINE // BINS)
    middle = np.zeros(FINE, bool)
    middle[FINE // 20 : FINE - FINE // 20] = True
    uncertain = int(pooled.pixels[middle].sum())
    return Calibration(
        pixels=total,
        ece_pooled=_ece(pooled, even, np.ones(FINE, bool)),
        ece_adaptive_pooled=_ece(pooled, _equal_mass(pooled.pixels), np.ones(FINE, bool)),
        ece_uncertain_pooled=_ece(pooled, even, middle) if uncertain else None,
        uncertain_share=uncertain / total,
        brier_pooled=pooled.squared_error / total,
        nll_pooled=pooled.log_loss / total,
        table=_table(pooled, even),
    )


def _equal_mass(pixels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Bin of each narrow bin so that the 15 bins hold about as many pixels each."""
    middle = np.cumsum(pixels) - pixels / 2
    bins: NDArray[np.int64] = np.minimum((middle * BINS / pixels.sum()).astype(np.int64), BINS - 1)
    return bins


def _ece(sums: Reliability, bins: NDArray[np.int64], among: NDArray[np.bool_]) -> float:
    chosen = bins[among]
    gap = np.bincount(chosen, weights=sums.likelihood[among] - sums.water[among], minlength=BINS)
    return float(np.abs(gap).sum() / sums.pixels[among].sum())


def _table(sums: Reliability, bins: NDArray[np.int64]) -> tuple[ReliabilityBin, ...]:
    pixels, chance, water = (
        np.bincount(bins, weights=each, minlength=BINS) for each in (sums.pixels, sums.likelihood, sums.water)
    )
    return tuple(
        ReliabilityBin(
            low=index / BINS,
            high=(index + 1) / BINS,
            pixels=int(pixels[index]),
            mean_likelihood=float(chance[index] / pixels[index]) if pixels[index] else None,
            water_share=float(water[index] / pixels[index]) if pixels[index] else None,
        )
        for index in range(BINS)
    )
