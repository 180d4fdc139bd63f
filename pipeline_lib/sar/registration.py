"""Residual shift between a pass and its reference, or an optical image: measured, and corrected only when it is sure.

Everything lies on one grid already, so that a shift of more than a fraction of a pixel means wrong geolocation of one
of both. Blocks over the image are matched by masked normalised cross-correlation of features that survive speckle;
their correlation surfaces are averaged before the peak is sought, and drawing the blocks anew tells how sure it is.

References:
    Padfield 2012, Masked object registration in the Fourier domain, IEEE TIP 21(5), 2706-2718.
    Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 6.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import dask
import numpy as np
import xarray as xr
from scipy import ndimage

from pipeline_lib.errors import GridMismatchError
from pipeline_lib.model import polarisations_of
from pipeline_lib.sar.correlation import (
    FINE_PX,
    Image,
    Mask,
    best_shift,
    gradient,
    masked_correlation,
    smooth,
    structure,
)
from pipeline_lib.sar.shift import MIN_BLOCKS, MIN_SHIFT_PX, ShiftEstimate, moved

__all__ = ["ShiftEstimate", "co_registered", "moved", "shift_between", "shift_to_optical"]

MAX_BLOCKS = 64
BLOCK_PX = 256
MARGIN_PX = 36
EDGE_PX = 6
REPLICATES = 200

CHANGE_DB = 3.0
"""Smoothed backscatter that differs by more has changed (water that came or went), and is left out of the matching."""
MAX_SEASON_DB = 2.0
"""Change of a whole block that is put down to season and weather."""
DARK_DB = {"vv": -16.0, "hh": -16.0, "vh": -22.0, "hv": -22.0}
"""Smoothed backscatter below this may be water; which of it optical does not see as water is left out."""
MAX_WATER_NIR = 0.15
"""Brighter pixels with a positive NDWI are snow or cloud."""
GROWTH_PX = 5

Surface = Callable[[Mapping[str, Image], Mapping[str, Image], Mask], Image]
"""Layers of the pass, layers of the other, usable pixels -> correlation at every shift."""


def shift_between(
    scene: xr.Dataset,
    reference: xr.Dataset,
    *,
    name: str = "",
    max_shift_px: int = 8,
    usable: xr.DataArray | None = None,
) -> ShiftEstimate:
    """Shift of a pass against a reference pass of the same orbit, by the structure of all shared polarisations.

    Pixels whose smoothed backscatter changed by more than `CHANGE_DB` are left out, and their surroundings.

    Args:
        scene: Scene (y, x), linear power, NaN = not observed.
        reference: Scene on the same grid; best a mean of several passes, which holds less speckle.
        name: identifier of the reference, for the record.
        max_shift_px: largest shift looked for.
        usable: (y, x) bool, False where nothing may be matched.

    Raises:
        GridMismatchError: the two do not share one shape or no polarisation.
    """
    shared = [band for band in polarisations_of(scene) if band in reference]
    if not shared:
        raise GridMismatchError("The pass and its reference share no polarisation; nothing can be matched.")

    def surface(one: Mapping[str, Image], other: Mapping[str, Image], allowed: Mask) -> Image:
        """Mean over the polarisations of the correlation of structures."""
        pairs = [(_decibel(one[band]), _decibel(other[band])) for band in shared]
        unchanged = allowed & ~_grown(np.any([_changed(*pair) for pair in pairs], axis=0), max_shift_px)
        return _mean(
            masked_correlation(structure(second), structure(first), unchanged, max_shift_px) for first, second in pairs
        )

    return _estimate(scene[shared], reference[shared], usable, surface, name, max_shift_px)


def shift_to_optical(
    scene: xr.Dataset,
    optical: xr.Dataset,
    *,
    name: str = "",
    max_shift_px: int = 8,
    usable: xr.DataArray | None = None,
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
        usable: (y, x) bool, False where nothing may be matched.
        max_blocks: largest number of blocks; fewer cost less and tell less about how sure the shift is.

    Raises:
        GridMismatchError: the two do not share one shape.
    """
    bands = [str(band) for band in optical if optical[band].dtype.kind == "f"]
    radar = list(polarisations_of(scene))

    def surface(one: Mapping[str, Image], other: Mapping[str, Image], allowed: Mask) -> Image:
        """Correlation of the edges of all polarisations with those of all bands, relative to their brightness."""
        radar_db = {band: _decibel(one[band]) for band in radar}
        agreed = allowed & ~_grown(_water_in_one(radar_db, other), max_shift_px)
        edges = np.sum([gradient(value) for value in radar_db.values()], axis=0)
        seen = np.sum([gradient(np.log(np.maximum(other[band], 1e-3))) for band in bands], axis=0)
        return masked_correlation(seen, edges, agreed, max_shift_px)

    return _estimate(scene[radar], optical[bands], usable, surface, name, max_shift_px, max_blocks)


def co_registered(
    scene: xr.Dataset,
    reference: xr.Dataset,
    *,
    name: str = "",
    max_shift_px: int = 8,
    min_shift_px: float = MIN_SHIFT_PX,
) -> tuple[xr.Dataset, ShiftEstimate]:
    """Measure a pass against its reference, and move it where the shift is larger than ``min_shift_px`` and sure."""
    estimate = shift_between(scene, reference, name=name, max_shift_px=max_shift_px)
    if not estimate.is_sure(min_shift_px=min_shift_px):
        return scene, estimate
    return moved(scene, estimate), estimate.model_copy(update={"corrected": True})


def _estimate(
    scene: xr.Dataset,
    other: xr.Dataset,
    usable: xr.DataArray | None,
    surface: Surface,
    name: str,
    reach: int,
    max_blocks: int = MAX_BLOCKS,
) -> ShiftEstimate:
    shape = scene.sizes["y"], scene.sizes["x"]
    if shape != (other.sizes["y"], other.sizes["x"]):
        raise GridMismatchError(f"The pass has {shape} pixels, what it is compared with {tuple(other.sizes.values())}.")
    windows = _windows(shape, reach, max_blocks)
    layers = [
        (
            {str(band): scene[band][window].data for band in scene},
            {str(band): other[band][window].data for band in other},
            True if usable is None else usable[window].data,
        )
        for _, window in windows
    ]
    found: list[Image] = []
    # One call for all windows: whatever makes a chunk of the pass (a file read, a geocoding) runs once for all of them.
    for (core, _), (first, second, allowed) in zip(windows, dask.compute(layers)[0], strict=True):
        observed = np.all([np.isfinite(value) for value in (*first.values(), *second.values())], axis=0)
        inside = np.zeros(observed.shape, bool)
        inside[core] = True
        correlation = surface(first, second, observed & allowed & inside)
        if np.isfinite(correlation).all():
            found.append(correlation)
    return _summary(found, name)


def _summary(surfaces: Sequence[Image], name: str) -> ShiftEstimate:
    """Peak of the mean surface, and how far it moves when the blocks are drawn anew."""
    nothing = ShiftEstimate(reference=name, dy_px=0, dx_px=0, confidence=0, spread_px=0, correlation=0, blocks=0)
    if not surfaces:
        return nothing
    stack = np.stack(surfaces)
    dy, dx, height, inside = best_shift(stack.mean(axis=0))
    generator = np.random.default_rng(len(stack))
    draws = generator.integers(0, len(stack), (REPLICATES, len(stack)))
    weights = np.stack([np.bincount(draw, minlength=len(stack)) for draw in draws]) / len(stack)
    peaks = np.array([best_shift(surface)[:2] for surface in np.tensordot(weights, stack, axes=1)])
    distance = np.hypot(peaks[:, 0] - dy, peaks[:, 1] - dx)
    return ShiftEstimate(
        reference=name,
        dy_px=round(dy, 3),
        dx_px=round(dx, 3),
        confidence=float((distance <= 0.5).mean()) if inside and len(stack) >= MIN_BLOCKS else 0.0,
        spread_px=round(float(np.median(distance)), 3),
        correlation=round(height, 4),
        blocks=len(stack),
    )


def _windows(
    shape: tuple[int, int], reach: int, max_blocks: int
) -> list[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Evenly spread blocks over the image: at most ``max_blocks``, of at most `BLOCK_PX` pixels a side.

    Returns:
        For each block where it lies in its window, and the window: the block and `MARGIN_PX` around it, from which its
        features are made, so that the block's own edge, at the same place in both images, pulls no peak to zero.
    """
    spans = []
    for length in shape:
        low, high = (EDGE_PX, length - EDGE_PX) if length > 4 * EDGE_PX else (0, length)
        side = max(min(high - low, 6 * reach), min(BLOCK_PX, (high - low) // 3))
        count = min(int(np.sqrt(max_blocks)), max(1, round(1.5 * (high - low) / side)))
        starts = np.unique(np.linspace(low, high - side, count).round().astype(int)).tolist()
        spans.append([_span(start, side, length) for start in starts])
    return [((rows[0], columns[0]), (rows[1], columns[1])) for rows in spans[0] for columns in spans[1]]


def _span(start: int, side: int, length: int) -> tuple[slice, slice]:
    """A block within its window, and the window within the image, along one axis."""
    first, last = max(0, start - MARGIN_PX), min(length, start + side + MARGIN_PX)
    return slice(start - first, start - first + side), slice(first, last)


def _mean(surfaces: Iterable[Image]) -> Image:
    """Mean of the surfaces that could be made; all NaN where none could."""
    stack = np.stack(list(surfaces))
    usable = np.isfinite(stack).all(axis=(1, 2))
    mean: Image = stack[usable].mean(axis=0) if usable.any() else stack[0]
    return mean


def _decibel(power: Image) -> Image:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(power > 0, 10.0 * np.log10(power.astype("f8")), np.nan)


def _changed(one: Image, other: Image) -> Mask:
    """Where the smoothed backscatter differs by more than `CHANGE_DB` from its usual difference."""
    difference = smooth(one, 2 * FINE_PX) - smooth(other, 2 * FINE_PX)
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


def _grown(marked: Mask, max_shift_px: int) -> Mask:
    """Marked areas wider than the largest shift, grown; thin strips along edges are what a shift itself makes."""
    wide = ndimage.maximum_filter(ndimage.minimum_filter(marked, max_shift_px + 1), max_shift_px + 1)
    grown: Mask = ndimage.maximum_filter(wide, 2 * GROWTH_PX + 1)
    return grown
