"""Speckle reduction and table look-up on linear power: the inner loops of every detector.

A detector never takes a logarithm per pixel. The upper 16 bits below the sign of a float32 (its exponent and the first
8 bits of its mantissa) number 65 536 intervals of 0.017 dB; whatever is a function of backscatter in decibel - a
histogram bin, a log-likelihood ratio, a fuzzy membership - is a table over them. NaN falls into intervals of its own.
"""

from collections.abc import Callable

import numba
import numpy as np
import numpy.typing as npt

from pipeline_lib.model import LEAST_NOISE, refuse_decibels
from pipeline_lib.water.plane import Plane

Line = npt.NDArray[np.float32]
"""One row of a plane."""

TABLE_SIZE = 1 << 16
SHIFT = 15
_FLOOR_DB = -60.0


def boxcar(power: Plane, radius: int) -> Plane:
    """Mean of the observed pixels in a square of ``2 * radius + 1``; NaN stays where the centre is not observed.

    Args:
        power: float32 (y, x), linear; anything not finite counts as not observed, negative power (noise removed) as 0.
        radius: 0 leaves the values as they are.

    Raises:
        ContractError: most values lie below `LEAST_NOISE`: decibels that claim to be power would count as darkness.
    """
    cleaned, known, impossible = _cleaned(power)
    refuse_decibels(impossible, known)
    return smooth(cleaned, radius)


@numba.njit(nogil=True, cache=True)
def _cleaned(power: Plane) -> tuple[Plane, int, int]:
    """NaN for what is not finite, zero for what is negative; how many are finite, and how many of them impossible."""
    out = np.empty_like(power)
    finite, impossible = 0, 0
    for y in range(power.shape[0]):
        for x in range(power.shape[1]):
            value = power[y, x]
            known = np.abs(value) < np.inf
            out[y, x] = max(value, np.float32(0.0)) if known else np.float32(np.nan)
            finite += known
            impossible += known and value < np.float32(LEAST_NOISE)
    return out, finite, impossible


def smooth(values: Plane, radius: int) -> Plane:
    """Mean of the known values in a square of ``2 * radius + 1``; NaN stays NaN; values may have any sign."""
    if radius == 0:
        return values
    small = radius == 1 and min(values.shape) > 1 and _all_known(values)
    mean: Plane = _mean_of_nine(values) if small else _window_mean(values, radius)
    return mean


@numba.njit(nogil=True, cache=True)
def _all_known(values: Plane) -> bool:
    """Whether no value is NaN."""
    for y in range(values.shape[0]):
        missing = 0
        for x in range(values.shape[1]):
            missing += np.isnan(values[y, x])
        if missing > 0:
            return False
    return True


@numba.njit(nogil=True, cache=True)
def _mean_of_nine(values: Plane) -> Plane:
    """`_window_mean` of radius 1 where every value is known, in the same order of sums: twice as fast.

    Both sides have at least 2 pixels.
    """
    rows, columns = values.shape
    last = columns - 1
    totals = np.zeros((3, columns), dtype=np.float32)
    out = np.empty((rows, columns), dtype=np.float32)
    for entering in range(rows + 1):
        total = totals[entering % 3]
        if entering < rows:
            row = values[entering]
            for x in range(1, last):
                total[x] = row[x - 1] + row[x] + row[x + 1]
            total[0], total[last] = row[0] + row[1], row[last - 1] + row[last]
        else:
            total[:] = 0.0
        if entering >= 1:
            first, second, mean = totals[(entering + 1) % 3], totals[(entering + 2) % 3], out[entering - 1]
            height = np.float32(3 - (entering == 1) - (entering == rows))
            for x in range(columns):
                mean[x] = (first[x] + second[x] + total[x]) / (height * np.float32(3.0))
            for x in (0, last):
                mean[x] = (first[x] + second[x] + total[x]) / (height * np.float32(2.0))
    return out


@numba.njit(nogil=True, cache=True)
def _window_mean(values: Plane, radius: int) -> Plane:
    """Mean over a square window: each row is summed along x once, and the sums wait in a ring of ``2 * radius + 1``.

    Every pixel's sum is taken in the same order, left to right, top to bottom, so that blocks cannot show.
    """
    rows, columns = values.shape
    height = 2 * radius + 1
    totals = np.zeros((height, columns), dtype=np.float32)
    counts = np.zeros((height, columns), dtype=np.float32)
    padded = np.zeros((2, columns + 2 * radius), dtype=np.float32)
    out = np.empty((rows, columns), dtype=np.float32)
    for entering in range(rows + radius):
        slot = entering % height
        totals[slot, :] = 0.0
        counts[slot, :] = 0.0
        if entering < rows:
            _sum_along(values[entering], radius, padded[0], padded[1], totals[slot], counts[slot])
        if entering >= radius:
            _mean_down(values[entering - radius], totals, counts, slot + 1, out[entering - radius])
    return out


@numba.njit(nogil=True, cache=True)
def _sum_along(values: Line, radius: int, kept: Line, known: Line, total: Line, count: Line) -> None:
    """Sum and number of the known values about each pixel of a row; ``kept`` and ``known`` are room to work in."""
    for x in range(values.size):
        seen = not np.isnan(values[x])
        kept[x + radius] = values[x] if seen else np.float32(0.0)
        known[x + radius] = np.float32(1.0) if seen else np.float32(0.0)
    for shift in range(2 * radius + 1):
        for x in range(values.size):
            total[x] += kept[x + shift]
            count[x] += known[x + shift]


@numba.njit(nogil=True, cache=True)
def _mean_down(centre: Line, totals: Plane, counts: Plane, oldest: int, out: Line) -> None:
    """Rows of sums, from the oldest on, to means; NaN where the centre is NaN."""
    height = totals.shape[0]
    number = np.zeros_like(out)
    out[:] = 0.0
    for later in range(height):
        total, count = totals[(oldest + later) % height], counts[(oldest + later) % height]
        for x in range(out.size):
            out[x] += total[x]
            number[x] += count[x]
    for x in range(out.size):
        out[x] = np.float32(np.nan) if np.isnan(centre[x]) else out[x] / number[x]


def table_of(function: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]) -> Plane:
    """Tabulate a function of backscatter in dB, for `look_up`; power of zero counts as -60 dB, NaN gives NaN.

    ``function`` is given and returns (`TABLE_SIZE`) values, and so is the table, float32.
    """
    bits = (np.arange(TABLE_SIZE, dtype=np.uint32) << SHIFT) + (1 << (SHIFT - 1))
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
        out[position] = table[(flat[position] & 0x7FFFFFFF) >> SHIFT]
    return out.reshape(power.shape)


def _middles() -> tuple[Plane, Plane]:
    """Decibel of each interval's middle, and the middle's inverse; NaN and infinity give NaN."""
    bits = (np.arange(TABLE_SIZE, dtype=np.uint32) << SHIFT) + (1 << (SHIFT - 1))
    with np.errstate(invalid="ignore", over="ignore"):
        power = bits.view(np.float32).astype(np.float64)
        power[~np.isfinite(power)] = np.nan
        return (10.0 * np.log10(power)).astype(np.float32), (1.0 / power).astype(np.float32)


_MIDDLE_DB, _MIDDLE_INVERSE = _middles()
_DB_PER_NEPER = np.float32(10.0 / np.log(10.0))
_LEAST_POWER = np.float32(1e-6)


@numba.njit(nogil=True, cache=True)
def decibel_of(power: np.float32, interval: int) -> np.float32:
    """Decibel of one value whose interval is known, no less than -60; exact to float32's rounding.

    Within an interval the value strays by 1/256 at most from its middle: ln(1 + d) = d - d^2/2 + d^3/3.
    """
    middle = _MIDDLE_DB[interval]
    if power <= _LEAST_POWER and not np.isnan(middle):
        return np.float32(_FLOOR_DB)
    d = power * _MIDDLE_INVERSE[interval] - np.float32(1.0)
    series = d * (np.float32(1.0) - d * (np.float32(0.5) - d * np.float32(1.0 / 3.0)))
    answer: np.float32 = middle + _DB_PER_NEPER * series
    return answer


@numba.njit(nogil=True, cache=True)
def decibel(power: Plane) -> Plane:
    """Power to decibel, NaN where not observed, no less than -60 dB."""
    bits = power.view(np.uint32)
    out = np.empty_like(power)
    for y in range(power.shape[0]):
        for x in range(power.shape[1]):
            out[y, x] = decibel_of(power[y, x], (bits[y, x] & 0x7FFFFFFF) >> SHIFT)
    return out


def power_of(decibel: Plane) -> Plane:
    """Decibel to power, NaN kept."""
    power: Plane = np.power(np.float32(10.0), decibel / np.float32(10.0))
    return power
