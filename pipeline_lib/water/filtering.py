"""Speckle reduction and table look-up on linear power: the inner loops of every detector.

A detector never takes a logarithm per pixel. The upper 16 bits below the sign of a float32 (its exponent and the first
8 bits of its mantissa) number 65 536 intervals of 0.017 dB; whatever is a function of backscatter in decibel - a
histogram bin, a log-likelihood ratio, a fuzzy membership - is a table over them. NaN falls into intervals of its own.
"""

from collections.abc import Callable

import numba
import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]

TABLE_SIZE = 1 << 16
_SHIFT = 15
_FLOOR_DB = -60.0


@numba.njit(nogil=True, cache=True)
def boxcar(power: Plane, radius: int) -> Plane:
    """Mean of the observed pixels in a square of ``2 * radius + 1``; NaN stays where the centre is not observed.

    Args:
        power: float32 (y, x), linear; anything not finite counts as not observed, negative power (noise removed) as 0.
        radius: 0 leaves the values as they are.
    """
    rows, columns = power.shape
    out = np.empty((rows, columns), dtype=np.float32)
    if radius == 0:
        for y in range(rows):
            for x in range(columns):
                value = power[y, x]
                out[y, x] = max(value, np.float32(0.0)) if np.abs(value) < np.inf else np.float32(np.nan)
        return out
    total = np.empty(columns + 2 * radius, dtype=np.float32)
    count = np.empty(columns + 2 * radius, dtype=np.float32)
    for y in range(rows):
        total[:] = 0.0
        count[:] = 0.0
        for neighbour in range(max(0, y - radius), min(rows, y + radius + 1)):
            for x in range(columns):
                value = power[neighbour, x]
                observed = np.float32(1.0) if np.abs(value) < np.inf else np.float32(0.0)
                count[x + radius] += observed
                total[x + radius] += max(value, np.float32(0.0)) if observed > 0 else np.float32(0.0)
        for x in range(columns):
            summed = np.float32(0.0)
            number = np.float32(0.0)
            for shift in range(2 * radius + 1):
                summed += total[x + shift]
                number += count[x + shift]
            out[y, x] = summed / number if np.abs(power[y, x]) < np.inf else np.nan
    return out


@numba.njit(nogil=True, cache=True)
def smooth(values: Plane, radius: int) -> Plane:
    """Mean of the known values in a square of ``2 * radius + 1``; NaN stays NaN; values may have any sign."""
    if radius == 0:
        return values
    rows, columns = values.shape
    out = np.empty((rows, columns), dtype=np.float32)
    total = np.empty(columns + 2 * radius, dtype=np.float32)
    count = np.empty(columns + 2 * radius, dtype=np.float32)
    for y in range(rows):
        total[:] = 0.0
        count[:] = 0.0
        for neighbour in range(max(0, y - radius), min(rows, y + radius + 1)):
            for x in range(columns):
                value = values[neighbour, x]
                known = value == value  # noqa: PLR0124 - false for NaN alone
                count[x + radius] += np.float32(1.0) if known else np.float32(0.0)
                total[x + radius] += value if known else np.float32(0.0)
        for x in range(columns):
            summed = np.float32(0.0)
            number = np.float32(0.0)
            for shift in range(2 * radius + 1):
                summed += total[x + shift]
                number += count[x + shift]
            out[y, x] = summed / number if values[y, x] == values[y, x] else np.nan
    return out


def table_of(function: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]) -> Plane:
    """Tabulate a function of backscatter in dB, for `look_up`; power of zero counts as -60 dB, NaN gives NaN."""
    bits = (np.arange(TABLE_SIZE, dtype=np.uint32) << _SHIFT) + (1 << (_SHIFT - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        power = bits.view(np.float32).astype(np.float64)
        decibel = np.maximum(10.0 * np.log10(power), _FLOOR_DB)
        values = function(decibel)
    return np.where(np.isfinite(power), values, np.nan).astype(np.float32)


@numba.njit(nogil=True, cache=True)
def look_up(power: Plane, table: Plane) -> Plane:
    """Value of a tabulated function at each pixel's power (float32, C order)."""
    flat = power.reshape(-1).view(np.uint32)
    out = np.empty(flat.size, dtype=np.float32)
    for position in range(flat.size):
        out[position] = table[(flat[position] & 0x7FFFFFFF) >> _SHIFT]
    return out.reshape(power.shape)


def decibel(power: Plane) -> Plane:
    """Power to decibel, NaN where not observed, no less than -60 dB."""
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.maximum(np.float32(10.0) * np.log10(power), np.float32(_FLOOR_DB))
    return np.where(np.isfinite(power), np.where(power > 0, values, np.float32(_FLOOR_DB)), np.float32(np.nan))


def power_of(decibel: Plane) -> Plane:
    """Decibel to power, NaN kept."""
    power: Plane = np.power(np.float32(10.0), decibel / np.float32(10.0))
    return power
