"""The hierarchical split-based detector (Chini et al. 2017), the manner of LIST.

1. A quadtree finds the tiles whose histogram is bimodal: Ashman's D > 2, Bhattacharyya coefficient of histogram and fit
   > 0.985, smaller over larger class > 0.1 (`pipeline_lib.water.classes.bimodal_tiles`).
2. The pooled histogram of these tiles gives the density of water. Seeds are pixels darker than its mean.
3. Water grows from the seeds to the tolerance at which the histogram of the grown region fits the density of water best
   (least root-mean-square error over the bins).
4. With a reference the same is done on the difference image; flood is what grew in both, and what is dark in both
   images is water that was there before.

References:
    Chini, Hostache, Giustarini & Matgen (2017), IEEE TGRS 55(12), 6975.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import dask
import dask.array as da
import numpy as np
import numpy.typing as npt
import xarray as xr

from pipeline_lib.model import check_scene, polarisations_of
from pipeline_lib.options import Options
from pipeline_lib.options.detect import HierarchicalOptions
from pipeline_lib.water.blocks import map_with_halo
from pipeline_lib.water.classes import Classes, classes_by_polarisation, physics_of
from pipeline_lib.water.extent import water_extent
from pipeline_lib.water.filtering import boxcar, decibel
from pipeline_lib.water.growing import GrowingRule, grow
from pipeline_lib.water.histogram import BINS, CENTRES_DB, LOWEST_DB, STEP_DB, tile_histograms
from pipeline_lib.water.interface import Need, Observation
from pipeline_lib.water.plane import Plane
from pipeline_lib.water.reference import reference_statistics
from pipeline_lib.water.threshold import Normal, TwoNormals, fit_two_normals
from pipeline_lib.water.thresholding import blocked_powers

Values = npt.NDArray[np.float64]

CHANGE = Normal(6.0, 2.5)
NO_CHANGE = Normal(0.0, 1.5)
"""Fall of backscatter where water came and where nothing did, dB: stand where the difference image has one mode."""
TOLERANCES = 6
"""Levels between the seeds and the crossing of the densities at which the growing is tried."""


@dataclass(frozen=True, kw_only=True)
class Grown:
    """How one image was grown: darkness = level - value, in dB, so that seeds lie highest."""

    water: da.Array
    tolerance_db: float
    classes: Classes


def _decibel_block(power: Plane, radius: int) -> Plane:
    """Filtered backscatter in dB, its sign turned: the darker the higher."""
    return -decibel(boxcar(np.ascontiguousarray(power, dtype=np.float32), radius))


def _fall_block(power: Plane, history: Plane, radius: int) -> Plane:
    """Fall of filtered backscatter against the mean of the reference, dB."""
    expected, _ = reference_statistics(history, radius, 1)
    fall: Plane = expected - decibel(boxcar(np.ascontiguousarray(power, dtype=np.float32), radius))
    return fall


def _counts(darkness: Plane, water: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Histogram of the grown pixels of a block, in dB."""
    bins = np.clip(np.floor((-darkness[water] - LOWEST_DB) / STEP_DB), 0, BINS - 1)
    return np.bincount(bins.astype(np.int64), minlength=BINS)


def grow_to_fit(darkness: da.Array, classes: Classes, min_pixels: int) -> Grown:
    """Grow from the mode of water to the tolerance at which the grown histogram fits water's density best.

    Args:
        darkness: float32 (y, x), minus backscatter in dB (or minus the negative fall), NaN = not observed.
        classes: water and land of the image; where it is water throughout, growing goes on to their crossing.
        min_pixels: smaller regions are dropped.
    """
    crossing = TwoNormals(classes.water, classes.land, 0.5, 1.0).crossing
    seed = classes.water.mean
    levels = np.linspace(seed, crossing, TOLERANCES + 1)[-1 if classes.all_water else 1 :]
    best: tuple[float, float, da.Array] | None = None
    for level in levels:
        rule = GrowingRule(seed=-seed, tolerance=-float(level), min_pixels=min_pixels)
        water = grow(darkness, rule)
        pairs = zip(darkness.to_delayed().ravel(), water.to_delayed().ravel(), strict=True)
        counts = np.sum(dask.compute(*[dask.delayed(_counts)(one, other) for one, other in pairs]), axis=0)
        error = _misfit(counts.astype(np.float64), classes.water)
        if best is None or error < best[0]:
            best = (error, float(level), water)
    if best is None:
        raise ValueError("TOLERANCES must be positive.")
    return Grown(water=best[2], tolerance_db=best[1], classes=classes)


def _misfit(counts: Values, water: Normal) -> float:
    """Root-mean-square error between the grown histogram and water's density scaled to its darker half.

    The darker half of water's density is never mixed with land, so it tells how much water there is.
    """
    dark = np.less_equal(CENTRES_DB, water.mean)
    total = 2.0 * counts[dark].sum()
    if total == 0:
        return float("inf")
    expected = total * STEP_DB * np.exp(water.log_density(CENTRES_DB))
    return float(np.sqrt(np.mean((counts - expected) ** 2)) / total)


def _probability_block(darkness: Plane, classes: Classes) -> Plane:
    """Posterior of water by the two densities with equal priors."""
    flat = -darkness.ravel().astype(np.float64)
    known = np.isfinite(flat)
    answer = np.full(flat.size, np.nan, dtype=np.float32)
    answer[known] = 1.0 / (1.0 + np.exp(-np.clip(classes.log_ratio(flat[known]), -30.0, 30.0)))
    return answer.reshape(darkness.shape)


class HierarchicalDetector:
    """See the module's docstring."""

    name: ClassVar[str] = "hierarchical"
    summary: ClassVar[str] = (
        "Bimodal quadtree tiles, region growing fitted to water's density, on image and change (Chini)"
    )
    needs: ClassVar[frozenset[Need]] = frozenset()
    options_type: ClassVar[type[Options]] = HierarchicalOptions

    def __init__(self, options: Options | None = None) -> None:
        """Take `HierarchicalOptions`."""
        self.options = options if isinstance(options, HierarchicalOptions) else HierarchicalOptions()

    def detect(self, observation: Observation) -> xr.Dataset:
        """WaterExtent of the observation; see `pipeline_lib.water.interface.Detector.detect`."""
        scene = check_scene(observation.scene)
        grid = observation.grid
        name = self.options.polarisation or polarisations_of(scene)[0]
        powers = blocked_powers(observation)
        power = powers[name]
        tiles = tile_histograms(powers, radius=self.options.filter_radius)
        physics = {held: physics_of(held, scene) for held in tiles}
        classes = classes_by_polarisation(tiles, physics, self.options.tiles)[name]
        darkness = self._map(_decibel_block, {"power": power})
        grown = grow_to_fit(darkness, classes, self.options.min_pixels)
        source = "water throughout" if classes.all_water else f"{classes.tiles} bimodal tiles"
        told = f"{source}, grown to {grown.tolerance_db:.1f} dB"
        notes = [f"{name}: water {classes.water.mean:.1f} dB, {told}"]
        water = grown.water
        probability = self._map(_probability_block, {"darkness": darkness}, halo_px=0, classes=classes)
        history = observation.history
        if history is not None and name in history and history.sizes.get("time", 0) > 0:
            passes = grid.blocked(history[name])
            water, note = self._with_change(power, passes, water, classes)
            notes.append(note)
        else:
            notes.append("No reference passes: the image alone is grown.")
        return water_extent(scene, probability, water, notes=notes)

    def _map(
        self, function: Any, inputs: dict[str, da.Array], halo_px: int | None = None, **arguments: Any
    ) -> da.Array:
        """Blocks through a function with the filter's halo."""
        radius = self.options.filter_radius
        if halo_px is None:
            halo_px, arguments = radius, {"radius": radius, **arguments}
        return map_with_halo(function, inputs, halo_px=halo_px, dtype=np.float32, arguments=arguments)

    def _with_change(
        self, power: da.Array, history: da.Array, water: da.Array, classes: Classes
    ) -> tuple[da.Array, str]:
        """Water that grew in the difference image too, or that was as dark before."""
        fall = self._map(_fall_block, {"power": power, "history": history})
        change = _change_classes(fall)
        changed = grow_to_fit(fall, change, self.options.min_pixels)
        crossing = TwoNormals(classes.water, classes.land, 0.5, 1.0).crossing
        before = self._map(_before_block, {"history": history})
        always = water & (before <= crossing)
        note = f"Fall of {-change.water.mean:.1f} dB where water came, grown to {-changed.tolerance_db:.1f} dB."
        return (water & changed.water) | always | (water & da.isnan(before)), note


def _before_block(history: Plane, radius: int) -> Plane:
    """Mean backscatter of the reference, dB."""
    return reference_statistics(history, radius, 1)[0]


def _change_classes(fall: da.Array) -> Classes:
    """Change and no change in the difference image, with the sign turned so that change lies low as water does."""
    counts = np.sum(dask.compute(*[dask.delayed(_fall_counts)(block) for block in fall.to_delayed().ravel()]), axis=0)
    centres = _FALL_CENTRES
    if np.count_nonzero(counts) < 2:
        return Classes(water=Normal(-CHANGE.mean, CHANGE.spread), land=NO_CHANGE, tiles=0)
    fitted = fit_two_normals(counts.astype(np.float64), centres)
    plausible = fitted.ashman_d > 2.0 and fitted.dark.mean < -2.0 and abs(fitted.bright.mean) < 2.0
    if not plausible or fitted.surface_ratio < 0.01:
        return Classes(water=Normal(-CHANGE.mean, CHANGE.spread), land=NO_CHANGE, tiles=0)
    return Classes(water=fitted.dark, land=fitted.bright, tiles=1)


_FALL_CENTRES: Values = -24.0 + STEP_DB * (np.arange(BINS, dtype=np.float64) + 0.5)


def _fall_counts(fall: Plane) -> npt.NDArray[np.int64]:
    """Histogram of minus the fall."""
    known = -fall[np.isfinite(fall)]
    bins = np.clip(np.floor((known + 24.0) / STEP_DB), 0, BINS - 1).astype(np.int64)
    return np.bincount(bins, minlength=BINS)
