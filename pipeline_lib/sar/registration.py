"""Residual shift between a pass and its reference, or an optical image: measured, and corrected only when it is sure.

Everything lies on one grid already, so that a shift of more than a fraction of a pixel means wrong geolocation of one
of both. What is matched survives speckle, and leaves out what came or went between the two.
"""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from pipeline_lib.errors import GridMismatchError
from pipeline_lib.model import polarisations_of
from pipeline_lib.sar.correlation import FINE_PX, Image, Mask, gradient, smooth, structure
from pipeline_lib.sar.matching import MAX_BLOCKS, Layers, Matched, Search, estimate_shift
from pipeline_lib.sar.shift import MIN_SHIFT_PX, ShiftEstimate, moved

__all__ = ["ShiftEstimate", "co_registered", "moved", "shift_between", "shift_to_optical"]

CHANGE_DB = 3.0
"""Smoothed backscatter that differs by more has changed (water that came or went), and is left out of the matching."""
MAX_SEASON_DB = 2.0
"""Change of a whole block that is put down to season and weather."""
DARK_DB = {"vv": -16.0, "hh": -16.0, "vh": -22.0, "hv": -22.0}
"""Smoothed backscatter below this may be water; which of it optical does not see as water is left out."""
MAX_WATER_NIR = 0.15
"""Brighter pixels with a positive NDWI are snow or cloud."""


def shift_between(scene: xr.Dataset, reference: xr.Dataset, *, name: str = "", max_shift_px: int = 8) -> ShiftEstimate:
    """Shift of a pass against a reference pass of the same orbit, by the structure of all shared polarisations.

    Pixels whose smoothed backscatter changed by more than `CHANGE_DB` are left out, and their surroundings.

    Args:
        scene: Scene (y, x), linear power, NaN = not observed.
        reference: Scene on the same grid; best a mean of several passes, which holds less speckle.
        name: identifier of the reference, for the record.
        max_shift_px: largest shift looked for.

    Raises:
        GridMismatchError: the two do not share one shape or no polarisation.
    """
    shared = [band for band in polarisations_of(scene) if band in reference]
    if not shared:
        raise GridMismatchError("The pass and its reference share no polarisation; nothing can be matched.")

    def features(one: Layers, other: Layers) -> Matched:
        """The structure of every polarisation, and how much its smoothed backscatter differs."""
        decibels = [(_decibel(one[band]), _decibel(other[band])) for band in shared]
        return Matched(
            pairs=tuple((structure(second), structure(first)) for first, second in decibels),
            contrast=tuple(smooth(first, 2 * FINE_PX) - smooth(second, 2 * FINE_PX) for first, second in decibels),
        )

    return estimate_shift(scene[shared], reference[shared], features, _changed, Search(name, max_shift_px))


def shift_to_optical(
    scene: xr.Dataset,
    optical: xr.Dataset,
    *,
    name: str = "",
    max_shift_px: int = 8,
    max_blocks: int = MAX_BLOCKS,
) -> ShiftEstimate:
    """Shift of a pass against optical reflectance, by the strength of edges in both.

    Pixels that only one of them sees as water are left out, and their surroundings. Trees and houses are displaced
    towards the radar by up to their height over the tangent of the incidence angle: a shift of a pixel or two against
    optical is no proof of wrong geolocation, and is for the report.

    Args:
        scene: Scene (y, x), linear power, NaN = not observed.
        optical: reflectance bands on the same grid, NaN = cloud or no data; B03 and B08 tell water.
        name: identifier of the optical image, for the record.
        max_shift_px: largest shift looked for.
        max_blocks: largest number of blocks; fewer cost less and tell less about how sure the shift is.

    Raises:
        GridMismatchError: the two do not share one shape.
    """
    bands = [str(band) for band in optical if optical[band].dtype.kind == "f"]
    radar = list(polarisations_of(scene))

    def features(one: Layers, other: Layers) -> Matched:
        """The edges of all polarisations and of all bands, relative to their brightness; water for one of them."""
        radar_db = {band: _decibel(one[band]) for band in radar}
        edges = np.sum([gradient(value) for value in radar_db.values()], axis=0)
        seen = np.sum([gradient(np.log(np.maximum(other[band], 1e-3))) for band in bands], axis=0)
        return Matched(pairs=((seen, edges),), contrast=(_water_in_one(radar_db, other),))

    search = Search(name, max_shift_px, max_blocks)
    return estimate_shift(scene[radar], optical[bands], features, np.asarray, search)


def co_registered(
    scene: xr.Dataset,
    reference: xr.Dataset,
    *,
    name: str = "",
    max_shift_px: int = 8,
    min_shift_px: float = MIN_SHIFT_PX,
) -> tuple[xr.Dataset, ShiftEstimate]:
    """Measure a pass against its reference, and move it where the shift is larger than ``min_shift_px`` and sure.

    Args:
        scene: Scene of the pass, dims (y, x).
        reference: on the same grid, such as the mean of passes before.
        name: of the pass, for messages.
        max_shift_px: how far is looked, pixels along each axis.
        min_shift_px: a smaller shift is left.

    Returns:
        The scene, moved or as it was, and what was measured.
    """
    estimate = shift_between(scene, reference, name=name, max_shift_px=max_shift_px)
    if not estimate.is_sure(min_shift_px=min_shift_px):
        return scene, estimate
    return moved(scene, estimate), estimate.model_copy(update={"corrected": True})


def _decibel(power: Image) -> Image:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(power > 0, 10.0 * np.log10(power), np.float32(np.nan))


def _changed(difference: Image | Mask) -> Mask:
    """Where the smoothed backscatter differs by more than `CHANGE_DB` from its usual difference."""
    usual = float(np.nanmedian(difference)) if np.isfinite(difference).any() else 0.0
    usual = max(-MAX_SEASON_DB, min(MAX_SEASON_DB, usual))  # more, over half of a block, is flood
    return np.asarray(np.nan_to_num(np.abs(difference - usual)) > CHANGE_DB)


def _water_in_one(radar_db: Mapping[str, Image], optical: Mapping[str, Image]) -> Mask:
    """Dark in every polarisation but no water for optical, or the other way round."""
    dark: Mask = np.all(
        [np.nan_to_num(smooth(value, FINE_PX)) < DARK_DB[band] for band, value in radar_db.items()], axis=0
    )
    if not {"B03", "B08"} <= set(optical):
        return dark
    green, nir = np.nan_to_num(optical["B03"]), np.nan_to_num(optical["B08"])
    return np.asarray(dark != ((green > nir) & (nir < MAX_WATER_NIR)))
