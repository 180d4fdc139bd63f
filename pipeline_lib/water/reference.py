"""What reference passes say of a pixel: its expected backscatter in decibel and how far it strays."""

import numba
import numpy as np
import numpy.typing as npt

from pipeline_lib.water.filtering import SHIFT, boxcar, decibel_of
from pipeline_lib.water.plane import Plane

PRIOR_SPREAD_DB = 1.5
PRIOR_WEIGHT = 4.0
"""The spread of a short history is drawn to 1.5 dB (filtered speckle and weather) as by four more passes."""


def reference_statistics(history: npt.NDArray[np.float32], radius: int, min_history: int) -> tuple[Plane, Plane]:
    """Mean and standard deviation in dB over time of boxcar-filtered passes.

    Args:
        history: float32 (time, y, x), linear power, NaN = not observed.
        radius: of the boxcar.
        min_history: a pixel seen less often is unknown.

    Returns:
        Mean, and spread of a further pass about it (a mean of few passes is itself uncertain); float32 (y, x), NaN
        where unknown.
    """
    number = np.zeros(history.shape[1:], dtype=np.float32)
    mean = np.zeros_like(number)
    scatter = np.zeros_like(number)
    for image in history:
        power = boxcar(np.ascontiguousarray(image, dtype=np.float32), radius)
        _accumulate(power, power.view(np.uint32), number, mean, scatter)
    return mean, _spread(number, mean, scatter, min_history)


@numba.njit(nogil=True, cache=True)
def _spread(number: Plane, mean: Plane, scatter: Plane, min_history: int) -> Plane:
    """Spread of a further pass; where a pixel was seen too seldom it and the mean become NaN."""
    spread = np.empty_like(mean)
    one, weight = np.float32(1.0), np.float32(PRIOR_WEIGHT)
    prior = np.float32(PRIOR_WEIGHT * PRIOR_SPREAD_DB**2)
    for y in range(mean.shape[0]):
        for x in range(mean.shape[1]):
            passes = number[y, x]
            variance = (scatter[y, x] + prior) / max(passes - one + weight, one)
            spread[y, x] = np.sqrt(variance * (one + one / max(passes, one)))
            if passes < min_history:
                mean[y, x] = spread[y, x] = np.nan
    return spread


@numba.njit(nogil=True, cache=True)
def _accumulate(power: Plane, bits: npt.NDArray[np.uint32], number: Plane, mean: Plane, scatter: Plane) -> None:
    """Welford's update with one image, in decibel."""
    for y in range(power.shape[0]):
        for x in range(power.shape[1]):
            if power[y, x] == power[y, x]:
                one = decibel_of(power[y, x], (bits[y, x] & 0x7FFFFFFF) >> SHIFT)
                number[y, x] += np.float32(1.0)
                step = one - mean[y, x]
                mean[y, x] += step / number[y, x]
                scatter[y, x] += step * (one - mean[y, x])
