"""Augmentation that a radar image can really undergo; optical tricks (hue, blur, brightness curves) have no place here.

Images are ``(band, y, x)`` float32 in network units: ``(dB - mean) / sd`` per band. ``scale`` is the sd in dB per
radar band, 0 for a band that is not radar: offsets and speckle are made in dB and divided by it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, uniform_filter

from pipeline_lib.options.train import AugmentOptions

Image = NDArray[np.float32]
WATER = 1
MOST_CROSS_SHARE = 0.25
"""Largest share of the like-polarised brightening by wind that the cross polarisation shows: on the sea off Puerto Rico
VV rises by 11 dB while VH rises by 3."""


@dataclass(frozen=True, kw_only=True)
class BandScale:
    """What augmentation must know of the bands."""

    db_per_unit: NDArray[np.float32]
    """``(band,)``: dB that one network unit stands for; 0 for bands that are not radar."""
    optional: tuple[tuple[int, ...], ...] = ()
    """Groups of bands the network must be able to do without."""
    like: tuple[int, ...] = ()
    """Like-polarised bands of the event: what wind brightens over water."""
    cross: tuple[int, ...] = ()
    """Cross-polarised bands of the event: what wind hardly changes."""


def augment(
    image: Image,
    masks: list[NDArray[np.generic]],
    scale: BandScale,
    options: AugmentOptions,
    rng: np.random.Generator,
    label: int | None = None,
) -> tuple[Image, list[NDArray[np.generic]]]:
    """One augmented copy of an image and of all maps that must move with it.

    Args:
        image: ``(band, y, x)``, NaN = not observed.
        masks: maps ``(..., y, x)`` moved by the same flips and turns (labels, teacher, weights).
        scale: the bands.
        options: what to do, and how much.
        rng: where chance comes from.
        label: which of the maps is the label (1 water), where wind is to blow.

    Returns:
        The image (NaN kept) and the maps.
    """
    if options.dihedral:
        turn = int(rng.integers(0, 8))
        image = np.asarray(dihedral(image, turn), dtype=np.float32)
        masks = [dihedral(mask, turn) for mask in masks]
    image = image.copy()
    per_unit = scale.db_per_unit
    if label is not None and options.wind_share and rng.random() < options.wind_share:
        _roughen(image, masks[label] == WATER, scale, options.wind_db, rng)
    if (per_unit > 0).any():
        _change_radar(image, per_unit, options, rng)
    if rng.random() < options.blank:
        _blank(image, rng)
    optical = np.flatnonzero(per_unit == 0)
    if options.optical_jitter and len(optical):
        image[optical] += rng.normal(0, options.optical_jitter, (len(optical), 1, 1)).astype(np.float32)
    for bands in scale.optional if options.band_dropout else ():
        if rng.random() < options.band_dropout:
            image[list(bands)] = np.nan
    return image, masks


def dihedral(array: NDArray[np.generic], turn: int) -> NDArray[np.generic]:
    """One of the 8 symmetries of the square on the last two axes; ``turn`` 0 to 7, 0 is the identity.

    Any leading dims, (..., y, x); square where bit 4 of ``turn`` swaps the axes. A view, no copy.
    """
    if turn & 4:
        array = np.swapaxes(array, -1, -2)
    if turn & 2:
        array = array[..., ::-1, :]
    if turn & 1:
        array = array[..., :, ::-1]
    return array


def undo_dihedral(array: NDArray[np.generic], turn: int) -> NDArray[np.generic]:
    """Inverse of `dihedral`."""
    if turn & 1:
        array = array[..., :, ::-1]
    if turn & 2:
        array = array[..., ::-1, :]
    if turn & 4:
        array = np.swapaxes(array, -1, -2)
    return array


def radar_change_db(shape: tuple[int, int, int], options: AugmentOptions, rng: np.random.Generator) -> Image:
    """Gain, incidence ramp and speckle as one additive change in dB, ``(band, y, x)``.

    Speckle is multiplicative gamma noise of mean 1 and variance 1 / looks: in dB additive, with a small negative
    mean that real speckle has too. Bands get independent speckle, and one common ramp, since geometry is shared.
    """
    bands, height, width = shape
    change = rng.normal(0, options.gain_db, (bands, 1, 1)).astype(np.float32) * np.ones(shape, np.float32)
    if options.incidence_db > 0:
        direction = rng.uniform(0, 2 * np.pi)
        ys, xs = np.linspace(-0.5, 0.5, height)[:, None], np.linspace(-0.5, 0.5, width)[None, :]
        ramp = (np.cos(direction) * xs + np.sin(direction) * ys) * rng.uniform(0, options.incidence_db)
        change += ramp.astype(np.float32)
    if options.speckle_looks is not None:
        looks = options.speckle_looks * 4 ** rng.random()
        speckle = rng.standard_gamma(looks, shape).astype(np.float32) / np.float32(looks)
        change += 10 * np.log10(np.maximum(speckle, 1e-6))
    return change


def _change_radar(
    image: Image, per_unit: NDArray[np.float32], options: AugmentOptions, rng: np.random.Generator
) -> None:
    """Filter, offsets, ramp and speckle of the radar bands, in place."""
    radar = np.flatnonzero(per_unit > 0)
    if options.filter_share and rng.random() < options.filter_share:
        for band in radar:
            image[band] = _filtered_db(image[band] * per_unit[band]) / per_unit[band]
    if options.common_db:
        image[radar] += (rng.normal(0, options.common_db) / per_unit[radar, None, None]).astype(np.float32)
    decibel = radar_change_db((len(radar), *image.shape[1:]), options, rng)
    image[radar] += decibel / per_unit[radar, None, None]


def _roughen(
    image: Image, water: NDArray[np.bool_], scale: BandScale, wind_db: tuple[float, float], rng: np.random.Generator
) -> None:
    """Brighten water as wind does, in place: evenly, with a soft shore, the cross polarisation a quarter at most."""
    if not water.any():
        return
    shore = gaussian_filter(water.astype(np.float32), 1.0)
    rise, share = rng.uniform(*wind_db), rng.uniform(0, MOST_CROSS_SHARE)
    for bands, part in ((scale.like, 1.0), (scale.cross, share)):
        for band in bands:
            image[band] += np.float32(rise * part / scale.db_per_unit[band]) * shore


def _filtered_db(decibel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of the power over 3 x 3 pixels, in dB; (y, x), NaN stays and is left out of the means."""
    power = np.power(np.float32(10), decibel / 10)
    known = np.isfinite(power)
    total = uniform_filter(np.where(known, power, 0), 3, mode="nearest")
    share = uniform_filter(known.astype(np.float32), 3, mode="nearest")
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(known, 10 * np.log10(np.maximum(total / share, 1e-9)), np.nan).astype(np.float32)


def _blank(image: Image, rng: np.random.Generator) -> None:
    """Make a half plane of up to a third of the image not observed, as at a swath's edge."""
    height, width = image.shape[1:]
    angle, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0.17, 0.5)
    ys, xs = np.linspace(-0.5, 0.5, height)[:, None], np.linspace(-0.5, 0.5, width)[None, :]
    image[:, np.cos(angle) * xs + np.sin(angle) * ys > depth] = np.nan
