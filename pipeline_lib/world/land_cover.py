"""What grows and stands on the ground: fields, forest, wetland, lakes, towns, and land that radar takes for water."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter

from pipeline_lib.options.world import WorldOptions
from pipeline_lib.world.noise import Field, above_quantile, fractal, smooth
from pipeline_lib.world.relief import PIXEL_M, Mask, Relief


class LandCover(IntEnum):
    """Codes of the land cover raster (uint8)."""

    RIVER = 1
    LAKE = 2
    SEASONAL_WATER = 3
    """Shores and hollows under water in part of the year."""
    WETLAND = 4
    """Reed."""
    CROPS = 5
    GRASS = 6
    BARE = 7
    """Tilled, rough fields."""
    DARK_FIELD = 8
    """Smooth bare fields: as dark as water, before and during the flood."""
    FOREST = 9
    TOWN = 10
    TARMAC = 11
    SAND = 12


LOOK_ALIKES = (LandCover.DARK_FIELD, LandCover.TARMAC, LandCover.SAND)
"""Land as dark as water on every date."""
FIELDS = (LandCover.CROPS, LandCover.GRASS, LandCover.BARE, LandCover.DARK_FIELD)


@dataclass(frozen=True)
class Cover:
    """Land cover and what varies inside it; every array (y, x)."""

    classes: NDArray[np.uint8]
    """`LandCover` codes."""
    parcel: NDArray[np.int32]
    """Field or town block that a pixel belongs to: an index into per-parcel tables."""
    parcels: int
    """How many parcels there are."""
    height_m: Field
    """Height of crops, reed, trees or buildings above ground."""
    occurrence: Field
    """Share of the year under water, 0 to 1, in years without a flood."""


def make_cover(options: WorldOptions, relief: Relief, rng: np.random.Generator) -> Cover:
    """Lay land cover over the relief."""
    parcel, parcels = _parcels(options.size, rng)
    hand = relief.hand_m
    classes = _fields(options, parcel, parcels, rng)
    steep = _steepness(relief)
    _put(classes, steep > 0.16, LandCover.GRASS)
    _put(classes, _forest(options, relief, steep, rng), LandCover.FOREST)
    _put(classes, _wetland(relief, rng), LandCover.WETLAND)
    _put(classes, _towns(options, relief, parcel, rng), LandCover.TOWN)
    _put(classes, _sand(relief, rng), LandCover.SAND)
    dry = (hand < 7) & (hand > options.peak_stage_m + 0.4) & (classes != LandCover.TOWN)
    _put(classes, _airfield(options, dry, rng), LandCover.TARMAC)
    occurrence = _occurrence(relief, rng)
    _put(classes, occurrence > 0.04, LandCover.SEASONAL_WATER)
    _put(classes, occurrence > 0.85, LandCover.LAKE)
    _put(classes, relief.river, LandCover.RIVER)
    return Cover(
        classes=classes,
        parcel=parcel,
        parcels=parcels,
        height_m=_heights(classes, parcel, parcels, rng),
        occurrence=np.where(relief.river, np.float32(1), occurrence),
    )


def _put(classes: NDArray[np.uint8], where: Mask, code: LandCover) -> None:
    """Overwrite a class."""
    classes[where] = code


def _parcels(size: int, rng: np.random.Generator) -> tuple[NDArray[np.int32], int]:
    """Rectangular fields in blocks of their own orientation, as land is shared out."""
    blocks = max(4, round((size / 62) ** 2))
    seeds = np.ones((size, size), bool)
    rows, columns = rng.integers(0, size, blocks), rng.integers(0, size, blocks)
    seeds[rows, columns] = False
    number = np.zeros((size, size), np.int32)
    number[rows, columns] = np.arange(blocks)
    nearest = distance_transform_edt(seeds, return_distances=False, return_indices=True)
    block = number[nearest[0], nearest[1]]
    angle = rng.choice([0.12, 0.75, 1.3], blocks) + rng.normal(0, 0.12, blocks)
    wide, long = rng.uniform(7, 20, blocks), rng.uniform(16, 42, blocks)
    y, x = np.indices((size, size), dtype=np.float32)
    turn = angle.astype(np.float32)[block]
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    strip = np.floor(u / wide.astype(np.float32)[block]).astype(np.int64)
    piece = np.floor(v / long.astype(np.float32)[block] + np.mod(strip * 0.37, 1)).astype(np.int64)
    key = (block.astype(np.int64) << 32) + ((strip + 2**15) << 16) + (piece + 2**15)
    names, parcel = np.unique(key, return_inverse=True)
    return parcel.reshape(size, size).astype(np.int32), names.size


def _fields(
    options: WorldOptions, parcel: NDArray[np.int32], parcels: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Give every parcel its use in autumn."""
    dark = options.look_alike_share
    shares = np.array([0.42, 0.3, 0.28 - dark, dark])
    kinds = rng.choice(np.array(FIELDS, np.uint8), parcels, p=shares / shares.sum())
    return np.asarray(kinds[parcel], dtype=np.uint8)


def _steepness(relief: Relief) -> Field:
    """Slope of the ground over some tens of metres, as rise over run."""
    down, right = np.gradient(gaussian_filter(relief.elevation_m, 2), PIXEL_M)
    return np.asarray(np.hypot(down, right), dtype=np.float32)


def _forest(options: WorldOptions, relief: Relief, steep: Field, rng: np.random.Generator) -> Mask:
    """Woods on the slopes, and galleries along the river that flood with it."""
    shape = relief.hand_m.shape
    liking = fractal(shape, rng, beta=3.3, largest_px=160) + np.clip(gaussian_filter(steep, 3) / 0.12, 0, 2)
    woods = above_quantile(liking, options.forest_share, np.ones_like(relief.river))
    bank = relief.distance_m < 0.1 * shape[0] * PIXEL_M
    gallery = (smooth(shape, rng, sigma_px=14) > 1.3) & bank & (relief.hand_m < 4)
    return np.asarray(woods | gallery)


def _wetland(relief: Relief, rng: np.random.Generator) -> Mask:
    """Reed in low, wet ground."""
    low = (relief.hand_m < 1.7) & (relief.spill_m < 3)
    near_oxbow = gaussian_filter(relief.oxbow.astype(np.float32), 4) > 0.03
    return np.asarray(low & (near_oxbow | (smooth(relief.hand_m.shape, rng, sigma_px=8) > 1.15)))


def _occurrence(relief: Relief, rng: np.random.Generator) -> Field:
    """How often standing water covers a pixel: oxbow lakes, gravel pits and hollows, with shores that come and go."""
    shape = relief.hand_m.shape
    hollow = (smooth(shape, rng, sigma_px=7) > 2.35) & (relief.hand_m < 7) & (relief.hand_m > 0.2)
    body = gaussian_filter((relief.oxbow | hollow).astype(np.float32), 1.6)
    wet = np.clip((body + 0.05 * smooth(shape, rng, sigma_px=3) * (body > 0.05) - 0.22) / 0.4, 0, 1)
    return np.asarray(wet, dtype=np.float32)


def _towns(options: WorldOptions, relief: Relief, parcel: NDArray[np.int32], rng: np.random.Generator) -> Mask:
    """Settlements of whole blocks on and above the floodplain; some of their streets flood."""
    size = options.size
    suited = (relief.hand_m > 0.5) & (relief.hand_m < 25)
    places = np.flatnonzero(suited & (relief.hand_m < 4.5))
    if not places.size or options.town_share == 0:
        return np.zeros_like(suited)
    y, x = np.indices((size, size), dtype=np.float32)
    attraction = np.full((size, size), -np.inf, np.float32)
    for place in rng.choice(places, max(2, round(size / 150))):
        reach = size * rng.uniform(0.025, 0.085)
        attraction = np.maximum(attraction, -np.hypot(y - place // size, x - place % size) / reach)
    liking = attraction + 0.25 * fractal((size, size), rng, beta=2.8, largest_px=60)
    counts = np.bincount(parcel.ravel())
    block = np.bincount(parcel.ravel(), weights=liking.ravel()) / np.maximum(counts, 1)
    block += np.where(rng.random(block.size) < 0.08, -2.0, 0.0)
    return above_quantile(block[parcel], options.town_share * suited.size / max(suited.sum(), 1), suited)


def _sand(relief: Relief, rng: np.random.Generator) -> Mask:
    """Bars along the banks and dry dune fields on the terrace."""
    river_m = 1.6 * float(np.sqrt(relief.river.sum()))
    shape = relief.hand_m.shape
    bars = (relief.distance_m < river_m) & (smooth(shape, rng, sigma_px=6) > 1.5)
    dunes = above_quantile(
        smooth(shape, rng, sigma_px=shape[0] / 60), 0.012, (relief.hand_m > 3) & (relief.hand_m < 14)
    )
    return np.asarray((bars | dunes) & ~relief.river)


def _airfield(options: WorldOptions, allowed: Mask, rng: np.random.Generator) -> Mask:
    """A runway with its apron, on flat ground that stays dry."""
    size = options.size
    room = distance_transform_edt(allowed)
    best = np.flatnonzero(room >= np.quantile(room[allowed], 0.98)) if allowed.any() else np.array([size * size // 2])
    place = int(rng.choice(best))
    y, x = np.indices((size, size), dtype=np.float32)
    turn = rng.uniform(0, np.pi)
    u = (x - place % size) * np.cos(turn) + (y - place // size) * np.sin(turn)
    v = (y - place // size) * np.cos(turn) - (x - place % size) * np.sin(turn)
    length = float(np.clip(size * 0.17, 30, 200))
    runway = (np.abs(u) < length / 2) & (np.abs(v) < max(2.2, length * 0.018))
    apron = (np.abs(u) < length * 0.1) & (np.abs(v - length * 0.1) < length * 0.045)
    return np.asarray((runway | apron) & allowed)


def _heights(classes: NDArray[np.uint8], parcel: NDArray[np.int32], parcels: int, rng: np.random.Generator) -> Field:
    """Height of what stands on the ground, metres."""
    stand = rng.uniform(0.6, 1.4, parcels).astype(np.float32)[parcel]
    typical = np.zeros(max(LandCover) + 1, np.float32)
    typical[[LandCover.WETLAND, LandCover.CROPS, LandCover.GRASS]] = 1.6, 0.25, 0.12
    typical[[LandCover.FOREST, LandCover.TOWN]] = 14.0, 8.0
    return np.asarray(typical[classes] * stand, dtype=np.float32)
