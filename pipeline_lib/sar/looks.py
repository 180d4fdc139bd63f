"""Equivalent number of looks (ENL), measured from pixels.

References:
    Anfinsen, Doulgeris & Eltoft 2009, Estimation of the equivalent number of looks in polarimetric SAR imagery, IEEE
    TGRS 47(11), 3795-3809.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import polygamma

from pipeline_lib.errors import InputError
from pipeline_lib.sar.speckle import local_moments

MOST_LOOKS = 1000.0


def looks_of_log(power: NDArray[np.float32]) -> float:
    """ENL of a homogeneous region from the variance of ln power: trigamma(L) = variance; robust to bright outliers."""
    variance = float(np.log(_valid(power)).var(ddof=1))
    if variance <= float(polygamma(1, MOST_LOOKS)):
        return MOST_LOOKS
    return float(brentq(lambda looks: float(polygamma(1, looks)) - variance, 1e-2, MOST_LOOKS))


def looks_of_image(power: NDArray[np.float32], *, window: int = 7) -> float:
    """ENL of a whole image: the mode of the local ENL, because most windows of a scene are homogeneous.

    Texture only lowers a local ENL and chance spreads it both ways, so the peak of the distribution of ln ENL stands
    for speckle alone.

    Args:
        power: (y, x), linear, NaN = not observed.
        window: pixels along each side, odd.

    Raises:
        InputError: fewer than 100 windows with variance.
    """
    mean, variance = local_moments(np.asarray(power, np.float32), window)
    with np.errstate(invalid="ignore", divide="ignore"):
        logarithms = np.log(mean.astype("f8") ** 2 / variance)
    logarithms = logarithms[np.isfinite(logarithms)]
    if logarithms.size < 100:
        raise InputError(
            f"Only {logarithms.size} windows have a variance; at least 100 are needed to measure the looks."
        )
    low, high = np.quantile(logarithms, (0.01, 0.99))
    counts, edges = np.histogram(logarithms, bins=64, range=(low, max(high, low + 1e-6)))
    smooth = np.convolve(counts, np.hanning(9) / np.hanning(9).sum(), mode="same")
    peak = int(smooth.argmax())
    near = logarithms[np.abs(logarithms - (edges[peak] + edges[peak + 1]) / 2) < 3 * (edges[1] - edges[0])]
    return float(np.exp(near.mean()))


def _valid(power: NDArray[np.float32]) -> NDArray[np.float64]:
    values: NDArray[np.float64] = np.asarray(power, "f8")
    values = values[np.isfinite(values) & (values > 0)]
    if values.size < 10:
        raise InputError(f"Only {values.size} valid pixels; at least 10 are needed to measure the looks.")
    return values
