"""Flooded vegetation and flooded towns: water under stems and between walls makes radar brighter, not darker.

Signal bounces twice, off the smooth water and off the upright stem or wall, and comes back. Against the archive of the
same orbit the co-polarised channel rises by some decibels while the cross-polarised one stays: harvest, rain on a
canopy and new buildings raise both or neither. Rain on soil raises all land of a pass; that much is taken off first.
The rise alone is weak evidence, so it is averaged over a box, must lie near open flood, and low above the drainage
where that is known; and its likelihood is bounded from above.

Built-up ground is told from stands by its archive: walls return co-polarised power many times over the cross-polarised,
and unevenly from house to house, while a canopy returns both, evenly. Rain wets soil, not roofs, so in towns nothing is
taken off; and since only walls that face the radar brighten, a smaller rise counts there.

References:
    Richards, Woodgate, Skidmore (1987), An explanation of enhanced radar backscattering from flooded forests,
    Int. J. Remote Sensing 8(7). Chini et al. (2019), Sentinel-1 InSAR coherence to detect floodwater in urban areas,
    Remote Sensing 11(2), on double bounce between floodwater and facades. Mason et al. (2014), Detection of flooded
    urban areas in high resolution SAR images using double scattering, Int. J. Applied Earth Observation and
    Geoinformation 28. Lee, Pottier (2009), Polarimetric Radar Imaging, chapter 6 (volume and double bounce).
"""

import math

import numpy as np
from scipy.ndimage import uniform_filter

from pipeline_lib.distance import square_distance
from pipeline_lib.flood.evidence import Evidence
from pipeline_lib.options.derive import BrighteningOptions, DeriveOptions

VEGETATION, TOWN = 3, 4
DOUBT, DOUBT_PERCENT = 0.55, 26
"""Share of the limits from which a rise leaves doubt, and the likelihood there."""
URBAN_MARGIN_DB = 1.5
"""Without a cross-polarised archive ground is built up from this much below the urban limit."""
UNEVENNESS = 2.0
"""Weight of the spatial deviation beside the difference of the channels."""


def brightened(
    evidence: Evidence, open_flood: np.ndarray, options: DeriveOptions, pixel_m: float, usual_db: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Classes and confidence of brightened pixels.

    Args:
        evidence: needs the co-polarised power of the pass and the archive's mean; otherwise nothing is found.
        open_flood: bool (y, x), open water that is not reference water.
        options: limits.
        pixel_m: pixel size, metres.
        usual_db: rise of the pass's dry land (`pipeline_lib.flood.usual_rise`), taken off every rise, dB.

    Returns:
        uint8 class (0 none, 3 flooded vegetation, 4 flooded town) and uint8 likelihood in percent: of the classes, and
        of pixels that rose by `DOUBT` of the limits and so may be flooded, which widens the range of the area; 0
        elsewhere.
    """
    none = np.zeros(evidence.water.shape, np.uint8)
    limits = options.brightening
    if not limits.enabled or evidence.co_db is None or evidence.co_mean_db is None or not open_flood.any():
        return none, none
    possible = (evidence.water == 0) & (evidence.reference == 0)
    reach_px = math.ceil(limits.reach_m / pixel_m) + 1
    possible &= np.sqrt(square_distance(open_flood, reach_px)) * pixel_m <= limits.reach_m
    if evidence.hand_m is not None:
        possible &= ~(evidence.hand_m > limits.max_hand_m)
    size = window_px(limits, pixel_m)
    built = built_up(evidence, options, size)
    stands = (limits.min_rise_db, limits.min_deviations, limits.min_cross_gap_db)
    streets = (limits.town_min_rise_db, limits.town_min_deviations, limits.town_min_cross_gap_db)
    strength = np.where(
        built,
        _strength(evidence, possible & built, 0.0, streets, limits.min_deviation_db, size),
        _strength(evidence, possible & ~built, usual_db, stands, limits.min_deviation_db, size),
    )
    return _classes(possible, built, strength, limits)


def built_up(evidence: Evidence, options: DeriveOptions, size: int) -> np.ndarray:
    """Where the archive looks like buildings, bool (y, x): bright, co- far over cross-polarised, and uneven.

    Needs the archive's co-polarised mean; without a cross-polarised one brightness alone decides.
    """
    limits, co = options.brightening, evidence.co_mean_db
    assert co is not None  # noqa: S101 - there is no rise without
    if evidence.cross_mean_db is None:
        urban_db = -5.0 if options.urban_vv_db is None else options.urban_vv_db
        return np.asarray(co >= urban_db - URBAN_MARGIN_DB)
    everywhere = np.ones(co.shape, bool)
    mean = _mean_over(everywhere, co, size)
    uneven = np.sqrt(np.maximum(_mean_over(everywhere, co**2, size) - mean**2, 0))
    channels = _mean_over(everywhere, co - evidence.cross_mean_db, size)
    pattern = channels + UNEVENNESS * uneven >= limits.town_pattern_db
    return np.asarray((mean >= limits.town_min_co_db) & pattern)


def _strength(
    evidence: Evidence,
    where: np.ndarray,
    usual_db: float,
    least: tuple[float, float, float],
    min_deviation_db: float,
    size: int,
) -> np.ndarray:
    """How far rises reach ``least`` (dB, deviations of the archive, dB beyond cross-polarised): 1 at all three."""
    assert evidence.co_db is not None  # noqa: S101 - there is no rise without
    assert evidence.co_mean_db is not None  # noqa: S101
    rise_db, deviations, gap_db = least
    rise = _mean_over(where, evidence.co_db - evidence.co_mean_db - usual_db, size)
    strength = np.minimum(rise / rise_db, rise / (deviations * _deviation(evidence, min_deviation_db)))
    if evidence.cross_db is not None and evidence.cross_mean_db is not None:
        cross_rise = _mean_over(where, evidence.cross_db - evidence.cross_mean_db, size)
        strength = np.fmin(strength, (rise - cross_rise) / gap_db)
    known: np.ndarray = np.nan_to_num(strength, nan=-1)
    return known


def window_px(limits: BrighteningOptions, pixel_m: float) -> int:
    """Side of the box over which rises are averaged: an odd number of pixels."""
    return 2 * int(limits.window_m / pixel_m / 2) + 1


def _classes(
    possible: np.ndarray, built: np.ndarray, strength: np.ndarray, limits: BrighteningOptions
) -> tuple[np.ndarray, np.ndarray]:
    """Classes and likelihood by the strength of a rise: 1 at the limits."""
    candidate = possible & (strength >= 1)
    classes = np.select([candidate & built, candidate], [TOWN, VEGETATION], 0).astype(np.uint8)
    low, high = limits.confidence_percent
    sure = low + (high - low) * np.clip(strength - 1, 0, 1)
    doubtful = DOUBT_PERCENT + (low - 1 - DOUBT_PERCENT) * np.clip((strength - DOUBT) / (1 - DOUBT), 0, 1)
    percent = np.select([candidate, possible & (strength >= DOUBT)], [sure, doubtful], 0)
    return classes, np.rint(percent).astype(np.uint8)


def _mean_over(where: np.ndarray, rise_db: np.ndarray, size: int) -> np.ndarray:
    """Box mean of a rise over the pixels in question alone: speckle goes, and water or hills beside stay out of it."""
    known = where & np.isfinite(rise_db)
    total = uniform_filter(np.where(known, rise_db, 0).astype(np.float32), size, mode="constant")
    share = uniform_filter(known.astype(np.float32), size, mode="constant")
    mean: np.ndarray = np.where(known, total / np.maximum(share, 0.5 / size**2), np.nan)
    return mean


def _deviation(evidence: Evidence, floor_db: float) -> np.ndarray:
    """The archive's spread in dB, not below the floor; with one pass only, the floor doubled."""
    spread = evidence.co_std_db
    assert spread is not None  # noqa: S101 - comes with co_mean_db
    deviation: np.ndarray = np.maximum(np.nan_to_num(spread, nan=2 * floor_db), floor_db)
    return deviation
