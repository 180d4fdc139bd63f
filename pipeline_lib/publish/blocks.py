"""Square blocks of pixels as one value each: counts of codes, sums of numbers. Partial blocks at the edges count."""

import math

import numba
import numpy as np


def block_sums(values: np.ndarray, factor: int, nodata: float) -> tuple[np.ndarray, np.ndarray]:
    """Sum (float64) and number (int32) of the values (y, x) of each block that are neither ``nodata`` nor NaN."""
    total, count = _sums(values, factor, nodata)
    return np.asarray(total), np.asarray(count)


def code_counts(codes: np.ndarray, factor: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes that occur in a uint8 array (y, x), ascending, and how often in each block: int32 (code, rows, columns)."""
    values = np.flatnonzero(_present(codes)).astype(np.uint8)
    place = np.zeros(256, np.int64)
    place[values] = np.arange(values.size)
    return values, np.asarray(_counts(codes, factor, place, values.size))


def covered(shape: tuple[int, ...], factor: int) -> np.ndarray:
    """Pixels of a grid of ``shape`` in each block."""
    tall, wide = (np.minimum(factor, size - factor * np.arange(math.ceil(size / factor))) for size in shape)
    return np.outer(tall, wide)


@numba.njit(nogil=True, cache=True)
def _sums(values: np.ndarray, factor: int, nodata: float) -> tuple[np.ndarray, np.ndarray]:
    """Sums and counts."""
    rows, columns = values.shape
    shape = ((rows + factor - 1) // factor, (columns + factor - 1) // factor)
    total, count = np.zeros(shape), np.zeros(shape, np.int32)
    for r in range(rows):
        for block in range(shape[1]):
            part, valid = 0.0, 0
            for c in range(block * factor, min((block + 1) * factor, columns)):
                value = values[r, c]
                if value == value and value != nodata:  # noqa: PLR0124 - NaN does not equal itself
                    part += value
                    valid += 1
            total[r // factor, block] += part
            count[r // factor, block] += valid
    return total, count


@numba.njit(nogil=True, cache=True)
def _present(codes: np.ndarray) -> np.ndarray:
    """Which of 256 codes occur."""
    found = np.zeros(256, np.bool_)
    for r in range(codes.shape[0]):
        for c in range(codes.shape[1]):
            found[codes[r, c]] = True
    return found


@numba.njit(nogil=True, cache=True)
def _counts(codes: np.ndarray, factor: int, place: np.ndarray, number: int) -> np.ndarray:
    """How often each code occurs."""
    rows, columns = codes.shape
    counts = np.zeros((number, (rows + factor - 1) // factor, (columns + factor - 1) // factor), np.int32)
    for r in range(rows):
        block, left = 0, factor
        for c in range(columns):
            if left == 0:
                block, left = block + 1, factor
            counts[place[codes[r, c]], r // factor, block] += 1
            left -= 1
    return counts
