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

from pipeline_lib.water.classes import Classes
from pipeline_lib.water.filtering import boxcar, decibel, look_up, smooth, table_of
from pipeline_lib.water.fusion import change_ratio
from pipeline_lib.water.threshold import Normal

Plane = npt.NDArray[np.float32]
Statistics = tuple[Plane, Plane]

RADIUS_PX = 1
WATER_QUOTIENT = Normal(13.0, 2.5)
"""VV over VH of rough water after a 3 x 3 mean, dB: CMOD5 over Vachon & Wolfe's VH with a noise floor of -25 dB."""
LAND_QUOTIENT = Normal(10.0, 2.0)
"""The same of land, from above: of land darker than -19 dB in VH it is 7.2 dB on average over ten real places without
flood (five of the TerraMind examples, five of BigEarthNet's), and 10.4 dB in the highest of them (bare arable land). On
simulated worlds any mean from 7 to 10 dB scores alike, so that caution costs nothing."""
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
class RoughEvidence:
    """Planes float32 (y, x), NaN where either polarisation is not observed."""

    co: Plane
    """VV, mean of 3 x 3."""
    cross: Plane
    """VH, mean of 3 x 3."""
    quotient: Plane
    """VV / VH of the two."""
    ratio: Plane
    """Log-likelihood ratio of rough water against the scene's land, odds of roughness included."""


def rough_evidence(co: Plane, cross: Plane, tables: RoughTables) -> RoughEvidence:
    """What two polarisations (linear power, single pixels) say of rough water."""
    mean_co, mean_cross = boxcar(co, RADIUS_PX), boxcar(cross, RADIUS_PX)
    quotient, ratio = _rough_ratio(mean_co, mean_cross, tables.cross, tables.quotient, tables.log_odds)
    return RoughEvidence(mean_co, mean_cross, quotient, ratio)


@numba.njit(nogil=True, cache=True)
def _rough_ratio(co: Plane, cross: Plane, cross_table: Plane, quotient_table: Plane, log_odds: float) -> Statistics:
    """Quotient and summed evidence; power of zero counts as -70 dB."""
    quotient = np.empty_like(co)
    ratio = np.empty_like(co)
    floor = np.float32(1e-7)
    for y in range(co.shape[0]):
        for x in range(co.shape[1]):
            quotient[y, x] = max(co[y, x], floor) / max(cross[y, x], floor)
            if np.isnan(co[y, x]) or np.isnan(cross[y, x]):
                quotient[y, x] = np.nan
    cross_bits, quotient_bits = cross.view(np.uint32), quotient.view(np.uint32)
    for y in range(co.shape[0]):
        for x in range(co.shape[1]):
            of_cross = cross_table[(cross_bits[y, x] & 0x7FFFFFFF) >> 15]
            ratio[y, x] = of_cross + quotient_table[(quotient_bits[y, x] & 0x7FFFFFFF) >> 15] + log_odds
    return quotient, ratio


def rough_change(
    evidence: RoughEvidence, tables: RoughTables, co: Statistics, cross: Statistics, taken: float
) -> Plane:
    """Log-likelihood ratio of rough water against the land that the reference passes saw here.

    Args:
        evidence: of the scene.
        tables: the tables it was made with.
        co: expected VV of single pixels in dB and its spread (`reference_statistics`).
        cross: the same of VH.
        taken: variance of speckle that the 3 x 3 mean takes off, dB^2.
    """
    limits = (tables.weight, tables.limit)
    of_cross = change_ratio(
        decibel(evidence.cross),
        look_up(evidence.cross, tables.cross_water),
        look_up(evidence.cross, tables.cross),
        *_filtered(cross, taken),
        *limits,
    )
    of_co = change_ratio(
        decibel(evidence.co),
        look_up(evidence.quotient, tables.quotient_water),
        look_up(evidence.quotient, tables.quotient),
        *_filtered(co, taken),
        *limits,
    )
    changed: Plane = of_cross + of_co + np.float32(tables.log_odds)
    return changed


def _filtered(statistics: Statistics, taken: float) -> Statistics:
    """Expectation and spread after a 3 x 3 mean, from those of single pixels.

    Speckle's mean in decibels lies below the decibel of its mean in proportion to its variance; what the filter takes
    off the variance brings the two together.
    """
    expected, spread = (smooth(plane, RADIUS_PX) for plane in statistics)
    lifted = expected + np.float32(taken * np.log(10.0) / 20.0)
    return lifted, np.sqrt(np.maximum(spread**2 - np.float32(taken), np.float32(MIN_LAND_SPREAD_DB**2)))
