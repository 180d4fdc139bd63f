"""Water that wind has roughened: bright in VV, as bright as land or brighter, and still dark in VH.

Bragg scattering off short waves is co-polarised: the power of VV over that of VH is far larger than any land gives. A
detector with one class of water takes such a surface for land, because VV denies what VH says. Here roughened water
is a class of its own: its VH is that of the scene's water, its VV is known only by the quotient VV / VH, so that

    ratio = max(calm, ln(s / (1 - s)) + w [ln p_water(vh) / p_land(vh) + ln p_rough(vv / vh) / p_land(vv / vh)])

with s the share of water that is taken to be rough. VV and VH are averaged over 3 x 3 pixels first: the quotient of two
speckled values strays by 3 dB, that of the means by 1.5 dB; surfaces this rough are wide.

References:
    Vachon & Wolfe (2011), IEEE GRSL 8(3) - VH of the sea: -35.7 dB + 0.59 dB s/m, whatever the angle;
    Hersbach et al. (2007), JGR 112 (CMOD5) - VV of the sea, -12 to -6 dB at 8 to 15 m/s and 30 to 40 degrees.
"""

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from pipeline_lib.water.classes import LAND_QUOTIENT, WATER_QUOTIENT, Classes
from pipeline_lib.water.filtering import SHIFT, decibel_of, smooth, table_of
from pipeline_lib.water.fusion import against_own_land
from pipeline_lib.water.plane import Plane

Line = npt.NDArray[np.float32]
Statistics = tuple[Plane, Plane]
"""Of two kinds: expectation and spread, or VV and VH."""

RADIUS_PX = 1
MIN_LAND_SPREAD_DB = 1.5
"""A pixel's own land strays at least this much about its expectation after a 3 x 3 mean."""


@dataclass(frozen=True)
class RoughTables:
    """Evidence for rough water as tables over power."""

    cross: Plane
    """Weighted log-likelihood ratio of VH: water against the scene's land."""
    quotient: Plane
    """The same of VV / VH."""
    cross_water: Plane
    """Log density of water in VH, level below its mean."""
    quotient_water: Plane
    """Log density of rough water in VV / VH, level above its mean."""
    log_odds: float
    """Of rough against calm water."""
    weight: float
    limit: float


def rough_tables(cross: Classes, share: float, weight: float, limit: float) -> RoughTables:
    """Tabulate.

    Args:
        cross: water and land in VH after a 3 x 3 mean.
        share: of water that is taken to be rough, 0 to 1.
        weight: of each log-likelihood ratio.
        limit: of each weighted one.
    """
    quotient = Classes(water=LAND_QUOTIENT, land=WATER_QUOTIENT, tiles=1)
    return RoughTables(
        cross=table_of(lambda value: np.clip(weight * cross.log_ratio(value), -limit, limit)),
        quotient=table_of(lambda value: np.clip(-weight * quotient.log_ratio(value), -limit, limit)),
        cross_water=table_of(lambda value: cross.water.log_density(np.maximum(value, cross.water.mean))),
        quotient_water=table_of(lambda value: WATER_QUOTIENT.log_density(np.minimum(value, WATER_QUOTIENT.mean))),
        log_odds=float(np.log(share / (1.0 - share))),
        weight=weight,
        limit=limit,
    )


@dataclass(frozen=True)
class Means:
    """VV and VH after a 3 x 3 mean, linear power, float32 (y, x)."""

    co: Plane
    cross: Plane


def means_of(co: Plane, cross: Plane) -> Means:
    """Of single pixels' power, NaN where not observed."""
    return Means(smooth(co, RADIUS_PX), smooth(cross, RADIUS_PX))


def scene_evidence(powers: Means, tables: Means, means: Means, rough: RoughTables) -> Plane:
    """Log-likelihood ratio of water, calm or rough, whichever is likelier, against the scene's land.

    Args:
        powers: as calm water is sought.
        tables: of calm water's ratio over VV and over VH.
        means: as rough water is sought.
        rough: its tables.
    """
    found: Plane = _likelier(
        (powers.co, powers.cross),
        (tables.co, tables.cross),
        (means.co, means.cross),
        (rough.cross, rough.quotient),
        np.float32(rough.log_odds),
    )
    return found


@numba.njit(nogil=True, cache=True)
def _bits_of_quotient(co: Line, cross: Line) -> npt.NDArray[np.uint32]:
    """Bits of VV / VH of one row; power of zero counts as -70 dB, NaN stays."""
    floor = np.float32(1e-7)
    quotient = np.empty_like(co)
    for x in range(co.size):
        above = max(co[x], floor)
        below = max(cross[x], floor)
        quotient[x] = above / below
    return quotient.view(np.uint32)


@numba.njit(nogil=True, cache=True)
def _likelier(
    powers: Statistics, tables: tuple[Line, Line], means: Statistics, rough_tables: tuple[Line, Line], odds: np.float32
) -> Plane:
    """See `scene_evidence`; what one polarisation says stands where the other is not observed."""
    (co, cross), (mean_co, mean_cross) = powers, means
    (co_table, cross_table), (rough_cross, rough_quotient) = tables, rough_tables
    out = np.empty_like(co)
    co_bits, cross_bits, mean_bits = co.view(np.uint32), cross.view(np.uint32), mean_cross.view(np.uint32)
    for y in range(co.shape[0]):
        quotient_bits = _bits_of_quotient(mean_co[y], mean_cross[y])
        for x in range(co.shape[1]):
            of_co = co_table[(co_bits[y, x] & 0x7FFFFFFF) >> SHIFT]
            of_cross = cross_table[(cross_bits[y, x] & 0x7FFFFFFF) >> SHIFT]
            calm = of_cross if np.isnan(of_co) else of_co if np.isnan(of_cross) else of_co + of_cross
            rough = rough_cross[(mean_bits[y, x] & 0x7FFFFFFF) >> SHIFT]
            rough += rough_quotient[(quotient_bits[x] & 0x7FFFFFFF) >> SHIFT] + odds
            out[y, x] = max(calm, rough)
    return out


def rough_change(
    means: Means, rough: RoughTables, co: Statistics, cross: Statistics, taken: float, calm: Plane
) -> Plane:
    """Log-likelihood ratio of water, calm or rough, against the land that the reference passes saw here.

    The references' expectation and spread of single pixels become those after a 3 x 3 mean: speckle's mean in decibels
    lies below the decibel of its mean in proportion to its variance; what the filter takes off the variance brings the
    two together.

    Args:
        means: of the scene.
        rough: rough water's tables.
        co: expected VV of single pixels in dB and its spread (`reference_statistics`).
        cross: the same of VH.
        taken: variance of speckle that the 3 x 3 mean takes off, dB^2.
        calm: ratio of calm water.
    """
    land_co = smooth(co[0], RADIUS_PX), smooth(co[1], RADIUS_PX)
    land_cross = smooth(cross[0], RADIUS_PX), smooth(cross[1], RADIUS_PX)
    tables = np.stack([rough.cross, rough.quotient, rough.cross_water, rough.quotient_water])
    limits = np.array([rough.log_odds, rough.weight, rough.limit, taken], dtype=np.float32)
    found: Plane = _rough_change(means.co, means.cross, land_co, land_cross, tables, limits, calm)
    return found


@numba.njit(nogil=True, cache=True)
def _rough_change(
    co: Plane,
    cross: Plane,
    land_co: Statistics,
    land_cross: Statistics,
    tables: Plane,
    limits: Line,
    calm: Plane,
) -> Plane:
    """See `rough_change`."""
    (expected_co, spread_co), (expected_cross, spread_cross) = land_co, land_cross
    odds, weight, limit, taken = limits
    lift, least = taken * np.float32(np.log(10.0) / 20.0), np.float32(MIN_LAND_SPREAD_DB**2)
    out = np.empty_like(co)
    co_bits, cross_bits = co.view(np.uint32), cross.view(np.uint32)
    for y in range(co.shape[0]):
        quotient_bits = _bits_of_quotient(co[y], cross[y])
        for x in range(co.shape[1]):
            of_co, of_cross = (co_bits[y, x] & 0x7FFFFFFF) >> SHIFT, (cross_bits[y, x] & 0x7FFFFFFF) >> SHIFT
            quotient = (quotient_bits[x] & 0x7FFFFFFF) >> SHIFT
            in_cross = against_own_land(
                decibel_of(cross[y, x], of_cross),
                tables[2, of_cross],
                tables[0, of_cross],
                expected_cross[y, x] + lift,
                np.sqrt(max(spread_cross[y, x] * spread_cross[y, x] - taken, least)),
                weight,
                limit,
            )
            in_co = against_own_land(
                decibel_of(co[y, x], of_co),
                tables[3, quotient],
                tables[1, quotient],
                expected_co[y, x] + lift,
                np.sqrt(max(spread_co[y, x] * spread_co[y, x] - taken, least)),
                weight,
                limit,
            )
            rough = in_cross + in_co + odds
            out[y, x] = max(calm[y, x], rough)
    return out
