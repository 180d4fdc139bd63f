"""Evidence into probability, pixel by pixel: the arithmetic of the adaptive detector."""

import numba
import numpy as np

from pipeline_lib.water.filtering import SHIFT, decibel_of
from pipeline_lib.water.plane import Plane

STAY = 0.97
"""Probability that what was water before is water now."""
KNOWN = 0.8
"""Share of land that is still as the reference passes saw it; the rest looks like land anywhere in the scene."""
ROOT_OF_TWO_PI = 2.5066282746310002
OCCURRENCE_LIMITS = (0.01, 0.99)
MAX_REFERENCE_EVIDENCE = 3.0
"""Where long-term occurrence is known, the reference passes' darkness counts no more than this: sand is dark too."""


def logit(probability: float) -> float:
    """Log-odds of a probability."""
    return float(np.log(probability / (1.0 - probability)))


def total_of(planes: list[Plane]) -> Plane:
    """Sum of the known values at each pixel, NaN where none is known."""
    if len(planes) == 1:
        return planes[0]
    answer: Plane = _total(planes[0], planes[1])
    for plane in planes[2:]:
        answer = _total(answer, plane)
    return answer


@numba.njit(nogil=True, cache=True)
def _total(one: Plane, other: Plane) -> Plane:
    out = np.empty_like(one)
    for y in range(one.shape[0]):
        for x in range(one.shape[1]):
            first, second = one[y, x], other[y, x]
            if np.isnan(first):
                out[y, x] = second
            elif np.isnan(second):
                out[y, x] = first
            else:
                out[y, x] = first + second
    return out


@numba.njit(nogil=True, cache=True)
def against_own_land(
    decibel: np.float32,
    water_log_density: np.float32,
    scene_ratio: np.float32,
    expected: np.float32,
    spread: np.float32,
    weight: np.float32,
    limit: np.float32,
) -> np.float32:
    """Log-likelihood ratio of water against the land that the reference passes saw at one pixel.

    The land's density is ``KNOWN`` parts its own expectation and the rest the scene's land, so that a pixel that grew
    darker without becoming as dark as water is not water. Brighter than expected counts as expected. The sum
    -ln(K exp(-a) + (1 - K) exp(-s)) is taken about the smaller of a and s, so that neither overflows.
    """
    if np.isnan(expected) or np.isnan(decibel):
        return scene_ratio
    own, other, none = np.float32(KNOWN), np.float32(1.0 - KNOWN), np.float32(0.0)
    scaled = min(decibel - expected, none) / spread
    land = np.float32(-0.5) * scaled * scaled - np.log(spread * np.float32(ROOT_OF_TWO_PI))
    against = weight * (water_log_density - land)
    apart = against - scene_ratio
    if apart > none:
        mixed = scene_ratio - np.log(other + own * np.exp(-apart))
    else:
        mixed = against - np.log(own + other * np.exp(apart))
    return min(max(mixed, -limit), limit)


@numba.njit(nogil=True, cache=True)
def change_ratio(
    power: Plane, water: Plane, scene_ratio: Plane, expected: Plane, spread: Plane, weight: float, limit: float
) -> Plane:
    """`against_own_land` of every pixel.

    Args:
        power: of the scene, linear.
        water: table over power of water's log density.
        scene_ratio: log-likelihood ratio against the scene's land.
        expected: what the references lead one to expect, dB; NaN = unknown, then the scene's ratio stands.
        spread: its standard deviation, dB.
        weight: of the ratio.
        limit: of the weighted ratio.
    """
    bits = power.view(np.uint32)
    out = np.empty_like(power)
    w, most = np.float32(weight), np.float32(limit)
    for y in range(power.shape[0]):
        for x in range(power.shape[1]):
            place = (bits[y, x] & 0x7FFFFFFF) >> SHIFT
            value = decibel_of(power[y, x], place)
            out[y, x] = against_own_land(value, water[place], scene_ratio[y, x], expected[y, x], spread[y, x], w, most)
    return out


@numba.njit(nogil=True, cache=True)
def was_water(evidence: Plane, occurrence: Plane) -> Plane:
    """Probability that the place was water before: from the reference's log-ratio and the long-term occurrence (%).

    NaN in either means unknown; 0.5 where both are.
    """
    out = np.empty_like(evidence)
    one, most = np.float32(1.0), np.float32(MAX_REFERENCE_EVIDENCE)
    low, high = np.float32(OCCURRENCE_LIMITS[0]), np.float32(OCCURRENCE_LIMITS[1])
    for y in range(evidence.shape[0]):
        for x in range(evidence.shape[1]):
            log_odds = np.float32(0.0) if np.isnan(evidence[y, x]) else evidence[y, x]
            share = occurrence[y, x] / np.float32(100.0)
            if not np.isnan(share):
                share = min(max(share, low), high)
                log_odds = min(max(log_odds, -most), most)
                log_odds += np.log(share / (one - share))
            out[y, x] = one / (one + np.exp(-log_odds))
    return out


@numba.njit(nogil=True, cache=True)
def place_log_prior(
    hand_m: Plane, slope_deg: Plane, hand_middle_m: float, hand_scale_m: float, max_slope_deg: float
) -> Plane:
    """Logarithm of the factor on the odds of water from height above drainage and slope; unknown counts as 1."""
    out = np.zeros_like(hand_m)
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            if not np.isnan(hand_m[y, x]):
                out[y, x] -= np.log1p(np.exp(min((hand_m[y, x] - hand_middle_m) / hand_scale_m, 30.0)))
            if not np.isnan(slope_deg[y, x]):
                out[y, x] -= np.log1p(np.exp(min(slope_deg[y, x] - max_slope_deg, 30.0)))
    return out


@numba.njit(nogil=True, cache=True)
def log_odds_with_reference(
    scene_ratio: Plane, changed_ratio: Plane, before: Plane, log_prior: Plane, flood_prior: float
) -> Plane:
    """Log-odds of water by the formula of `pipeline_lib.water.adaptive`; NaN where not observed."""
    out = np.empty_like(scene_ratio)
    one, prior = np.float32(1.0), np.float32(flood_prior)
    stay, left = np.float32(STAY), np.float32(1.0 - STAY)
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            r = before[y, x]
            water = r * stay + (one - r) * prior
            land = r * left * np.exp(-scene_ratio[y, x])
            land += (one - r) * (one - prior) * np.exp(-changed_ratio[y, x])
            out[y, x] = np.log(water / land) + log_prior[y, x]
    return out


@numba.njit(nogil=True, cache=True, fastmath={"contract", "arcp", "reassoc"})
def posterior(scene_ratio: Plane, log_prior_odds: float) -> Plane:
    """Probability of water from one log-likelihood ratio and one prior; NaN where not observed."""
    out = np.empty_like(scene_ratio)
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            out[y, x] = np.float32(1.0) / (np.float32(1.0) + np.exp(-(scene_ratio[y, x] + np.float32(log_prior_odds))))
    return out
