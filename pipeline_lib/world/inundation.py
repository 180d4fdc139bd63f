"""The flood: the river's stage over the days, water depth by HAND, and the truth of every date."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.options.world import WorldOptions
from pipeline_lib.world.land_cover import Cover, LandCover
from pipeline_lib.world.noise import Field
from pipeline_lib.world.relief import Mask, Relief

RISE_DAYS = 3.0
"""From bankfull to the peak."""
FALL_DAYS = 8.0
"""Time in which the stage falls to 1/e after the peak."""
SEEP_M_PER_DAY = 0.11
"""How fast water that is cut off from the river drains and evaporates."""

REFERENCE_OCCURRENCE = 0.04
"""Places under water for a larger share of usual years are reference water, also when the flood fills them."""


class Truth(IntEnum):
    """Codes of the truth rasters (uint8)."""

    DRY = 0
    REFERENCE_WATER = 1
    """River, lakes and seasonal water that is there on the date."""
    OPEN_FLOOD = 2
    FLOODED_VEGETATION = 3
    FLOODED_TOWN = 4
    OUTSIDE = 255


@dataclass(frozen=True)
class Inundation:
    """Water on one date; every array (y, x)."""

    depth_m: Field
    """Depth of flood water above ground; 0 where there is none, and in the river its usual depth is not counted."""
    truth: NDArray[np.uint8]
    """`Truth` codes."""


def stage_m(options: WorldOptions, when: datetime) -> float:
    """River stage above bankfull, metres: a half cosine up to the peak, an exponential down; 0 before.

    References:
        Chow, Maidment, Mays 1988, Applied Hydrology, section 5.2 (exponential recession).
    """
    days = (when - options.flood_start).total_seconds() / 86400
    if days <= 0:
        return 0.0
    if days < RISE_DAYS:
        return options.peak_stage_m * 0.5 * (1 - float(np.cos(np.pi * days / RISE_DAYS)))
    return options.peak_stage_m * float(np.exp(-(days - RISE_DAYS) / FALL_DAYS))


def depth_m(options: WorldOptions, relief: Relief, when: datetime) -> Field:
    """Depth of flood water by HAND, metres, (y, x).

    Rising water enters a place once the stage passes the place's spill level. Falling water leaves with the river down
    to that level; what is then cut off seeps away slowly, so that backswamps stay wet after the peak.
    """
    stage, days = stage_m(options, when), (when - options.flood_start).total_seconds() / 86400
    if stage <= 0:
        return np.zeros_like(relief.hand_m)
    if days <= RISE_DAYS:
        level = np.where(relief.spill_m < stage, np.float32(stage), -np.inf)
    else:
        peak = options.peak_stage_m
        since = days - RISE_DAYS - FALL_DAYS * np.log(peak / np.clip(relief.spill_m, 1e-3, peak))
        held = relief.spill_m - np.float32(SEEP_M_PER_DAY) * np.clip(since, 0, None)
        level = np.where(relief.spill_m < peak, np.maximum(np.float32(stage), held), -np.inf)
    return np.asarray(np.clip(level - relief.hand_m, 0, None), dtype=np.float32)


def inundate(options: WorldOptions, relief: Relief, cover: Cover, when: datetime) -> Inundation:
    """Flood the land for a date and say what each pixel truly is."""
    depth = depth_m(options, relief, when)
    depth[depth < 0.05] = 0
    usual = usual_water(options, cover, when)
    reference = usual | ((depth > 0) & (cover.occurrence > REFERENCE_OCCURRENCE))
    flooded = (depth > 0) & ~reference
    truth = np.zeros(depth.shape, np.uint8)
    truth[flooded] = Truth.OPEN_FLOOD
    truth[flooded & _stands_out(cover, depth)] = Truth.FLOODED_VEGETATION
    truth[flooded & (cover.classes == LandCover.TOWN)] = Truth.FLOODED_TOWN
    truth[reference] = Truth.REFERENCE_WATER
    return Inundation(depth_m=depth, truth=truth)


def usual_water(options: WorldOptions, cover: Cover, when: datetime) -> Mask:
    """Water in places that have it in most years: river and lakes, and shores as season and rain fill them."""
    return np.asarray(cover.occurrence > 1 - fullness(options, when))


def fullness(options: WorldOptions, when: datetime) -> float:
    """How full lakes and hollows are: 0.15 in late summer, 0.96 in late winter; the flood's rain fills them to 0.8."""
    day = when.timetuple().tm_yday
    season = 0.555 + 0.405 * float(np.cos(2 * np.pi * (day - 60) / 365.25))
    return max(season, 0.8) if when > options.flood_start else season


def _stands_out(cover: Cover, depth: Field) -> Mask:
    """Vegetation that the flood leaves standing above the water: forest, reed, and crops in shallow water."""
    plants = np.isin(cover.classes, (LandCover.FOREST, LandCover.WETLAND, LandCover.CROPS, LandCover.GRASS))
    return np.asarray(plants & (cover.height_m > depth))
