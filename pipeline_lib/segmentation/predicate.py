"""When pixels are one region: homogeneity from sufficient statistics, so that a region is tested in constant time.

**Speckle** (radar, linear power). Under L-look speckle a region of mean m holds gamma variates of shape L. The
likelihood ratio of "one mean" against "a mean for each pixel" depends on

    V = ln(arithmetic mean) - mean(ln),

whose moments under homogeneity are exact: with Basu's theorem V is independent of the mean, so that

    E V = [ln L - psi(L)] - [ln nL - psi(nL)],     Var V = psi1(L) / n - psi1(nL).

P(R): V <= E V + texture + z sqrt(Var V), summed over the bands. Two regions are one if their union satisfies P and the
likelihood ratio of "one mean" against "two means",

    LLR = L [n_i ln(m_ij / m_i) + n_j ln(m_ij / m_j)]  summed over bands,

stays below half the chi-squared quantile of as many degrees of freedom as bands (or the means are practically equal).

**Spread** (optical). P(R): standard deviation of each band at most ``max_spread``; two regions are one if their union
satisfies P and the means of each band differ by at most ``max_step``.

References:
    Horowitz and Pavlidis: Picture segmentation by a directed split-and-merge procedure, ICPR 1974;
    Bartlett: Properties of sufficiency and statistical tests, Proc. R. Soc. A 160, 1937;
    Beaulieu and Touzi: Segmentation of textured polarimetric SAR scenes by likelihood approximation, TGRS 42, 2004.
"""

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri, digamma, ndtri, polygamma

from pipeline_lib.options.segmentation import SplitMergeOptions

SPECKLE, SPREAD = 0, 1
TINY = 1e-9
FLOOR = 1e-6
"""Power below this (-60 dB) is taken as this: the logarithm of 0 is not a statistic."""


@dataclass(frozen=True)
class Homogeneity:
    """A predicate with its constants worked out for one number of bands."""

    kind: int
    """`SPECKLE` or `SPREAD`."""
    constants: NDArray[np.float64]
    """Speckle: looks, ln L - psi(L) + texture, psi1(L), normal quantile, chi-squared quantile / 2, ln of the smallest
    step. Spread: largest variance, largest step."""

    def transform(self, image: NDArray[np.floating]) -> NDArray[np.float64]:
        """The second statistic's summand: ln of power, or the square; same shape."""
        values = image.astype(np.float64)
        second: NDArray[np.float64] = np.log(np.maximum(values, FLOOR)) if self.kind == SPECKLE else values**2
        return second

    def first(self, image: NDArray[np.floating]) -> NDArray[np.float64]:
        """The first statistic's summand: the value, floored where it is power.

        ``image`` is (band, y, x) or any shape, and so is the result.
        """
        values = image.astype(np.float64)
        return np.maximum(values, FLOOR) if self.kind == SPECKLE else values


def homogeneity(options: SplitMergeOptions, bands: int) -> Homogeneity:
    """Work out the predicate's constants."""
    if options.homogeneity == "spread":
        return Homogeneity(SPREAD, np.array([options.max_spread**2, options.max_step]))
    looks = options.looks
    texture = 0.0
    if options.texture_cv > 0:
        order = 1.0 / options.texture_cv**2
        texture = float(np.log(order) - digamma(order))
    constants = [
        looks,
        float(np.log(looks) - digamma(looks)) + texture,
        float(polygamma(1, looks)),
        float(ndtri(1 - options.significance)),
        float(chdtri(bands, options.significance)) / 2,
        options.min_step_db * np.log(10) / 10,
    ]
    return Homogeneity(SPECKLE, np.array(constants))


@numba.njit(cache=True, nogil=True)
def _psi_gap(x: float) -> float:
    """Ln x - psi(x), x > 0: recurrence to x >= 6, then the asymptotic series (error below 1e-9)."""
    shift = 0.0
    start = x
    while x < 6.0:
        shift += 1.0 / x
        x += 1.0
    series = 1 / (2 * x) + 1 / (12 * x**2) - 1 / (120 * x**4) + 1 / (252 * x**6)
    return float(np.log(start) - np.log(x) + series + shift)


@numba.njit(cache=True, nogil=True)
def _trigamma(x: float) -> float:
    shift = 0.0
    while x < 6.0:
        shift += 1.0 / x**2
        x += 1.0
    return shift + 1 / x + 1 / (2 * x**2) + 1 / (6 * x**3) - 1 / (30 * x**5) + 1 / (42 * x**7)


@numba.njit(cache=True, nogil=True)
def holds(
    kind: int, constants: NDArray[np.float64], n: float, s1: NDArray[np.float64], s2: NDArray[np.float64]
) -> bool:
    """P(R) from pixel number and the sums of both statistics by band.

    ``n`` pixels; ``s1`` and ``s2`` are (band), of `Homogeneity.first` and `Homogeneity.transform`.
    """
    if n <= 1:
        return True
    bands = s1.shape[0]
    if kind == SPREAD:
        for band in range(bands):
            mean = s1[band] / n
            if s2[band] / n - mean * mean > constants[0] + TINY:
                return False
        return True
    total = 0.0
    for band in range(bands):
        total += np.log(s1[band] / n) - s2[band] / n
    # Texture is in constants[1]; it fades in with n as the speckle's own expectation does.
    expected = bands * max(constants[1] - _psi_gap(n * constants[0]), 0.0)
    variance = bands * max(constants[2] / n - _trigamma(n * constants[0]), 0.0)
    return bool(total <= expected + constants[3] * np.sqrt(variance) + TINY)


@numba.njit(cache=True, nogil=True)
def merging_cost(
    kind: int,
    constants: NDArray[np.float64],
    n: NDArray[np.float64],
    s1: NDArray[np.float64],
    s2: NDArray[np.float64],
    i: int,
    j: int,
) -> float:
    """Cost of merging regions i and j, or -1 where P of their union is false: the lower, the sooner.

    ``n`` is (region), ``s1`` and ``s2`` are (region, band), as in `holds`.
    """
    bands = s1.shape[1]
    union = n[i] + n[j]
    cost = 0.0
    step = 0.0
    for band in range(bands):
        one, two, both = s1[i, band] / n[i], s1[j, band] / n[j], (s1[i, band] + s1[j, band]) / union
        if kind == SPREAD:
            step = max(step, abs(one - two))
            cost += n[i] * n[j] / union * (one - two) ** 2
        else:
            step = max(step, abs(np.log(one) - np.log(two)))
            cost += constants[0] * (n[i] * np.log(both / one) + n[j] * np.log(both / two))
    if kind == SPREAD:
        if step > constants[1] + TINY:
            return -1.0
    elif cost > constants[4] and step > constants[5]:
        return -1.0
    if not holds(kind, constants, union, s1[i] + s1[j], s2[i] + s2[j]):
        return -1.0
    return max(cost, 0.0)
