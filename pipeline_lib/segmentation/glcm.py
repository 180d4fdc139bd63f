"""Grey level co-occurrence texture in a sliding window, worked out incrementally.

For each pixel the co-occurrences of quantised grey levels at distance 1 in 4 directions (0, 45, 90, 135 degrees) within
a window around it are counted as one symmetric matrix p (the directions' counts summed, as all have nearly the
same number). Moving the window one column on adds one column of pairs and drops one, so that a pixel costs O(window)
and not O(window^2 + levels^2):

    contrast = sum (i - j)^2 p,  homogeneity = sum p / (1 + (i - j)^2),  energy (ASM) = sum p^2,  entropy = -sum p ln p.

References:
    Haralick, Shanmugam, Dinstein: Textural features for image classification, IEEE Trans. SMC 3(6), 1973;
    Unser: Sum and difference histograms for texture classification, IEEE TPAMI 8(1), 1986.
"""

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from pipeline_lib.errors import ContractError

FEATURES = ("contrast", "homogeneity", "energy", "entropy")
NO_LEVEL = 255
LEVELS = 32
Planes = NDArray[np.float32]


def quantised(image: NDArray[np.floating], low: float, high: float, levels: int = LEVELS) -> NDArray[np.uint8]:
    """Grey levels 0 ... levels - 1 over a **fixed** range, so that the result does not depend on what else is in view.

    Values outside the range take the end levels; NaN becomes `NO_LEVEL`.

    Any shape; ``low`` and ``high`` in the units of ``image``.

    Raises:
        ContractError: an empty range, or levels outside 2 to 64.
    """
    if not low < high or not 2 <= levels <= 64:
        raise ContractError(f"Range {low:g} to {high:g} in {levels} levels: expected low < high and 2 to 64 levels.")
    scaled = np.floor((image - low) * (levels / (high - low)))
    grey: NDArray[np.uint8] = np.where(np.isfinite(scaled), np.clip(scaled, 0, levels - 1), NO_LEVEL).astype(np.uint8)
    return grey


def glcm_features(grey: NDArray[np.uint8], *, radius: int = 3, levels: int = LEVELS) -> Planes:
    """Texture around each pixel.

    Args:
        grey: `quantised` levels, dims (y, x).
        radius: half width of the window: 3 = 7 x 7. At the image's edge the window is cut off.
        levels: number of grey levels.

    Returns:
        `FEATURES`, dims (feature, y, x), float32; NaN where the pixel has no level or its window no pair.
    """
    out = np.full((len(FEATURES), *grey.shape), np.nan, np.float32)
    largest = 16 * (2 * radius + 1) ** 2 + 2
    counts = np.arange(largest, dtype=np.float64)
    n_log_n = counts * np.log(np.maximum(counts, 1))
    _slide(grey, radius, levels, n_log_n, out)
    return out


Place = tuple[int, int]


class _Tally(NamedTuple):
    """Co-occurrences in the window, and the sums that follow from them."""

    matrix: NDArray[np.int32]
    """Counts by both levels, symmetric."""
    sums: NDArray[np.float64]
    """Pairs, their squared differences, their homogeneity, squared counts, sum c ln c."""
    n_log_n: NDArray[np.float64]
    """c ln c of every count."""


@numba.njit(cache=True, nogil=True)
def _pair(grey: NDArray[np.uint8], one: Place, other: Place, sign: int, tally: _Tally) -> None:
    """Count (sign 1) or uncount (-1) a pair of pixels in both orders, and keep the sums up to date."""
    a, b = grey[one], grey[other]
    if a == 255 or b == 255:
        return
    matrix, sums, n_log_n = tally
    step = (float(a) - float(b)) ** 2
    sums[0] += 2 * sign
    sums[1] += 2 * sign * step
    sums[2] += 2 * sign / (1 + step)
    for i, j in ((a, b), (b, a)):
        before = matrix[i, j]
        after = before + sign
        matrix[i, j] = after
        sums[3] += float(after) ** 2 - float(before) ** 2
        sums[4] += n_log_n[after] - n_log_n[before]


@numba.njit(cache=True, nogil=True)
def _column(grey: NDArray[np.uint8], span: Place, column: Place, sign: int, tally: _Tally) -> None:
    """Pairs within a column of the window, and between it and its neighbour column (-1 = none)."""
    top, bottom = span
    x, other = column
    for y in range(top, bottom):
        if y + 1 < bottom:
            _pair(grey, (y, x), (y + 1, x), sign, tally)
        if other >= 0:
            for v in range(max(top, y - 1), min(bottom, y + 2)):
                _pair(grey, (y, x), (v, other), sign, tally)


@numba.njit(cache=True, nogil=True)
def _slide(grey: NDArray[np.uint8], radius: int, levels: int, n_log_n: NDArray[np.float64], out: Planes) -> None:
    rows, columns = grey.shape
    for y in range(rows):
        span = (max(0, y - radius), min(rows, y + radius + 1))
        sums = np.zeros(5)
        tally = _Tally(np.zeros((levels, levels), np.int32), sums, n_log_n)
        for x in range(min(radius, columns)):
            _column(grey, span, (x, x - 1), 1, tally)
        for x in range(columns):
            if x + radius < columns:
                _column(grey, span, (x + radius, x + radius - 1), 1, tally)
            gone = x - radius - 1
            if gone >= 0:
                _column(grey, span, (gone, gone + 1 if gone + 1 < columns else -1), -1, tally)
            total = sums[0]
            if total > 0 and grey[y, x] != 255:
                out[0, y, x] = sums[1] / total
                out[1, y, x] = sums[2] / total
                out[2, y, x] = sums[3] / total**2
                # Sum p ln p with p = c / total: (sum c ln c) / total - ln total.
                out[3, y, x] = max(np.log(total) - sums[4] / total, 0.0)
