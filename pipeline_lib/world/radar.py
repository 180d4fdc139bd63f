"""One Sentinel-1 pass over the world: terrain-flattened gamma0 in VV and VH, as an archive would hold it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from pipeline_lib.model.acquisition import OrbitDirection
from pipeline_lib.model.dataset import Exclusion
from pipeline_lib.options.world import WorldOptions
from pipeline_lib.world.backscatter import BACKSCATTER, REFERENCE_INCIDENCE_DEG, WATER, Ground
from pipeline_lib.world.calendar import HEADING_DEG, RadarPass
from pipeline_lib.world.inundation import Inundation, Truth
from pipeline_lib.world.land_cover import FIELDS, LOOK_ALIKES, Cover, LandCover
from pipeline_lib.world.noise import Field, smooth
from pipeline_lib.world.radar_geometry import RadarGeometry, footprint
from pipeline_lib.world.relief import Mask, Relief
from pipeline_lib.world.speckle import speckle

SYSTEM_BLUR_PX = 0.6
"""Spread of a point over pixels: 20 m resolution on a 10 m grid."""
RESIDUAL_DB_PER_DEG = 0.05
"""What terrain flattening leaves of the slope's effect."""


@dataclass(frozen=True)
class RadarScene:
    """What a pass measured and what was there; every array (y, x)."""

    radar_pass: RadarPass
    vv: Field
    """Terrain-flattened gamma0, linear power; NaN where the pass does not see."""
    vh: Field
    geometry: RadarGeometry
    observed: Mask
    inundation: Inundation
    look_alike: NDArray[np.uint8]
    """Dry land as dark as water on this date: its `LandCover` code, `WET_SNOW` or `FRESHLY_ROLLED`; 0 elsewhere."""


WET_SNOW = 101
FRESHLY_ROLLED = 102
"""Fields rolled smooth between the references and the flood."""


@dataclass(frozen=True)
class Land:
    """What every pass has in common."""

    relief: Relief
    cover: Cover
    ground: Ground
    geometry: dict[OrbitDirection, RadarGeometry]


def observe(
    options: WorldOptions, land: Land, radar_pass: RadarPass, flood: Inundation, rng: np.random.Generator
) -> RadarScene:
    """Simulate a pass.

    Mean sigma0 by class, incidence and date; flood, wind and snow; the noise floor; the system's blur; speckle; then
    gamma0 = sigma0 / cos(incidence).
    """
    geometry = land.geometry[radar_pass.direction]
    snow = _wet_snow(radar_pass, land, rng)
    rolled = _freshly_rolled(options, radar_pass, land, flood)
    decibels = _land(land, geometry, radar_pass, options, rng)
    _darken(decibels, snow, rolled, geometry)
    _brighten_flooded(decibels, options, land, radar_pass, flood, rng)
    _fill_water(decibels, options, radar_pass, flood, geometry, rng)
    observed = footprint(options, radar_pass)
    powers = [_measured(field, options, geometry, observed, rng) for field in decibels]
    return RadarScene(
        radar_pass=radar_pass,
        vv=powers[0],
        vh=powers[1],
        geometry=geometry,
        observed=observed,
        inundation=flood,
        look_alike=_look_alikes(land.cover, flood, snow, rolled),
    )


def _land(
    land: Land, geometry: RadarGeometry, radar_pass: RadarPass, options: WorldOptions, rng: np.random.Generator
) -> tuple[Field, Field]:
    """Dry land in VV and VH, decibels of sigma0: lasting texture, this date's soil and crops, slopes, folding."""
    ground, cover = land.ground, land.cover
    turned = ground.slope_db_per_deg * (geometry.incidence_deg - np.float32(REFERENCE_INCIDENCE_DEG))
    turned += np.float32(RESIDUAL_DB_PER_DEG) * (geometry.incidence_deg - geometry.local_incidence_deg)
    turned[(geometry.layover_shadow & Exclusion.LAYOVER) > 0] += 3.0
    raining = radar_pass.start > options.flood_start
    soil = np.float32((1.3 if raining else 0.0) + 0.5 * rng.standard_normal())
    moved = 0.45 * rng.standard_normal(cover.parcels).astype(np.float32)[cover.parcel]
    moved += soil * np.isin(cover.classes, [*FIELDS, LandCover.SEASONAL_WATER])
    moved[cover.classes == LandCover.TOWN] *= 0.2
    facing = (cover.classes == LandCover.TOWN) * (ground.front - np.float32(0.36)) * 5
    return ground.vv_db + turned + moved + facing, ground.vh_db + turned + np.float32(0.7) * moved + 0.5 * facing


def _wet_snow(radar_pass: RadarPass, land: Land, rng: np.random.Generator) -> Mask:
    """Snow that melts on open high ground, on the one pass that has it."""
    if not radar_pass.wet_snow:
        return np.zeros(land.cover.classes.shape, bool)
    height = land.relief.elevation_m - land.relief.elevation_m.min()
    line = 0.55 * height.max() * (1 + 0.1 * smooth(height.shape, rng, sigma_px=20))
    return np.asarray((height > line) & (land.cover.classes != LandCover.TOWN))


def _freshly_rolled(options: WorldOptions, radar_pass: RadarPass, land: Land, flood: Inundation) -> Mask:
    """Fields worked smooth and dark since the last dry pass: one parcel in seventy, the same on all flood passes."""
    if radar_pass.start <= options.flood_start:
        return np.zeros(land.cover.classes.shape, bool)
    chosen = (land.cover.parcel % 71 == 3) & (land.cover.classes == LandCover.BARE)
    return np.asarray(chosen & (flood.truth == Truth.DRY) & (land.relief.hand_m < 25))


def _darken(decibels: tuple[Field, Field], snow: Mask, rolled: Mask, geometry: RadarGeometry) -> None:
    """Wet snow absorbs 5 dB; a rolled field looks like a dark field; shadow returns nothing."""
    dark, bare = BACKSCATTER[LandCover.DARK_FIELD], BACKSCATTER[LandCover.BARE]
    shadow = (geometry.layover_shadow & Exclusion.SHADOW) > 0
    for field, fall in zip(decibels, (dark.vv_db - bare.vv_db, dark.vh_db - bare.vh_db), strict=True):
        field[snow] -= 6.5
        field[rolled] += np.float32(fall)
        field[shadow] = -45.0


def _brighten_flooded(
    decibels: tuple[Field, Field],
    options: WorldOptions,
    land: Land,
    radar_pass: RadarPass,
    flood: Inundation,
    rng: np.random.Generator,
) -> None:
    """Double bounce between water and stems or fronts; least in dense forest, none at fronts that look away."""
    vv, vh = decibels
    plants, town = flood.truth == Truth.FLOODED_VEGETATION, flood.truth == Truth.FLOODED_TOWN
    patchy = np.float32(options.radar.flooded_vegetation_db) + smooth(vv.shape, rng, sigma_px=4)
    standing = np.clip(land.cover.height_m / np.maximum(flood.depth_m, 0.05) - 1, 0, 1)
    vv[plants] += (patchy * standing)[plants]
    vh[plants] += (0.25 * patchy * standing - 0.3)[plants]
    turn = np.cos(np.radians(4 * (HEADING_DEG[radar_pass.direction] - 348)))
    bounce = np.float32(options.radar.flooded_town_db * turn) * (2.2 * land.ground.front)
    vv[town] += bounce[town] - 0.6
    vh[town] += (0.3 * bounce)[town] - 0.4


def _fill_water(
    decibels: tuple[Field, Field],
    options: WorldOptions,
    radar_pass: RadarPass,
    flood: Inundation,
    geometry: RadarGeometry,
    rng: np.random.Generator,
) -> None:
    """Open water: mirror-like, rougher with wind, least in the lee of shores and in shallow water."""
    water = (flood.truth == Truth.REFERENCE_WATER) | (flood.truth == Truth.OPEN_FLOOD)
    shape = water.shape
    turned = np.float32(WATER.slope_db_per_deg) * (geometry.incidence_deg - np.float32(REFERENCE_INCIDENCE_DEG))
    breeze = np.float32(WATER.texture_db) * smooth(shape, rng, sigma_px=max(6.0, shape[0] / 60))
    if radar_pass.windy:
        gusts = options.radar.wind_db * (1 + 0.35 * smooth(shape, rng, sigma_px=max(8.0, shape[0] / 24)))
        breeze += np.clip(gusts, 0, None).astype(np.float32)
    sheltered = np.clip(gaussian_filter(water.astype(np.float32), 2.5) * 2 - 1, 0, 1)
    breeze *= 0.35 + 0.65 * sheltered
    decibels[0][water] = (np.float32(WATER.vv_db) + turned + breeze)[water]
    decibels[1][water] = (np.float32(WATER.vh_db) + turned * 0.5 + 0.4 * breeze + 2 * radar_pass.windy * sheltered)[
        water
    ]


def _measured(
    decibels: Field, options: WorldOptions, geometry: RadarGeometry, observed: Mask, rng: np.random.Generator
) -> Field:
    """Decibels of sigma0 to measured gamma0: blur, noise floor, gain, speckle."""
    radar = options.radar
    power = gaussian_filter(np.exp(decibels * np.float32(np.log(10) / 10)), SYSTEM_BLUR_PX, mode="nearest")
    power += np.float32(10 ** (radar.noise_floor_db / 10))
    power *= np.float32(10 ** (radar.gain_db / 10)) / np.cos(np.radians(geometry.incidence_deg))
    power *= speckle(power.shape, rng, looks=radar.looks, correlation_px=radar.correlation_px)
    power[~observed] = np.nan
    return np.asarray(power, dtype=np.float32)


def _look_alikes(cover: Cover, flood: Inundation, snow: Mask, rolled: Mask) -> NDArray[np.uint8]:
    """Dry pixels that a radar may take for water."""
    lasting = np.isin(cover.classes, LOOK_ALIKES)
    codes = np.where(lasting, cover.classes, 0).astype(np.uint8)
    codes[rolled], codes[snow] = FRESHLY_ROLLED, WET_SNOW
    codes[flood.truth != Truth.DRY] = 0
    return codes
