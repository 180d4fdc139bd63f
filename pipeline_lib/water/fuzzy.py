"""Fuzzy refinement of a first water map by backscatter, height, slope and size; the detectors of DLR and of HydroSAR.

Each element gives a degree of membership between 0 and 1 by Zadeh's functions; their mean is the pixel's degree of
being water, zero where any element is zero. Water bodies grow from degrees above 0.6 to degrees above 0.45.

References:
    Pal & Rosenfeld (1988), Pattern Recognition Letters 7(2) - S and Z functions; Martinis, Kersten & Twele (2015),
    ISPRS J. 104; Twele et al. (2016), IJRS 37(13); Meyer et al., HydroSAR (2020).
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
from pipeline_lib.options.detect import FuzzyOptions, HydrosarOptions
from pipeline_lib.water.blocks import BlockGrid, map_with_halo
from pipeline_lib.water.classes import Physics, physics_of_scene
from pipeline_lib.water.extent import water_extent
from pipeline_lib.water.filtering import boxcar, look_up, table_of
from pipeline_lib.water.growing import GrowingRule, grow, region_sizes
from pipeline_lib.water.histogram import CENTRES_DB, TileHistograms, tile_histograms
from pipeline_lib.water.hydrosar import hydrosar_cut
from pipeline_lib.water.interface import Need, Observation
from pipeline_lib.water.plane import Plane
from pipeline_lib.water.thresholding import Cut, blocked_powers, split_based_cut

Values = npt.NDArray[np.float64]

HAND_STEP_M = 0.5
HAND_BINS = 1000


def s_membership(value: Plane, low: float, high: float) -> Plane:
    """Zadeh's S: 0 up to ``low``, 1 from ``high``, 0.5 midway, smooth between; NaN stays NaN."""
    place = np.clip((value - low) / max(high - low, 1e-6), 0.0, 1.0)
    grade: Plane = np.where(place < 0.5, 2.0 * place**2, 1.0 - 2.0 * (1.0 - place) ** 2).astype(np.float32)
    return grade


def z_membership(value: Plane, low: float, high: float) -> Plane:
    """Zadeh's Z: 1 - S."""
    return (np.float32(1.0) - s_membership(value, low, high)).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Where each element's membership begins and ends."""

    backscatter_db: tuple[float, float]
    """Mean of the first water map, threshold."""
    hand_m: tuple[float, float]
    slope_deg: tuple[float, float]
    size_px: tuple[float, float]


def composite(
    power: Plane, limits: Limits, *, size: npt.NDArray[Any], hand: Plane | None, slope: Plane | None
) -> Plane:
    """Mean of the memberships that are known at each pixel, 0 where one of them is 0; NaN where not observed.

    Args:
        power: (y, x) linear, NaN = not observed.
        limits: of each membership.
        size: (y, x) pixels of the water body that a pixel belongs to.
        hand: (y, x) metres above drainage, NaN = unknown; None where there is none.
        slope: (y, x) degrees, likewise.

    Returns:
        (y, x) float32 degree of being water, 0 to 1.
    """
    table = table_of(lambda value: z_membership(value.astype(np.float32), *limits.backscatter_db).astype(np.float64))
    elements = [look_up(power, table), s_membership(size.astype(np.float32), *limits.size_px)]
    for known, (low, high) in ((hand, limits.hand_m), (slope, limits.slope_deg)):
        if known is not None:
            elements.append(z_membership(known.astype(np.float32), low, high))
    stack = np.stack(elements)
    number = np.isfinite(stack).sum(axis=0)
    mean = np.nansum(stack, axis=0) / np.maximum(number, 1)
    answer = np.where((stack == 0).any(axis=0), 0.0, mean)
    return np.where(np.isnan(power), np.nan, answer).astype(np.float32)


def likelihood_of_degree(degree: Plane, tolerance: float) -> Plane:
    """Degree of membership as a likelihood: the growing tolerance becomes one half, 0 and 1 stay."""
    above = 0.5 + 0.5 * (degree - tolerance) / (1.0 - tolerance)
    return np.where(degree >= tolerance, above, 0.5 * degree / tolerance).astype(np.float32)


def _first_water(power: Plane, radius: int, threshold_db: float) -> Plane:
    """1 where filtered backscatter is below the threshold, 0 elsewhere, NaN where not observed."""
    value = boxcar(np.ascontiguousarray(power, dtype=np.float32), radius)
    limit = np.float32(10.0 ** (threshold_db / 10.0))
    return np.where(np.isnan(value), np.float32(np.nan), (value < limit).astype(np.float32)).astype(np.float32)


def _hand_counts(water: Plane, hand: Plane) -> npt.NDArray[np.int64]:
    """Histogram of height above drainage under the first water map of a block."""
    heights = hand[(water == 1) & np.isfinite(hand)]
    bins = np.clip(heights / HAND_STEP_M, 0, HAND_BINS - 1).astype(np.int64)
    return np.bincount(bins, minlength=HAND_BINS)


def _hand_of_water(water: da.Array, hand: da.Array) -> tuple[float, float, float] | None:
    """Median, mean and standard deviation of HAND under the first water map, metres; None where there is no water."""
    pairs = zip(water.to_delayed().ravel(), hand.to_delayed().ravel(), strict=True)
    counts = np.sum(dask.compute(*[dask.delayed(_hand_counts)(one, other) for one, other in pairs]), axis=0)
    if counts.sum() == 0:
        return None
    centres = HAND_STEP_M * (np.arange(HAND_BINS) + 0.5)
    share = counts / counts.sum()
    mean = float(share @ centres)
    median = float(centres[int(np.searchsorted(np.cumsum(share), 0.5))])
    return median, mean, float(np.sqrt(share @ (centres - mean) ** 2))


def _degree_block(
    limits: Limits, radius: int, tolerance: float, power: Plane, size: npt.NDArray[Any], **place: Plane
) -> Plane:
    """Likelihood of water in a block by the fuzzy elements."""
    filtered = boxcar(np.ascontiguousarray(power, dtype=np.float32), radius)
    degree = composite(filtered, limits, size=size, hand=place.get("hand"), slope=place.get("slope"))
    return likelihood_of_degree(degree, tolerance)


class FuzzyDetector:
    """The fuzzy-logic detector in the manner of DLR."""

    name: ClassVar[str] = "dlr-fuzzy"
    summary: ClassVar[str] = "Split-based threshold refined by fuzzy logic over backscatter, HAND, slope and size (DLR)"
    needs: ClassVar[frozenset[Need]] = frozenset()
    options_type: ClassVar[type[Options]] = FuzzyOptions

    def __init__(self, options: Options | None = None) -> None:
        """Take the detector's options."""
        wanted = self.options_type
        self.options: Any = options if isinstance(options, wanted) else wanted()

    def cut(self, tiles: TileHistograms, physics: Physics, polarisation: str) -> Cut:
        """Threshold of the first water map."""
        del polarisation
        return split_based_cut(tiles, physics, self.options)

    def hand_limits(self, median: float, mean: float, spread: float) -> tuple[float, float]:
        """Membership of height above drainage: from the first water's mean over (s + 3.5) of its deviations s."""
        del median
        return mean, mean + (spread + 3.5) * max(spread, 0.5)

    def polarisations(self, scene: xr.Dataset) -> tuple[str, ...]:
        """Which are used: the co-polarised one, else whatever there is."""
        return polarisations_of(scene)[:1]

    def detect(self, observation: Observation) -> xr.Dataset:
        """WaterExtent of the observation; see `pipeline_lib.water.interface.Detector.detect`."""
        scene = check_scene(observation.scene)
        grid = observation.grid
        powers = blocked_powers(observation)
        tiles = tile_histograms(powers, radius=self.options.filter_radius)
        physics = physics_of_scene(tiles, scene)
        place = _place(observation, grid)
        notes = [] if "hand" in place else ["No height above drainage: backscatter and size alone are judged."]
        likelihood: da.Array | None = None
        for name in self.polarisations(scene):
            cut = self.cut(tiles[name], physics[name], name)
            notes.append(f"{name}: threshold {cut.note}")
            found = self._likelihood(powers[name], tiles[name], cut, place)
            likelihood = found if likelihood is None else da.fmax(likelihood, found)
        seed = float(likelihood_of_degree(np.array([self.options.seed], np.float32), self.options.tolerance)[0])
        rule = GrowingRule(seed=seed, tolerance=0.5, min_pixels=self.options.min_pixels)
        return water_extent(scene, likelihood, grow(likelihood, rule), notes=notes)

    def _likelihood(self, power: da.Array, tiles: TileHistograms, cut: Cut, place: dict[str, da.Array]) -> da.Array:
        """Fuzzy likelihood of one polarisation."""
        radius = self.options.filter_radius
        first = map_with_halo(
            _first_water,
            {"power": power},
            halo_px=radius,
            dtype=np.float32,
            arguments={"radius": radius, "threshold_db": cut.threshold_db},
        )
        dark = np.where(cut.threshold_db > CENTRES_DB, tiles.scene, 0.0)
        darkest = float(dark @ CENTRES_DB / dark.sum()) if dark.sum() else cut.threshold_db - 3.0
        heights = _hand_of_water(first, place["hand"]) if "hand" in place else None
        limits = Limits(
            backscatter_db=(min(darkest, cut.threshold_db - 0.5), cut.threshold_db),
            hand_m=self.hand_limits(*heights) if heights else (0.0, 15.0),
            slope_deg=(0.0, self.options.max_slope_deg),
            size_px=self.options.size_px,
        )
        inputs = {"power": power, "size": region_sizes(first, 0.5), **place}
        arguments = {"limits": limits, "radius": radius, "tolerance": self.options.tolerance}
        return map_with_halo(_degree_block, inputs, halo_px=radius, dtype=np.float32, arguments=arguments)


def _place(observation: Observation, grid: BlockGrid) -> dict[str, da.Array]:
    """Height above drainage and slope, where known."""
    terrain = observation.terrain
    names = {"hand": "hand_m", "slope": "slope_deg"}
    if terrain is None:
        return {}
    return {short: grid.blocked(terrain[name]) for short, name in names.items() if name in terrain}


class HydrosarDetector(FuzzyDetector):
    """HydroSAR's way: three-class EM on chosen tiles, fuzzy refinement, VV or VH."""

    name: ClassVar[str] = "hydrosar"
    summary: ClassVar[str] = "Three-class EM threshold of chosen tiles, fuzzy refinement, VV or VH (as HydroSAR does)"
    options_type: ClassVar[type[Options]] = HydrosarOptions

    def cut(self, tiles: TileHistograms, physics: Physics, polarisation: str) -> Cut:
        """Threshold of the first water map."""
        return hydrosar_cut(tiles, physics, polarisation)

    def hand_limits(self, median: float, mean: float, spread: float) -> tuple[float, float]:
        """From the median of the first water's height over three deviations and 5 m."""
        del mean
        return median, median + 3.0 * spread + 5.0

    def polarisations(self, scene: xr.Dataset) -> tuple[str, ...]:
        """All there are: water in any is water."""
        return polarisations_of(scene)
