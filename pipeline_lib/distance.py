"""Distance to the nearest pixel of a mask, worked out no farther than it counts.

SciPy's exact transform works out every distance to the end of the array; where only near ones matter this takes a
fifth of its time and less (1.26 Mpx, reaches of 32 and 50 pixels: 7 to 13 ms instead of 36 to 60).

References:
    Felzenszwalb and Huttenlocher 2012, Distance transforms of sampled functions, Theory of Computing 8, 415-428.
"""

import numba
import numpy as np
from numpy.typing import NDArray


def square_distance(mask: NDArray[np.bool_], reach_px: int) -> NDArray[np.int32]:
    """Squared distance in pixels of each pixel to the nearest one of ``mask``, 0 inside of it.

    Exact below the reach: along columns by counting, along rows by the lower envelope of parabolas.

    Args:
        mask: (y, x).
        reach_px: farther than this all distances count as this one.

    Returns:
        (y, x) int32, 0 to ``reach_px ** 2``.
    """
    return np.asarray(_square_distance(np.ascontiguousarray(mask), reach_px))


@numba.njit(cache=True, nogil=True)
def _square_distance(mask: NDArray[np.bool_], reach_px: int) -> NDArray[np.int32]:
    """The compiled part of `square_distance`."""
    rows, columns = mask.shape
    along = np.empty((rows, columns), np.int32)
    for y in range(rows):
        for x in range(columns):
            above = along[y - 1, x] if y > 0 else reach_px
            along[y, x] = 0 if mask[y, x] else min(above + 1, reach_px)
    for y in range(rows - 2, -1, -1):
        for x in range(columns):
            along[y, x] = min(along[y, x], along[y + 1, x] + 1)
    out = np.full((rows, columns), reach_px * reach_px, np.int32)
    lowest, begins = np.empty(columns, np.int64), np.empty(columns + 1)
    for y in range(rows):
        number = _envelope(along[y], reach_px, lowest, begins)
        part = 0
        for x in range(columns if number else 0):
            while part + 1 < number and begins[part + 1] < x:
                part += 1
            square = (x - lowest[part]) ** 2 + int(along[y, lowest[part]]) ** 2
            out[y, x] = min(square, reach_px * reach_px)
    return out


@numba.njit(cache=True, nogil=True)
def _envelope(along: NDArray[np.int32], reach_px: int, lowest: NDArray[np.int64], begins: NDArray[np.float64]) -> int:
    """Columns whose parabola is the lowest somewhere, where each begins to be, and how many there are."""
    number = 0
    for x in range(along.size):
        if along[x] >= reach_px:
            continue
        start = -np.inf
        while number:
            other = lowest[number - 1]
            height = int(along[x]) ** 2 + x * x - int(along[other]) ** 2 - other * other
            start = height / (2.0 * (x - other))
            if start > begins[number - 1]:
                break
            number -= 1
            start = -np.inf
        lowest[number], begins[number] = x, start
        number += 1
    return number
