"""Change detection against reference passes of the same orbit: log-ratio and z-score.

Both say "water" of two things: a pixel that became dark (flood), and a pixel that was dark as water before and still is
(permanent water). A pixel that became darker without becoming as dark as water is neither.

References:
    Rignot & van Zyl (1993), IEEE TGRS 31(4) - log-ratio; DeVries et al. (2020), Remote Sensing of Environment 240 -
    z-score against a dry history.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import dask.array as da
import numpy as np
import numpy.typing as npt
import xarray as xr

from pipeline_lib.model import check_scene
from pipeline_lib.options import Options
from pipeline_lib.options.detect import LogRatioOptions, ThresholdOptions, ZScoreOptions
from pipeline_lib.water.blocks import map_with_halo
from pipeline_lib.water.classes import physics_of
from pipeline_lib.water.extent import water_extent
from pipeline_lib.water.filtering import boxcar, decibel
from pipeline_lib.water.growing import GrowingRule, grow
from pipeline_lib.water.interface import Need, Observation, require
from pipeline_lib.water.plane import Plane
from pipeline_lib.water.reference import reference_statistics
from pipeline_lib.water.thresholding import chosen_powers, published_cut

SPREAD_DB = 1.5
"""How far filtered backscatter strays about its expectation: turns a distance from a threshold into odds."""


@dataclass(frozen=True, kw_only=True)
class _Thresholds:
    """What one polarisation must do to be water."""

    change: float
    """Fall in dB, or in standard deviations."""
    water_db: float
    """And be darker than this."""
    relative: bool
    """Whether `change` counts standard deviations."""


def _change_block(
    thresholds: dict[str, _Thresholds], radius: int, min_history: int, **arrays: npt.NDArray[Any]
) -> Plane:
    """Probability of water in a block: both conditions as logistic steps, any polarisation is enough."""
    best: Plane | None = None
    for name, wanted in thresholds.items():
        value = decibel(boxcar(np.ascontiguousarray(arrays[name], dtype=np.float32), radius))
        expected, spread = reference_statistics(arrays[f"history_{name}"], radius, min_history)
        fall = expected - value
        unit = np.float32(1.0) if wanted.relative else np.float32(SPREAD_DB)
        changed = ((fall / spread if wanted.relative else fall) - np.float32(wanted.change)) / unit
        dark = (np.float32(wanted.water_db) - value) / np.float32(SPREAD_DB)
        always = (np.float32(wanted.water_db) - expected) / np.float32(SPREAD_DB)
        log_odds = np.fmin(dark, np.fmax(changed, always))
        log_odds = np.where(np.isnan(expected) | np.isnan(value), dark, log_odds)
        best = log_odds if best is None else np.fmax(best, log_odds)
    answer: Plane = (1.0 / (1.0 + np.exp(-2.0 * np.asarray(best, dtype=np.float32)))).astype(np.float32)
    return answer


class _ChangeDetector(ABC):
    """What the change detectors share."""

    needs: ClassVar[frozenset[Need]] = frozenset({Need.HISTORY})
    options_type: ClassVar[type[Options]] = ThresholdOptions

    def __init__(self, options: Options | None = None) -> None:
        """Take the detector's options."""
        wanted = self.options_type
        self.options: Any = options if isinstance(options, wanted) else wanted()

    @abstractmethod
    def thresholds(self, name: str, scene: xr.Dataset) -> _Thresholds:
        """The conditions on one polarisation."""

    def detect(self, observation: Observation) -> xr.Dataset:
        """WaterExtent of the observation; see `pipeline_lib.water.interface.Detector.detect`."""
        scene = check_scene(observation.scene)
        history = require(observation.history, Need.HISTORY, type(self).__name__)
        grid = observation.grid
        powers = {n: p for n, p in chosen_powers(scene, self.options.polarisations, grid).items() if n in history}
        require(powers or None, Need.HISTORY, "in the scene's polarisations")
        inputs: dict[str, da.Array] = dict(powers)
        inputs.update({f"history_{name}": grid.blocked(history[name]) for name in powers})
        probability = map_with_halo(
            _change_block,
            inputs,
            halo_px=self.options.filter_radius,
            dtype=np.float32,
            arguments={
                "thresholds": {name: self.thresholds(name, scene) for name in powers},
                "radius": self.options.filter_radius,
                "min_history": 1,
            },
        )
        rule = GrowingRule(seed=0.5, tolerance=0.5, min_pixels=self.options.min_pixels)
        notes = [f"Compared with {history.sizes['time']} reference passes."]
        return water_extent(scene, probability, grow(probability, rule), notes=notes)


class LogRatioDetector(_ChangeDetector):
    """Fall of backscatter against the mean of the reference, in dB."""

    name: ClassVar[str] = "log-ratio"
    summary: ClassVar[str] = "Backscatter fell by 3 dB or more against the reference, to where water lies"
    options_type: ClassVar[type[Options]] = LogRatioOptions

    def thresholds(self, name: str, scene: xr.Dataset) -> _Thresholds:
        """The option's fall."""
        water = published_cut(physics_of(name, scene), "bound").threshold_db
        return _Thresholds(change=self.options.fall_db, water_db=water, relative=False)


class ZScoreDetector(_ChangeDetector):
    """Fall of backscatter in units of the pixel's own variation."""

    name: ClassVar[str] = "z-score"
    summary: ClassVar[str] = "Backscatter fell by 2.5 of the pixel's own standard deviations, to where water lies"
    options_type: ClassVar[type[Options]] = ZScoreOptions

    def thresholds(self, name: str, scene: xr.Dataset) -> _Thresholds:
        """The option's fall."""
        water = published_cut(physics_of(name, scene), "bound").threshold_db
        return _Thresholds(change=self.options.deviations, water_db=water, relative=True)
