"""Flooded vegetation and flooded towns: water under stems and between walls makes radar brighter, not darker.

Signal bounces twice, off the smooth water and off the upright stem or wall, and comes back. Against the archive of the
same orbit the co-polarised channel rises by some decibels while the cross-polarised one stays: harvest, rain on a
canopy and new buildings raise both or neither. Rain on soil raises all land of a pass; that much is taken off first.
The rise alone is weak evidence, so it is averaged over a box, must lie near open flood, and low above the drainage
where that is known; and its likelihood is bounded from above.

References:
    Richards, Woodgate, Skidmore (1987), An explanation of enhanced radar backscattering from flooded forests,
    Int. J. Remote Sensing 8(7). Chini et al. (2019), Sentinel-1 InSAR coherence to detect floodwater in urban areas,
    Remote Sensing 11(2), on double bounce between floodwater and facades.
"""

import numpy as np
from scipy.ndimage import distance_transform_edt, uniform_filter

from pipeline_lib.flood.exclusion import Evidence
from pipeline_lib.options.derive import BrighteningOptions, DeriveOptions

VEGETATION, TOWN = 3, 4
DOUBT, DOUBT_PERCENT = 0.55, 26
"""Share of the limits from which a rise leaves doubt, and the likelihood there."""
URBAN_MARGIN_DB = 1.5
"""Below the urban limit by this much a bright pixel may still be a street; above it is vegetation no more."""


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
    possible &= distance_transform_edt(~open_flood) * pixel_m <= limits.reach_m
    if evidence.hand_m is not None:
        possible &= ~(evidence.hand_m > limits.max_hand_m)
    size = window_px(limits, pixel_m)
    rise = _mean_over(possible, evidence.co_db - evidence.co_mean_db - usual_db, size)
    deviation = _deviation(evidence, limits.min_deviation_db)
    strength = np.minimum(rise / limits.min_rise_db, rise / (limits.min_deviations * deviation))
    if evidence.cross_db is not None and evidence.cross_mean_db is not None:
        cross_rise = _mean_over(possible, evidence.cross_db - evidence.cross_mean_db, size)
        strength = np.fmin(strength, (rise - cross_rise) / limits.min_cross_gap_db)
    strength = np.nan_to_num(strength, nan=-1)
    return _classes(evidence, possible, strength, options)


def window_px(limits: BrighteningOptions, pixel_m: float) -> int:
    """Side of the box over which rises are averaged: an odd number of pixels."""
    return 2 * int(limits.window_m / pixel_m / 2) + 1


def _classes(
    evidence: Evidence, possible: np.ndarray, strength: np.ndarray, options: DeriveOptions
) -> tuple[np.ndarray, np.ndarray]:
    """Classes and likelihood by the strength of a rise: 1 at the limits."""
    assert evidence.co_mean_db is not None  # noqa: S101 - there is no strength without
    candidate = possible & (strength >= 1)
    town_db = -5.0 if options.urban_vv_db is None else options.urban_vv_db
    town = candidate & (evidence.co_mean_db >= town_db - URBAN_MARGIN_DB)
    classes = np.select([town, candidate], [TOWN, VEGETATION], 0).astype(np.uint8)
    low, high = options.brightening.confidence_percent
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
