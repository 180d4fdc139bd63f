"""What reference passes say of a pixel: its expected backscatter in decibel and how far it strays."""

import numba
import numpy as np
import numpy.typing as npt

from pipeline_lib.water.filtering import boxcar, decibel

Plane = npt.NDArray[np.float32]

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
        value = decibel(boxcar(np.ascontiguousarray(image, dtype=np.float32), radius))
        _accumulate(value, number, mean, scatter)
    known = number >= min_history
    prior = np.float32(PRIOR_WEIGHT * PRIOR_SPREAD_DB**2)
    variance = (scatter + prior) / np.maximum(number - 1 + np.float32(PRIOR_WEIGHT), 1)
    spread = np.sqrt(variance * (1 + 1 / np.maximum(number, 1)))
    unknown = np.float32(np.nan)
    return np.where(known, mean, unknown).astype(np.float32), np.where(known, spread, unknown).astype(np.float32)


@numba.njit(nogil=True, cache=True)
def _accumulate(value: Plane, number: Plane, mean: Plane, scatter: Plane) -> None:
    """Welford's update with one image."""
    for y in range(value.shape[0]):
        for x in range(value.shape[1]):
            one = value[y, x]
            if one == one:  # noqa: PLR0124 - false for NaN alone
                number[y, x] += 1
                step = one - mean[y, x]
                mean[y, x] += step / number[y, x]
                scatter[y, x] += step * (one - mean[y, x])
