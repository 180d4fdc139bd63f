"""The course's segmenters as water detectors: regions or clusters first, then which of them are water.

Segmentation says which pixels belong together, not what they are. What a region or cluster is follows from its mean
backscatter against the scene's classes of water and land (`pipeline_lib.water.classes`), so that a scene without
water gets none although it always has a darkest cluster. Region growing and split and merge work in squares of
`REGION_PX` from the scene's corner, because each needs all pixels of its image at once: regions end at their borders.
"""

from typing import Any, ClassVar

import dask.array as da
import numpy as np
import numpy.typing as npt
import xarray as xr

from pipeline_lib.errors import UnseparableHistogramError
from pipeline_lib.model import check_scene, polarisations_of
from pipeline_lib.options import Options
from pipeline_lib.options.detect import TileChoice
from pipeline_lib.options.segmentation import (
    ClusteringDetectorOptions,
    GrowingDetectorOptions,
    SplitMergeDetectorOptions,
)
from pipeline_lib.segmentation import Clusters, fit, grow, predict_blocks, seeds_below, split_and_merge
from pipeline_lib.water.blocks import BlockGrid, map_with_halo
from pipeline_lib.water.classes import UNSEEN_PRIOR, Classes, classes_by_polarisation, physics_of
from pipeline_lib.water.extent import water_extent
from pipeline_lib.water.filtering import boxcar, decibel
from pipeline_lib.water.fusion import logit
from pipeline_lib.water.growing import GrowingRule, kept_if_small
from pipeline_lib.water.growing import grow as drop_small
from pipeline_lib.water.histogram import tile_histograms
from pipeline_lib.water.interface import Need, Observation
from pipeline_lib.water.plane import Plane

KnownClasses = dict[str, Classes]

PRIOR = 0.3
"""Prior probability of water where the scene shows two classes; see `pipeline_lib.options.detect`."""
GRID_DB = np.linspace(-60.0, 30.0, 3601)
"""Where the evidence is tabulated."""
REGION_PX = 1024
"""Part of the method, and not the size of the blocks that the rest is worked on in."""
WEIGHT, LIMIT = 0.75, 6.0
"""Weight and limit of one polarisation's evidence: the two are correlated, and neither may overrule the other."""


def scene_classes(scene: xr.Dataset, powers: dict[str, da.Array]) -> KnownClasses:
    """Water and land of each polarisation as the scene's bimodal tiles, or published values, have them.

    Args:
        scene: Scene with dims (y, x).
        powers: linear power (y, x) of the polarisations that are used.
    """
    tiles = tile_histograms(powers, radius=1)
    return classes_by_polarisation(tiles, {name: physics_of(name, scene) for name in tiles}, TileChoice())


def _prior(classes: KnownClasses) -> float:
    """Prior probability of water."""
    if any(known.all_water for known in classes.values()):
        return 1.0 - UNSEEN_PRIOR
    return PRIOR if any(known.separable for known in classes.values()) else UNSEEN_PRIOR


def water_likelihood(means_db: dict[str, npt.NDArray[np.float64]], classes: KnownClasses) -> npt.NDArray[np.float64]:
    """Probability of water of regions with the given mean backscatter (dB by polarisation); NaN where unknown.

    Each array is (region), of all polarisations alike; so is the result, 0 to 1.
    """
    ratio = np.full_like(next(iter(means_db.values())), logit(_prior(classes)))
    for name, means in means_db.items():
        known = np.isfinite(means)
        tabulated = np.clip(classes[name].log_ratio(GRID_DB), -LIMIT, LIMIT)
        evidence = np.interp(np.where(known, means, 0.0), GRID_DB, tabulated)
        ratio += np.where(known, WEIGHT * evidence, np.nan)
    probability: npt.NDArray[np.float64] = 1.0 / (1.0 + np.exp(-ratio))
    return probability


def _prepared(observation: Observation) -> tuple[xr.Dataset, dict[str, da.Array], KnownClasses]:
    scene = check_scene(observation.scene)
    powers = {name: observation.grid.blocked(scene[name]) for name in polarisations_of(scene)}
    # What no logarithm takes: infinite power is no observation, noise removed below zero is darkness.
    clean = {name: power.map_blocks(_cleaned, dtype=np.float32) for name, power in powers.items()}
    return scene, clean, scene_classes(scene, clean)


def _cleaned(power: Plane) -> Plane:
    return boxcar(np.ascontiguousarray(power, dtype=np.float32), 0)


def _answer(scene: xr.Dataset, probability: da.Array, min_pixels: int, classes: KnownClasses, note: str) -> xr.Dataset:
    probability = kept_if_small(probability)
    water = drop_small(probability, GrowingRule(seed=0.5, tolerance=0.5, min_pixels=min_pixels))
    notes = [note]
    if not any(known.separable or known.all_water for known in classes.values()):
        notes.append("No part of the scene shows two classes: published backscatter of water and land decides.")
    return water_extent(scene, probability, water, notes=notes)


class ClusteringDetector:
    """k-means or Gaussian mixture over the whole scene; clusters with the backscatter of water are water."""

    name: ClassVar[str] = "clustering"
    summary: ClassVar[str] = "k-means or Gaussian mixture on intensity, local mean and texture; dark clusters are water"
    needs: ClassVar[frozenset[Need]] = frozenset()
    options_type: ClassVar[type[Options]] = ClusteringDetectorOptions

    def __init__(self, options: Options | None = None) -> None:
        """Take `ClusteringDetectorOptions`."""
        self.options = options if isinstance(options, ClusteringDetectorOptions) else ClusteringDetectorOptions()

    def detect(self, observation: Observation) -> xr.Dataset:
        """WaterExtent of the observation; see `pipeline_lib.water.interface.Detector.detect`."""
        scene, powers, classes = _prepared(observation)
        try:
            clusters = fit(powers, self.options.clustering, block_px=observation.block_px)
        except UnseparableHistogramError:
            return self._without_clusters(scene, powers, classes)
        _, posterior = predict_blocks(clusters, powers, block_px=observation.block_px)
        share = _cluster_probability(clusters, classes).astype(np.float32)
        probability = observation.grid.blocked((posterior * share[:, None, None]).sum(axis=0).astype(np.float32))
        wet = ", ".join(f"{chance:.2f}" for chance in share)
        note = f"{len(share)} clusters on {clusters.sample} pixels; probability of water, darkest first: {wet}"
        return _answer(scene, probability, self.options.min_pixels, classes, note)

    def _without_clusters(self, scene: xr.Dataset, powers: dict[str, da.Array], classes: KnownClasses) -> xr.Dataset:
        """A scene of one value, or of none: the value itself is held against the classes."""
        probability = map_with_halo(
            _pixel_probability, powers, halo_px=0, dtype=np.float32, arguments={"classes": classes}
        )
        return _answer(scene, probability, self.options.min_pixels, classes, "too few different pixels to cluster")


def _cluster_probability(clusters: Clusters, classes: KnownClasses) -> npt.NDArray[np.float64]:
    """Probability that each cluster is water, from its local means."""
    places = {name: clusters.features.index(f"{name} mean") for name in clusters.bands}
    return water_likelihood({name: clusters.feature_means[:, place] for name, place in places.items()}, classes)


def _pixel_probability(*, classes: KnownClasses, **powers: Plane) -> Plane:
    means = {name: decibel(plane).astype(np.float64) for name, plane in powers.items()}
    return water_likelihood(means, classes).astype(np.float32)


class RegionGrowingDetector:
    """Seeds as dark as the scene's water, grown by the running mean; grown regions with water's mean are water."""

    name: ClassVar[str] = "region-growing"
    summary: ClassVar[str] = "seeds as dark as the scene's water, grown while pixels are like their region's mean"
    needs: ClassVar[frozenset[Need]] = frozenset()
    options_type: ClassVar[type[Options]] = GrowingDetectorOptions

    def __init__(self, options: Options | None = None) -> None:
        """Take `GrowingDetectorOptions`."""
        self.options = options if isinstance(options, GrowingDetectorOptions) else GrowingDetectorOptions()

    def detect(self, observation: Observation) -> xr.Dataset:
        """WaterExtent of the observation; see `pipeline_lib.water.interface.Detector.detect`."""
        scene, powers, classes = _prepared(observation)
        radius = self.options.filter_radius
        smooth = {
            name: map_with_halo(
                _smoothed, {"power": power}, halo_px=radius, dtype=np.float32, arguments={"radius": radius}
            )
            for name, power in powers.items()
        }
        arguments = {"classes": classes, "tolerance": self.options.tolerance_db}
        probability = _by_region(observation.grid, _grown_probability, smooth, arguments)
        note = "seeds at the mean of water, grown by the running mean"
        return _answer(scene, probability, self.options.min_pixels, classes, note)


def _by_region(grid: BlockGrid, function: Any, planes: dict[str, da.Array], arguments: dict[str, Any]) -> da.Array:
    """A function of planes (y, x) on each square of `REGION_PX`; the answer is in the grid's blocks again."""
    squares = BlockGrid(grid.shape, REGION_PX)
    parts = {name: squares.blocked(plane) for name, plane in planes.items()}
    return grid.blocked(map_with_halo(function, parts, halo_px=0, dtype=np.float32, arguments=arguments))


def _smoothed(power: Plane, radius: int) -> Plane:
    return boxcar(np.ascontiguousarray(power, np.float32), radius)


def _grown_probability(*, classes: KnownClasses, tolerance: float, **powers: Plane) -> Plane:
    """Each pixel's own probability; inside grown regions that of the region's mean, where that is higher."""
    smooth = {name: decibel(np.ascontiguousarray(plane)).astype(np.float64) for name, plane in powers.items()}
    own = water_likelihood(smooth, classes)
    guide = next(iter(smooth))
    labels = grow(smooth[guide], seeds_below(smooth[guide], classes[guide].water.mean), tolerance=tolerance)
    inside = labels > 0
    region = water_likelihood(_region_means(smooth, labels), classes)[labels]
    # Land reached by no region stays what it is only if it is not dark by itself: growing decides, evidence measures.
    kept = np.where(inside, np.maximum(own, region), np.minimum(own, 0.49))
    return np.where(np.isnan(own), np.nan, kept).astype(np.float32)


def _region_means(planes: dict[str, npt.NDArray[np.float64]], labels: npt.NDArray[np.int32]) -> dict[str, Any]:
    """Mean of the known values of each region by plane; index 0 (no region) is NaN."""
    means = {}
    for name, plane in planes.items():
        known = np.isfinite(plane) & (labels > 0)
        number = np.bincount(labels[known], minlength=int(labels.max()) + 1)
        total = np.bincount(labels[known], weights=plane[known], minlength=int(labels.max()) + 1)
        means[name] = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    return means


class SplitMergeDetector:
    """Split and merge by speckle statistics; each region is water or not as a whole."""

    name: ClassVar[str] = "split-merge"
    summary: ClassVar[str] = "quadtree split and merge by the gamma likelihood ratio; each region decided as a whole"
    needs: ClassVar[frozenset[Need]] = frozenset()
    options_type: ClassVar[type[Options]] = SplitMergeDetectorOptions

    def __init__(self, options: Options | None = None) -> None:
        """Take `SplitMergeDetectorOptions`."""
        self.options = options if isinstance(options, SplitMergeDetectorOptions) else SplitMergeDetectorOptions()

    def detect(self, observation: Observation) -> xr.Dataset:
        """WaterExtent of the observation; see `pipeline_lib.water.interface.Detector.detect`."""
        scene, powers, classes = _prepared(observation)
        arguments = {"classes": classes, "options": self.options.split_merge}
        probability = _by_region(observation.grid, _regional_probability, powers, arguments)
        note = "regions by split and merge, each decided by its mean backscatter"
        return _answer(scene, probability, self.options.min_pixels, classes, note)


def _regional_probability(*, classes: KnownClasses, options: Any, **powers: Plane) -> Plane:
    """Probability of the region each pixel lies in; regions of the polarisations that the whole block has."""
    used = {name: plane for name, plane in powers.items() if np.isfinite(plane).any()}
    if not used:
        return np.full(next(iter(powers.values())).shape, np.nan, np.float32)
    regions = split_and_merge(np.stack(list(used.values())), options)
    with np.errstate(divide="ignore"):
        means = {name: 10 * np.log10(np.maximum(regions.mean[:, band], 1e-6)) for band, name in enumerate(used)}
    chances = np.concatenate([[np.nan], water_likelihood(means, classes)])
    return chances[regions.labels].astype(np.float32)
