"""The compiled loops of the speckle filters; arguments and meaning are those of `pipeline_lib.sar.speckle`."""

from typing import Any

import numpy as np
from numba import njit

TIE = 1e-12
"""Far above the rounding of sums in float64, far below what two different gradients of float32 power differ by."""


@njit(cache=True, nogil=True)
def moments(x: Any, reach: Any, mean: Any, variance: Any) -> None:  # pragma: no cover - compiled
    """Windowed mean and variance: columns are summed first, top to bottom, then left to right, for every pixel anew."""
    rows, columns = x.shape
    sums, squares, counts = np.empty(columns), np.empty(columns), np.empty(columns, np.int64)
    for i in range(rows):
        sums[:], squares[:], counts[:] = 0.0, 0.0, 0
        for p in range(max(0, i - reach), min(rows, i + reach + 1)):
            for j in range(columns):
                value = np.float64(x[p, j])
                if not np.isnan(value):
                    sums[j] += value
                    squares[j] += value * value
                    counts[j] += 1
        for j in range(columns):
            if np.isnan(x[i, j]):
                mean[i, j] = variance[i, j] = np.nan
                continue
            total, square, count = 0.0, 0.0, 0
            for q in range(max(0, j - reach), min(columns, j + reach + 1)):
                total += sums[q]
                square += squares[q]
                count += counts[q]
            middle = total / count
            mean[i, j] = middle
            variance[i, j] = max(square / count - middle * middle, 0.0)


@njit(cache=True, nogil=True)
def gamma_map(x: Any, mean: Any, variance: Any, looks: Any, out: Any) -> None:  # pragma: no cover - compiled
    """Posterior maximum under Gamma speckle and Gamma reflectivity; moments are float64, see `refined_lee`."""
    smooth = 1.0 / looks
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            m, value = mean[i, j], np.float64(x[i, j])
            if np.isnan(value) or m <= 0:
                out[i, j] = value
                continue
            variation = variance[i, j] / (m * m)
            if variation <= smooth:
                out[i, j] = m
            elif variation >= 2.0 * smooth:
                out[i, j] = value
            else:
                shape = (1.0 + smooth) / (variation - smooth)
                b = shape - looks - 1.0
                root = np.sqrt(m * m * b * b + 4.0 * shape * looks * m * value)
                out[i, j] = (b * m + root) / (2.0 * shape)


@njit(cache=True, nogil=True)
def _near(means: Any, i: Any, j: Any, centre: Any) -> Any:  # pragma: no cover - compiled
    """3 x 3 mean at a place; that of the centre where there is none."""
    if 0 <= i < means.shape[0] and 0 <= j < means.shape[1] and not np.isnan(means[i, j]):
        return means[i, j]
    return centre


@njit(cache=True, nogil=True)
def _edge(means: Any, i: Any, j: Any) -> Any:  # pragma: no cover - compiled
    """Normal (dy, dx) of the strongest edge, pointing to the side that is nearer to the centre.

    What differs by less than `TIE` of the level is equal: the first of equal gradients, the second of equal sides.
    """
    c = means[i, j]
    nw, n, ne = _near(means, i - 2, j - 2, c), _near(means, i - 2, j, c), _near(means, i - 2, j + 2, c)
    w, e = _near(means, i, j - 2, c), _near(means, i, j + 2, c)
    sw, s, se = _near(means, i + 2, j - 2, c), _near(means, i + 2, j, c), _near(means, i + 2, j + 2, c)
    tie = TIE * (abs(nw) + abs(n) + abs(ne) + abs(w) + abs(e) + abs(sw) + abs(s) + abs(se))
    best = abs(nw + w + sw - ne - e - se)
    dy, dx, one, other = 0, -1, w, e
    gradient = abs(nw + n + w - e - s - se)
    if gradient > best + tie:
        best, dy, dx, one, other = gradient, -1, -1, nw, se
    gradient = abs(nw + n + ne - sw - s - se)
    if gradient > best + tie:
        best, dy, dx, one, other = gradient, -1, 0, n, s
    gradient = abs(n + ne + e - w - sw - s)
    if gradient > best + tie:
        dy, dx, one, other = -1, 1, ne, sw
    if abs(c - one) < abs(c - other) - tie:
        return dy, dx
    return -dy, -dx


@njit(cache=True, nogil=True)
def refined_lee(x: Any, means: Any, smooth: Any, out: Any) -> None:  # pragma: no cover - compiled
    """Lee's estimate in the half window on the pixel's side of its strongest edge.

    The means are float64: they scale with the power, so that the same edge is chosen whatever the unit. Rounded to
    float32 two nearly equal gradients change places when all power is multiplied by a constant.
    """
    rows, columns = x.shape
    for i in range(rows):
        for j in range(columns):
            if np.isnan(x[i, j]):
                out[i, j] = np.nan
                continue
            dy, dx = _edge(means, i, j)
            total, square, count = 0.0, 0.0, 0
            for p in range(-3, 4):
                for q in range(-3, 4):
                    if p * dy + q * dx < 0 or not (0 <= i + p < rows and 0 <= j + q < columns):
                        continue
                    value = np.float64(x[i + p, j + q])
                    if not np.isnan(value):
                        total += value
                        square += value * value
                        count += 1
            m = total / count
            variance = max(square / count - m * m, 0.0)
            signal = max(variance - m * m * smooth, 0.0) / (1.0 + smooth)
            weight = signal / variance if variance > 0 else 0.0
            out[i, j] = m + weight * (x[i, j] - m)
