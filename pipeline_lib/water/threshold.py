"""Thresholds of a histogram, and whether a histogram has one.

All functions take counts over bins of increasing value, and the bins' centres.

References:
    Otsu (1979), IEEE Trans. SMC 9(1), eq. 12-14; Kittler & Illingworth (1986), Pattern Recognition 19(1), eq. 15;
    Ashman, Bird & Zepf (1994), Astron. J. 108, eq. 1; Chini et al. (2017), IEEE TGRS 55(12), section II.
"""

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from pipeline_lib.errors import UnseparableHistogramError

Values = npt.NDArray[np.float64]

EM_ROUNDS = 60
MIN_SPREAD = 0.4
"""Least standard deviation of a fitted class, dB: below the bins' resolution a fit has no meaning."""


@dataclass(frozen=True)
class Normal:
    """A class: its mean and standard deviation (dB)."""

    mean: float
    spread: float

    def log_density(self, value: Values) -> Values:
        """Logarithm of the probability density."""
        scaled = (value - self.mean) / self.spread
        log_density: Values = -0.5 * scaled**2 - np.log(self.spread * np.sqrt(2.0 * np.pi))
        return log_density


@dataclass(frozen=True)
class TwoNormals:
    """A mixture of a darker and a brighter class, and how well it describes the histogram it was fitted to."""

    dark: Normal
    bright: Normal
    dark_share: float
    fit: float
    """Bhattacharyya coefficient of histogram and mixture: 1 = the same."""

    @property
    def ashman_d(self) -> float:
        """Separation in units of the spreads: above 2 the classes are clearly apart (Ashman et al., eq. 1)."""
        joint = np.sqrt(self.dark.spread**2 + self.bright.spread**2)
        return float(np.sqrt(2.0) * abs(self.bright.mean - self.dark.mean) / joint)

    @property
    def surface_ratio(self) -> float:
        """Share of the smaller class over that of the larger."""
        return min(self.dark_share, 1.0 - self.dark_share) / max(self.dark_share, 1.0 - self.dark_share)

    @property
    def crossing(self) -> float:
        """Where the weighted densities cross between the means: the minimum-error threshold."""
        between = np.linspace(self.dark.mean, self.bright.mean, 513)
        lead = (
            self.dark.log_density(between)
            + np.log(self.dark_share)
            - self.bright.log_density(between)
            - np.log(1.0 - self.dark_share)
        )
        return float(between[int(np.argmin(np.abs(lead)))])


def _checked(counts: Values, centres: Values) -> tuple[Values, Values]:
    """Histogram as shares; at least two occupied bins."""
    total = counts.sum()
    if np.count_nonzero(counts) < 2:
        raise UnseparableHistogramError(
            f"The histogram of {int(total)} pixels has {np.count_nonzero(counts)} occupied bins; a threshold needs two."
        )
    return counts / total, centres


def _splits(share: Values, centres: Values) -> tuple[Values, Values, Values, Values, Values, Values]:
    """Weight, mean and variance below and above each cut between bins."""
    weight = np.cumsum(share)[:-1]
    first = np.cumsum(share * centres)
    second = np.cumsum(share * centres**2)
    with np.errstate(invalid="ignore", divide="ignore"):
        low = first[:-1] / weight
        high = (first[-1] - first[:-1]) / (1.0 - weight)
        low_variance = second[:-1] / weight - low**2
        high_variance = (second[-1] - second[:-1]) / (1.0 - weight) - high**2
    return weight, 1.0 - weight, low, high, low_variance, high_variance


def otsu(counts: Values, centres: Values) -> tuple[float, float]:
    """Otsu's threshold, and the share of the variance that it explains (0 to 1).

    Raises:
        UnseparableHistogramError: fewer than two bins are occupied.
    """
    share, centres = _checked(counts, centres)
    below, above, low, high, _, _ = _splits(share, centres)
    between = np.nan_to_num(below * above * (low - high) ** 2, nan=-1.0)
    variance = float(share @ centres**2 - (share @ centres) ** 2)
    best = _middle_of_best(between)
    return _edge(centres, best), float(between.max() / variance)


def kittler_illingworth(counts: Values, centres: Values) -> float:
    """Minimum-error threshold of a histogram taken as two normal classes of any share.

    Minimises J(t) = 1 + 2 (w0 ln s0 + w1 ln s1) - 2 (w0 ln w0 + w1 ln w1). The histogram is used over its occupied
    range, and each class must hold 0.1 % of the pixels: a cut beside the last pixel has J of minus infinity.

    Raises:
        UnseparableHistogramError: fewer than two bins are occupied, or no cut leaves two classes with a spread.
    """
    share, centres = _checked(counts, centres)
    below, above, _, _, low_variance, high_variance = _splits(share, centres)
    quantum = (centres[1] - centres[0]) ** 2 / 12.0
    usable = (below > 1e-3) & (above > 1e-3)
    if not usable.any():
        raise UnseparableHistogramError("One bin holds all but 0.1 % of the pixels; the histogram has a single class.")
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = below * np.log(np.maximum(low_variance, quantum)) + above * np.log(np.maximum(high_variance, quantum))
        cost = 1.0 + spread - 2.0 * (below * np.log(below) + above * np.log(above))
    return _edge(centres, _middle_of_best(np.where(usable, -cost, -np.inf)))


def _middle_of_best(score: Values) -> int:
    """Middle of the run of best cuts: between two far modes every cut is as good."""
    best = np.flatnonzero(score >= score.max() - 1e-12)
    return int(best[len(best) // 2])


def _edge(centres: Values, cut: int) -> float:
    """Value of the cut after a bin."""
    return float(centres[cut] + centres[cut + 1]) / 2.0


@numba.njit(nogil=True, cache=True)
def _em(share: Values, centres: Values, start: Values, rounds: int) -> Values:
    """Expectation-maximisation on a histogram.

    Start and answer: share of the dark class, its mean and spread, mean and spread of the bright class.
    """
    weight, mean0, spread0, mean1, spread1 = start
    for _ in range(rounds):
        s0, s1, m0, m1, v0, v1 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for position in range(share.size):
            if share[position] <= 0:
                continue
            value = centres[position]
            p0 = weight * np.exp(-0.5 * ((value - mean0) / spread0) ** 2) / spread0
            p1 = (1.0 - weight) * np.exp(-0.5 * ((value - mean1) / spread1) ** 2) / spread1
            dark = share[position] * (p0 / (p0 + p1) if p0 + p1 > 0 else 0.5)
            bright = share[position] - dark
            s0 += dark
            s1 += bright
            m0 += dark * value
            m1 += bright * value
            v0 += dark * value * value
            v1 += bright * value * value
        if s0 < 1e-6 or s1 < 1e-6:
            break
        weight = s0 / (s0 + s1)
        mean0, mean1 = m0 / s0, m1 / s1
        spread0 = max(np.sqrt(max(v0 / s0 - mean0 * mean0, 0.0)), MIN_SPREAD)
        spread1 = max(np.sqrt(max(v1 / s1 - mean1 * mean1, 0.0)), MIN_SPREAD)
    return np.array([weight, mean0, spread0, mean1, spread1])


def fit_two_normals(counts: Values, centres: Values) -> TwoNormals:
    """Fit a mixture of two normals to a histogram by expectation-maximisation from Otsu's split.

    Raises:
        UnseparableHistogramError: fewer than two bins are occupied.
    """
    cut, _ = otsu(counts, centres)
    share = np.ascontiguousarray(counts / counts.sum(), dtype=np.float64)
    dark = centres <= cut
    start = [float(share[dark].sum())]
    for side in (dark, ~dark):
        mean = float(share[side] @ centres[side] / share[side].sum())
        variance = float(share[side] @ (centres[side] - mean) ** 2 / share[side].sum())
        start += [mean, max(np.sqrt(variance), MIN_SPREAD)]
    weight, *shapes = _em(share, np.ascontiguousarray(centres), np.array(start), EM_ROUNDS).tolist()
    first, second = Normal(shapes[0], shapes[1]), Normal(shapes[2], shapes[3])
    if first.mean > second.mean:
        first, second, weight = second, first, 1.0 - weight
    weight = float(np.clip(weight, 1e-6, 1.0 - 1e-6))
    step = centres[1] - centres[0]
    model = step * (weight * np.exp(first.log_density(centres)) + (1.0 - weight) * np.exp(second.log_density(centres)))
    return TwoNormals(first, second, weight, float(np.sqrt(share * model).sum()))
