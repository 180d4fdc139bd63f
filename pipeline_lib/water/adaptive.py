"""The default detector: the scene, what the place was like before and where water can stand, as one probability.

For each polarisation the scene's own bimodal tiles give the densities of water, p_w, and of land, p_l; where none are
bimodal the published densities stand. With reference passes of the same orbit each pixel has a density of its own,
p_r, for the case that it is still the land that it was. With r the probability that the reference was water, and pi
the prior of flooding, the odds of water are

    [r * STAY + (1 - r) * pi] p_w / [r * (1 - STAY) p_l + (1 - r) (1 - pi) (KNOWN p_r + (1 - KNOWN) p_l)]

where p_w is that of calm or of wind-roughened water, whichever is likelier (`pipeline_lib.water.rough`),
times the prior of the place (height above drainage, slope). Water bodies then grow from sure pixels to likely ones.

References:
    Chini et al. (2017), IEEE TGRS 55(12) - bimodal tiles; Bauer-Marschallinger et al. (2022), Remote Sensing 14(15) -
    pixelwise land expectation; Tupas et al. (2023) - height above drainage as prior; Twele et al. (2016), IJRS 37(13).
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import dask.array as da
import numpy as np
import numpy.typing as npt
import xarray as xr

from pipeline_lib.model import check_scene, polarisations_of
from pipeline_lib.options import Options
from pipeline_lib.options.detect import AdaptiveOptions
from pipeline_lib.water.blocks import BlockGrid, map_with_halo
from pipeline_lib.water.classes import UNSEEN_PRIOR, Classes, classes_by_polarisation, physics_of
from pipeline_lib.water.context import Levels, edge_table, mean_field, probability_of
from pipeline_lib.water.extent import water_extent
from pipeline_lib.water.filtering import boxcar, look_up, power_of, smooth, table_of
from pipeline_lib.water.fusion import (
    change_ratio,
    log_odds_with_reference,
    logit,
    place_log_prior,
    total_of,
    was_water,
)
from pipeline_lib.water.growing import GrowingRule, grow, kept_if_small
from pipeline_lib.water.histogram import tile_histograms
from pipeline_lib.water.interface import Need, Observation
from pipeline_lib.water.plane import Plane
from pipeline_lib.water.reference import reference_statistics
from pipeline_lib.water.rough import (
    RADIUS_PX,
    Means,
    RoughTables,
    means_of,
    rough_change,
    rough_tables,
    scene_evidence,
)

PRIOR_LIMITS = (0.3, 0.5)
"""Range of the prior taken from the scene."""
STATISTICS_RADIUS = 1
"""The scene's classes are sought after a 3 x 3 mean, where they are apart; speckle is put back for single pixels."""
PIXEL_SPECKLE_DB = 2.19
FILTERED_SPECKLE_DB = 1.0
"""Standard deviation of speckle of 4.4 looks, and after a 3 x 3 mean of pixels as correlated as Sentinel-1's."""
FILTERED_AWAY = PIXEL_SPECKLE_DB**2 - FILTERED_SPECKLE_DB**2


@dataclass(frozen=True)
class _Tables:
    """Evidence of one polarisation as tables over power: against the scene's land, and of water alone."""

    ratio: Plane
    water: Plane
    edge: Plane


class AdaptiveDetector:
    """See the module's docstring."""

    name: ClassVar[str] = "adaptive"
    summary: ClassVar[str] = (
        "Bimodal tiles, two-class densities of VV and VH, change against the reference and HAND fused to a probability"
    )
    needs: ClassVar[frozenset[Need]] = frozenset()
    options_type: ClassVar[type[Options]] = AdaptiveOptions

    def __init__(self, options: Options | None = None) -> None:
        """Take `AdaptiveOptions`."""
        self.options = options if isinstance(options, AdaptiveOptions) else AdaptiveOptions()

    def detect(self, observation: Observation) -> xr.Dataset:
        """WaterExtent of the observation; see `pipeline_lib.water.interface.Detector.detect`."""
        scene = check_scene(observation.scene)
        grid = observation.grid
        names = polarisations_of(scene)
        powers = {name: grid.blocked(scene[name]) for name in names}
        classes = self._classes(scene, powers)
        inputs = dict(powers)
        inputs.update(_history(observation, names, grid, self.options.min_history))
        inputs.update(_place(observation, grid))
        levels = map_with_halo(
            levels_block,
            inputs,
            halo_px=max(self.options.filter_radius, RADIUS_PX) + self.options.context_radius + self.options.rounds,
            dtype=np.int16,
            arguments={
                "tables": {name: self._tables(classes[name]) for name in names},
                "rough": self._rough(classes),
                "prior": self._prior(classes),
                "flood_prior": self._flood_prior(classes),
                "options": self.options,
            },
        )
        probability = kept_if_small(levels).map_blocks(
            probability_of, dtype=np.float32, meta=np.empty((0, 0), dtype=np.float32)
        )
        rule = GrowingRule(seed=self.options.seed, tolerance=0.5, min_pixels=self.options.min_pixels)
        return water_extent(scene, probability, grow(probability, rule), notes=_notes(classes, inputs))

    def _classes(self, scene: xr.Dataset, powers: dict[str, da.Array]) -> dict[str, Classes]:
        """What the scene says of water and land."""
        tiles = tile_histograms(powers, radius=STATISTICS_RADIUS)
        physics = {name: physics_of(name, scene) for name in tiles}
        return classes_by_polarisation(tiles, physics, self.options.tiles)

    def _prior(self, classes: dict[str, Classes]) -> float:
        """Prior of water where neither reference nor occurrence is known: the scene's own share of it."""
        shares = [known.share for known in classes.values() if known.separable]
        if not shares:
            return 1.0 - UNSEEN_PRIOR if _throughout(classes) else UNSEEN_PRIOR
        low, high = PRIOR_LIMITS
        return min(max(float(np.mean(shares)), low), high)

    def _flood_prior(self, classes: dict[str, Classes]) -> float:
        """Prior of flooding where the reference shows land: with no tile of two classes, as rare as water is there."""
        seen = any(known.separable for known in classes.values()) or _throughout(classes)
        return self.options.flood_prior if seen else min(UNSEEN_PRIOR, self.options.flood_prior)

    def _rough(self, classes: dict[str, Classes]) -> RoughTables | None:
        """Rough water, which two polarisations are needed to see."""
        if self.options.rough_share == 0 or not {"vv", "vh"} <= classes.keys():
            return None
        options = self.options
        return rough_tables(classes["vh"], options.rough_share, options.evidence_weight, options.max_evidence)

    def _tables(self, classes: Classes) -> _Tables:
        """Tabulate a polarisation's evidence."""
        if self.options.filter_radius < STATISTICS_RADIUS:
            classes = classes.speckled(FILTERED_SPECKLE_DB, PIXEL_SPECKLE_DB)
        limit, weight = self.options.max_evidence, self.options.evidence_weight
        ratio = table_of(lambda value: weight * np.clip(classes.log_ratio(value), -limit, limit))
        water = table_of(lambda value: classes.water.log_density(np.maximum(value, classes.water.mean)))
        return _Tables(ratio, water, edge_table(classes, self.options.leak, weight, limit))


def _throughout(classes: dict[str, Classes]) -> bool:
    """Whether the scene is water throughout."""
    return any(known.all_water for known in classes.values())


def _history(
    observation: Observation, names: tuple[str, ...], grid: BlockGrid, min_history: int
) -> dict[str, da.Array]:
    """Reference passes of the polarisations, float32 (time, y, x); nothing where there are too few."""
    history = observation.history
    if history is None or history.sizes.get("time", 0) < min_history:
        return {}
    return {f"history_{name}": grid.blocked(history[name]) for name in names if name in history}


def _place(observation: Observation, grid: BlockGrid) -> dict[str, da.Array]:
    """What is known of the place itself."""
    known: dict[str, da.Array] = {}
    for name in ("hand_m", "slope_deg"):
        if observation.terrain is not None and name in observation.terrain:
            known[name] = grid.blocked(observation.terrain[name])
    if observation.water_occurrence is not None:
        known["occurrence"] = grid.blocked(observation.water_occurrence)
    return known


def _notes(classes: dict[str, Classes], inputs: dict[str, da.Array]) -> list[str]:
    """How the answer came about, for the page and the log."""
    notes = []
    for name, known in classes.items():
        alone = "water throughout: its own level" if known.all_water else "no bimodal tile: published values"
        source = f"{known.tiles} bimodal tiles" if known.separable else alone
        notes.append(
            f"{name}: water {known.water.mean:.1f} +- {known.water.spread:.1f} dB, "
            f"land {known.land.mean:.1f} +- {known.land.spread:.1f} dB ({source})"
        )
    if not any(known.separable for known in classes.values()) and not _throughout(classes):
        notes.append("No part of the scene shows two classes: little or no water is expected.")
    if not any(name.startswith("history_") for name in inputs):
        notes.append("No reference passes: without change, dark land cannot be told from water.")
    return notes


def levels_block(
    *,
    tables: dict[str, _Tables],
    rough: RoughTables | None,
    prior: float,
    flood_prior: float,
    options: AdaptiveOptions,
    **arrays: npt.NDArray[Any],
) -> Levels:
    """Probability of water in one block as `pipeline_lib.water.context.mean_field` gives it: int16 (y, x)."""
    pixels = {name: boxcar(np.ascontiguousarray(arrays[name], dtype=np.float32), 0) for name in tables}
    powers = {name: smooth(power, options.filter_radius) for name, power in pixels.items()}
    means = None if rough is None else means_of(pixels["vv"], pixels["vh"])
    scene_ratio = smooth(_scene_ratio(powers, means, tables, rough), options.context_radius)
    log_prior = _log_prior(arrays, options)
    statistics = _expected(arrays, tables, options)
    occurrence = arrays.get("occurrence")
    if not statistics and occurrence is None:
        scene_ratio = scene_ratio if log_prior is None else scene_ratio + log_prior
        return in_context(scene_ratio + np.float32(logit(prior)), list(powers.values()), tables, options)
    unknown = np.full_like(scene_ratio, np.nan)
    changed_ratio, earlier = scene_ratio, unknown
    if statistics:
        changes = _changes(powers, statistics, tables, options)
        if rough is not None and means is not None and {"vv", "vh"} <= statistics.keys():
            changes = rough_change(means, rough, statistics["vv"], statistics["vh"], FILTERED_AWAY, changes)
        changed_ratio = smooth(changes, options.context_radius)
        before = [look_up(power_of(expected), tables[name].ratio) for name, (expected, _) in statistics.items()]
        earlier = smooth(total_of(before), options.context_radius)
    was = was_water(earlier, unknown if occurrence is None else occurrence.astype(np.float32))
    place = np.zeros_like(scene_ratio) if log_prior is None else log_prior
    log_odds = log_odds_with_reference(scene_ratio, changed_ratio, was, place, flood_prior)
    return in_context(log_odds, list(powers.values()), tables, options)


def _scene_ratio(
    powers: dict[str, Plane], means: Means | None, tables: dict[str, _Tables], rough: RoughTables | None
) -> Plane:
    """Log-likelihood ratio of water against the scene's land."""
    if rough is None or means is None:
        return total_of([look_up(powers[name], table.ratio) for name, table in tables.items()])
    calm = Means(tables["vv"].ratio, tables["vh"].ratio)
    return scene_evidence(Means(powers["vv"], powers["vh"]), calm, means, rough)


def _expected(
    arrays: dict[str, npt.NDArray[Any]], tables: dict[str, _Tables], options: AdaptiveOptions
) -> dict[str, tuple[Plane, Plane]]:
    """What the reference passes lead one to expect, by polarisation, where there are any."""
    history = {name: arrays[f"history_{name}"] for name in tables if f"history_{name}" in arrays}
    return {
        name: reference_statistics(images, options.filter_radius, options.min_history)
        for name, images in history.items()
    }


def _changes(
    powers: dict[str, Plane],
    statistics: dict[str, tuple[Plane, Plane]],
    tables: dict[str, _Tables],
    options: AdaptiveOptions,
) -> Plane:
    """Log-likelihood ratio of calm water against each pixel's own land; the scene's where that is not known."""
    limits = (options.evidence_weight, options.max_evidence)
    changes = []
    for name, power in powers.items():
        ratio = look_up(power, tables[name].ratio)
        if name in statistics:
            ratio = change_ratio(power, tables[name].water, ratio, *statistics[name], *limits)
        changes.append(ratio)
    return total_of(changes)


def in_context(log_odds: Plane, powers: list[Plane], tables: dict[str, _Tables], options: AdaptiveOptions) -> Levels:
    """Let neighbours speak: `pipeline_lib.water.context.mean_field` with the first two polarisations."""
    edges = np.stack([table.edge for table in tables.values()][:2])
    second = powers[1] if len(powers) > 1 else np.empty((0, 0), dtype=np.float32)
    return mean_field(log_odds, powers[0], second, edges, options.coupling, options.rounds)


def _log_prior(arrays: dict[str, npt.NDArray[Any]], options: AdaptiveOptions) -> Plane | None:
    """Prior of the place; None where nothing is known of it."""
    given = [arrays[name].astype(np.float32) if name in arrays else None for name in ("hand_m", "slope_deg")]
    known = next((plane for plane in given if plane is not None), None)
    if known is None:
        return None
    hand, slope = (np.full_like(known, np.nan) if plane is None else plane for plane in given)
    middle, scale, steep = options.hand_middle_m, options.hand_scale_m, options.max_slope_deg
    return place_log_prior(hand, slope, middle, scale, steep)
