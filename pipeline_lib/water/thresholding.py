"""Detectors that are one threshold for the scene: fixed, Otsu, Kittler-Illingworth, and from chosen tiles.

The threshold is sought on the histogram of boxcar-filtered backscatter in dB. The likelihood is the posterior of two
normal classes split there, shifted so that the threshold itself has probability one half.

References:
    Otsu (1979); Kittler & Illingworth (1986); Martinis, Twele & Voigt (2009), NHESS 9; Twele et al. (2016), IJRS
    37(13).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import dask.array as da
import numpy as np
import numpy.typing as npt
import xarray as xr

from pipeline_lib.errors import ContractError, UnseparableHistogramError
from pipeline_lib.model import check_scene, polarisations_of
from pipeline_lib.options import Options
from pipeline_lib.options.detect import FixedOptions, SplitBasedOptions, ThresholdOptions
from pipeline_lib.water.blocks import BlockGrid, map_with_halo
from pipeline_lib.water.classes import Classes, Physics, physics_of_scene
from pipeline_lib.water.extent import water_extent
from pipeline_lib.water.filtering import boxcar, look_up, table_of
from pipeline_lib.water.fusion import posterior
from pipeline_lib.water.growing import GrowingRule, grow
from pipeline_lib.water.histogram import CENTRES_DB, TileHistograms, tile_histograms
from pipeline_lib.water.interface import Need, Observation
from pipeline_lib.water.plane import Plane
from pipeline_lib.water.threshold import Normal, fit_two_normals, kittler_illingworth, otsu

Values = npt.NDArray[np.float64]

MIN_SPREAD_DB = 1.0
LEAST_ODDS = 1e-3
"""Log-odds beside the threshold: class and probability must fall on the same side."""
CHOSEN_TILES = 5
"""Tiles that the scene's threshold is made of (Martinis et al. 2009)."""


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A threshold in dB and how it was found."""

    threshold_db: float
    note: str


def published_cut(physics: Physics, why: str) -> Cut:
    """Where the published densities of water and land cross: what stands when a scene has one class only."""
    crossing = physics.crossing
    return Cut(threshold_db=crossing, note=f"{crossing:.1f} dB (published densities: {why})")


def checked_cut(threshold_db: float, counts: Values, physics: Physics, min_ashman_d: float) -> Cut:
    """The threshold where the histogram has two modes and it lies between water and land; else the published one."""
    if not physics.darkest_threshold <= threshold_db <= physics.brightest_threshold:
        return published_cut(physics, f"{threshold_db:.1f} dB cannot part water from land")
    if fit_two_normals(counts, CENTRES_DB).ashman_d < min_ashman_d:
        return published_cut(physics, "the histogram has a single mode")
    return Cut(threshold_db=threshold_db, note=f"{threshold_db:.1f} dB")


def log_odds_table(cut: Cut, counts: Values, physics: Physics) -> Plane:
    """Log-odds of water over power for two normal classes split at the cut; zero at the cut, falling."""
    sides = []
    dark = np.less(CENTRES_DB, cut.threshold_db)
    for side, published in (
        (dark, physics.water),
        (~dark, physics.land),
    ):
        weight = np.where(side, counts, 0.0)
        if weight.sum() < 0.001 * counts.sum() or weight.sum() == 0:
            sides.append(published)
            continue
        mean = float(weight @ CENTRES_DB / weight.sum())
        spread = float(np.sqrt(weight @ (CENTRES_DB - mean) ** 2 / weight.sum()))
        sides.append(Normal(mean, max(spread, MIN_SPREAD_DB)))
    classes = Classes(water=sides[0], land=sides[1], tiles=1)

    def log_odds(decibel: Values) -> Values:
        """Log-odds by backscatter in dB."""
        level = classes.log_ratio(np.concatenate([decibel, [cut.threshold_db]]))
        ratio = np.clip(level[:-1] - level[-1], -8.0, 8.0)
        below = decibel < cut.threshold_db
        answer: Values = np.where(below, np.maximum(ratio, LEAST_ODDS), np.minimum(ratio, -LEAST_ODDS))
        return answer

    return table_of(log_odds)


def _log_odds_block(tables: dict[str, Plane], radius: int, **arrays: npt.NDArray[Any]) -> Plane:
    """Probability of water: any polarisation below its threshold is enough."""
    best: Plane | None = None
    for name, table in tables.items():
        found = look_up(boxcar(np.ascontiguousarray(arrays[name], dtype=np.float32), radius), table)
        best = found if best is None else np.fmax(best, found)
    if best is None:
        raise ContractError("A threshold detector was given no polarisation.")
    return posterior(best, 0.0)


OptionsOf = TypeVar("OptionsOf", bound=ThresholdOptions)


class _ThresholdDetector(ABC):
    """What the threshold detectors share: a histogram in, one cut a polarisation out."""

    needs: ClassVar[frozenset[Need]] = frozenset()
    options_type: ClassVar[type[Options]] = ThresholdOptions

    def __init__(self, options: Options | None = None) -> None:
        """Take the detector's options."""
        wanted = self.options_type
        self.options: Any = options if isinstance(options, wanted) else wanted()

    @abstractmethod
    def cut(self, tiles: TileHistograms, physics: Physics, polarisation: str) -> Cut:
        """The threshold of one polarisation."""

    def detect(self, observation: Observation) -> xr.Dataset:
        """WaterExtent of the observation; see `pipeline_lib.water.interface.Detector.detect`."""
        scene = check_scene(observation.scene)
        powers = chosen_powers(scene, self.options.polarisations, observation.grid)
        tiles = tile_histograms(blocked_powers(observation), radius=self.options.filter_radius)
        physics = physics_of_scene(tiles, scene)
        cuts, tables = {}, {}
        for name in powers:
            try:
                cuts[name] = self.cut(tiles[name], physics[name], name)
            except UnseparableHistogramError as error:
                cuts[name] = published_cut(physics[name], str(error))
            tables[name] = log_odds_table(cuts[name], tiles[name].scene, physics[name])
        radius = self.options.filter_radius
        arguments = {"tables": tables, "radius": radius}
        probability = map_with_halo(_log_odds_block, powers, halo_px=radius, dtype=np.float32, arguments=arguments)
        rule = GrowingRule(seed=0.5, tolerance=0.5, min_pixels=self.options.min_pixels)
        notes = [f"{name}: threshold {cut.note}" for name, cut in cuts.items()]
        return water_extent(scene, probability, grow(probability, rule), notes=notes)


def chosen_powers(scene: xr.Dataset, wanted: tuple[str, ...] | None, grid: BlockGrid) -> dict[str, da.Array]:
    """Blocked polarisations: the wanted ones, or the cross-polarised one, or whatever there is.

    Dims (y, x), linear power, NaN = not observed.

    Raises:
        ContractError: a wanted polarisation is not in the scene.
    """
    held = polarisations_of(scene)
    names = wanted or tuple(name for name in ("vh", "hv") if name in held)[:1] or held[:1]
    missing = [name for name in names if name not in held]
    if missing:
        raise ContractError(f"The scene has {', '.join(held)}, not {', '.join(missing)} as the detector's options ask.")
    return {name: grid.blocked(scene[name]) for name in names}


def blocked_powers(observation: Observation) -> dict[str, da.Array]:
    """Every polarisation of the scene (y, x), linear power, cut into the observation's blocks."""
    return {name: observation.grid.blocked(observation.scene[name]) for name in polarisations_of(observation.scene)}


class FixedDetector(_ThresholdDetector):
    """One threshold for all scenes: the yardstick that others must beat."""

    name: ClassVar[str] = "fixed"
    summary: ClassVar[str] = "One threshold for every scene: VH below -22 dB, or VV below -16 dB where there is no VH"
    options_type: ClassVar[type[Options]] = FixedOptions

    def cut(self, tiles: TileHistograms, physics: Physics, polarisation: str) -> Cut:  # noqa: ARG002
        """The option's threshold."""
        level = self.options.cross_db if polarisation in {"vh", "hv"} else self.options.co_db
        return Cut(threshold_db=level, note=f"{level:.1f} dB (fixed)")


class OtsuDetector(_ThresholdDetector):
    """Otsu's threshold of the whole scene."""

    name: ClassVar[str] = "otsu"
    summary: ClassVar[str] = "Otsu's threshold of the scene's histogram (VH unless told otherwise)"

    def cut(self, tiles: TileHistograms, physics: Physics, polarisation: str) -> Cut:  # noqa: ARG002
        """Largest variance between the classes."""
        found, _ = otsu(tiles.scene, CENTRES_DB)
        return checked_cut(found, tiles.scene, physics, self.options.min_ashman_d)


class KittlerIllingworthDetector(_ThresholdDetector):
    """The minimum-error threshold of the whole scene."""

    name: ClassVar[str] = "kittler-illingworth"
    summary: ClassVar[str] = "Minimum-error threshold of the scene's histogram (VH unless told otherwise)"

    def cut(self, tiles: TileHistograms, physics: Physics, polarisation: str) -> Cut:  # noqa: ARG002
        """Least error of two normal classes."""
        return checked_cut(
            kittler_illingworth(tiles.scene, CENTRES_DB), tiles.scene, physics, self.options.min_ashman_d
        )


class SplitBasedDetector(_ThresholdDetector):
    """Tiles across water's edge are chosen, each is thresholded, the scene takes their mean (Martinis, Twele)."""

    name: ClassVar[str] = "split-based"
    summary: ClassVar[str] = "Kittler-Illingworth on the five tiles that best straddle water and land (Martinis, Twele)"
    options_type: ClassVar[type[Options]] = SplitBasedOptions

    def cut(self, tiles: TileHistograms, physics: Physics, polarisation: str) -> Cut:  # noqa: ARG002
        """See `split_based_cut`."""
        return split_based_cut(tiles, physics, self.options)


def split_based_cut(tiles: TileHistograms, physics: Physics, options: SplitBasedOptions) -> Cut:
    """Threshold of a scene from its most heterogeneous dark tiles.

    Backscatter is scaled to 0 ... 255 between its 1st and 99th percentile, so that ratios mean something. A tile is
    chosen whose four quarters' means vary (coefficient of variation beyond the 95th percentile) while its own mean is
    below the scene's. Where the tiles' thresholds disagree, tiles of half the size are asked.
    """
    for factor in (8, 4, 2):
        chosen = _straddling_tiles(tiles.coarsened(factor // 2), options)
        found = []
        for counts in chosen:
            try:
                threshold = kittler_illingworth(counts, CENTRES_DB)
            except UnseparableHistogramError:
                continue
            apart = fit_two_normals(counts, CENTRES_DB).ashman_d >= options.min_ashman_d
            if apart and physics.darkest_threshold <= threshold <= physics.brightest_threshold:
                found.append(threshold)
        if found and float(np.std(found)) <= options.max_disagreement_db:
            level = float(np.mean(found))
            return Cut(threshold_db=level, note=f"{level:.1f} dB ({len(found)} tiles of {factor * 64} pixels)")
    return published_cut(physics, "no tile straddles water and land")


def _straddling_tiles(quarters: TileHistograms, options: SplitBasedOptions) -> list[Values]:
    """Histograms of the parents of 2 x 2 quarters that vary most and are dark."""
    scene = quarters.scene
    if scene.sum() == 0:
        return []
    cumulative = np.cumsum(scene) / scene.sum()
    low, high = (CENTRES_DB[int(np.searchsorted(cumulative, share))] for share in (0.01, 0.99))
    number, mean, _ = quarters.moments()
    scaled = np.clip((mean - low) / max(high - low, 1e-6), 0.0, 1.0) * 255.0
    rows, columns = (size // 2 for size in scaled.shape)
    if rows == 0 or columns == 0:
        return [scene]
    full = 0.8 * quarters.tile_px**2
    parts = np.where(number >= full, scaled, np.nan)[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2)
    quartets = parts.transpose(0, 2, 1, 3).reshape(rows, columns, 4)
    known = np.isfinite(quartets).all(axis=2)
    middle = np.where(known, quartets.mean(axis=2), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        variation = np.where(known, quartets.std(axis=2) / np.maximum(middle, 1.0), np.nan)
    if not known.any():
        return [scene]
    dark = middle < (scene @ np.clip((CENTRES_DB - low) / max(high - low, 1e-6), 0, 1)) / scene.sum() * 255.0
    limit = np.nanquantile(variation, options.variation_quantile)
    places = np.argwhere(known & dark & (variation >= limit))
    order = np.argsort(-variation[tuple(places.T)], kind="stable")[:CHOSEN_TILES]
    parents = quarters.coarsened(2).counts
    return [parents[row, column].astype(np.float64) for row, column in places[order]]
