"""What a pixel's neighbours say: agreement, and the power that leaks across the edge of water.

The radar's resolution (20 m) is twice the pixel (10 m), so that a pixel holds power of its neighbours. With the share q
of water among them, a water pixel is expected at w + leak (1 - q) (l - w) and a land pixel at l - leak q (l - w), where
w and l are the powers of water and land. Beside land, water is brighter than in the open, and the point of indifference
moves up: a threshold that ignores this eats the edges of every water body.

The field is solved by mean-field iteration:

    p_i = sigmoid(log_odds_i + C(x_i, q_i) + coupling (2 q_i - 1)),   q_i = mean of p over the 8 neighbours

with C the change of the log-likelihood ratio by the neighbours' leak.

References:
    Besag (1986), J. R. Stat. Soc. B 48(3); Zhang (1992), IEEE Trans. Signal Processing 40(10) - mean field.
"""

import numba
import numpy as np
import numpy.typing as npt

from pipeline_lib.water.classes import Classes
from pipeline_lib.water.plane import Plane
from pipeline_lib.water.threshold import Normal

Levels = npt.NDArray[np.int16]

LEVELS = 9
"""Steps of the share of water among the neighbours, 0 to 1."""
SHIFT = 18
ENTRIES = 1 << (31 - SHIFT)
"""Intervals of power of a table: 0.09 dB."""
MOST_FOREIGN = 0.35
"""Share of neighbours of the other class that a pixel is credited with: straight edges have 0.3, more is speckle."""
SIDE, CORNER = np.float32(0.2), np.float32(0.05)
"""Weights of the four nearest and the four diagonal neighbours: a Gaussian of 0.6 pixels."""


def edge_table(classes: Classes, leak: float, weight: float, limit: float) -> Plane:
    """Change of the evidence by the neighbours, float32 (LEVELS, ENTRIES): over their share of water and over power.

    Args:
        classes: water and land of single pixels.
        leak: share of a pixel's power that is its neighbours'.
        weight: of the log-likelihood ratio.
        limit: of the weighted evidence, before and after.
    """
    bits = (np.arange(ENTRIES, dtype=np.uint32) << SHIFT) + (1 << (SHIFT - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        power = bits.view(np.float32).astype(np.float64)
        decibel = np.maximum(10.0 * np.log10(power), -60.0)
    known = np.isfinite(decibel)
    table = np.zeros((LEVELS, ENTRIES), dtype=np.float32)
    own = np.clip(weight * classes.log_ratio(decibel[known]), -limit, limit)
    for level, share in enumerate(np.linspace(0.0, 1.0, LEVELS)):
        mixed = _beside(classes, leak, float(share))
        table[level, known] = np.clip(weight * mixed.log_ratio(decibel[known]), -limit, limit) - own
    return table


def _beside(classes: Classes, leak: float, share: float) -> Classes:
    """The classes of a pixel of whose neighbours a share is water."""
    water, land = 10.0 ** (classes.water.mean / 10.0), 10.0 ** (classes.land.mean / 10.0)
    wet = 10.0 * np.log10(water + leak * min(1.0 - share, MOST_FOREIGN) * (land - water))
    dry = 10.0 * np.log10(land - leak * min(share, MOST_FOREIGN) * (land - water))
    return Classes(
        water=Normal(float(wet), classes.water.spread),
        land=Normal(float(dry), classes.land.spread),
        tiles=classes.tiles,
    )


SIGMOID_LIMIT = np.float32(12.0)
SIGMOID_STEPS = np.float32(128.0)
"""The logistic function is tabulated in steps of 1/128 between -12 and 12: 3e-6 to 1 - 3e-6, off by at most 0.001."""
SIGMOID: Plane = (1.0 / (1.0 + np.exp(-(np.arange((2 * 12 * 128) + 1) / 128.0 - 12.0)))).astype(np.float32)
DECIDED = np.float32(11.0)
"""A pixel with log-odds beyond is not swayed by its neighbours."""


UNKNOWN = np.int16(-1)
"""Level of a pixel that is not observed."""


@numba.njit(nogil=True, cache=True, fastmath={"contract", "arcp", "reassoc"})
def _level(value: np.float32) -> int:
    """Place of the logistic function in its table."""
    clipped = min(max(value, -SIGMOID_LIMIT), SIGMOID_LIMIT)
    return int((clipped + SIGMOID_LIMIT) * SIGMOID_STEPS + np.float32(0.5))


@numba.njit(nogil=True, cache=True, fastmath={"contract", "arcp", "reassoc"})
def _round(
    log_odds: Plane,
    bits: npt.NDArray[np.uint32],
    more_bits: npt.NDArray[np.uint32],
    tables: npt.NDArray[np.float32],
    before: Plane,
    after: Plane,
    levels: Levels,
    strength: np.float32,
) -> None:
    """One round: from the neighbours' probabilities (with a margin of one pixel) to the pixels' own."""
    half, top = np.float32(0.5), np.float32(LEVELS - 1)
    both = more_bits.size > 0
    for y in range(log_odds.shape[0]):
        above, row, below, out = before[y], before[y + 1], before[y + 2], after[y + 1]
        for x in range(log_odds.shape[1]):
            field = log_odds[y, x]
            if not np.abs(field) < DECIDED:
                continue
            share = SIDE * (above[x + 1] + below[x + 1] + row[x] + row[x + 2])
            share += CORNER * (above[x] + above[x + 2] + below[x] + below[x + 2])
            level = int(share * top + half)
            field += strength * (share - half) + tables[0, level, (bits[y, x] & 0x7FFFFFFF) >> SHIFT]
            if both:
                field += tables[1, level, (more_bits[y, x] & 0x7FFFFFFF) >> SHIFT]
            place = _level(field)
            levels[y, x] = place
            out[x + 1] = SIGMOID[place]


@numba.njit(nogil=True, cache=True)
def mean_field(
    log_odds: Plane, first: Plane, second: Plane, tables: npt.NDArray[np.float32], coupling: float, rounds: int
) -> Levels:
    """Probability of water by the field of the module's docstring, in two bytes a pixel.

    Args:
        log_odds: each pixel's own, float32 (y, x), NaN = not observed; such a neighbour counts as undecided.
        first: power of one polarisation, float32 (y, x).
        second: power of another, or an array of shape (0, 0).
        tables: `edge_table` of the two, float32 (2, LEVELS, ENTRIES).
        coupling: log-odds that unanimous neighbours add.
        rounds: each reaches one pixel farther.

    Returns:
        int16 (y, x): places in the table of the logistic function, `UNKNOWN` where not observed; `probability_of`
        makes probabilities of them, none lost.
    """
    rows, columns = log_odds.shape
    before = np.full((rows + 2, columns + 2), np.float32(0.5), dtype=np.float32)
    levels = np.full((rows, columns), UNKNOWN, dtype=np.int16)
    for y in range(rows):
        for x in range(columns):
            if log_odds[y, x] == log_odds[y, x]:
                levels[y, x] = _level(log_odds[y, x])
                before[y + 1, x + 1] = SIGMOID[levels[y, x]]
    after = before.copy()
    bits, more_bits = first.view(np.uint32), second.view(np.uint32)
    for _ in range(rounds):
        _round(log_odds, bits, more_bits, tables, before, after, levels, np.float32(2.0 * coupling))
        before, after = after, before
    return levels


@numba.njit(nogil=True, cache=True)
def probability_of(levels: Levels) -> Plane:
    """Probability, float32, NaN where not observed, of what `mean_field` returned."""
    out = np.empty(levels.shape, dtype=np.float32)
    for y in range(levels.shape[0]):
        for x in range(levels.shape[1]):
            level = levels[y, x]
            out[y, x] = np.float32(np.nan) if level == UNKNOWN else SIGMOID[level]
    return out
