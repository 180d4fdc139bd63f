"""The TU Wien datacube detector: each pixel's land as a harmonic of the season, water as a line over incidence.

Land (per pixel, per relative orbit, VV in dB):

    land(t) = M0 + sum_{i=1..k} [C_i cos(2 pi i doy / 365) + S_i sin(2 pi i doy / 365)]
    spread  = sqrt(SSE / (N - 2k - 1))

Water: mean -0.394181 * angle - 4.142015 dB of sigma0, spread 2.754041 dB; gamma0 = sigma0 / cos(angle). A scene that is
water throughout (`pipeline_lib.water.classes.all_water`) has its own mean, and its own prior. The posterior of flood
with the priors of the place (1/2 each, or a logistic of height above drainage, Tupas et al. 2023) is
p_w P_w / (p_w P_w + p_l P_l), each density with its own spread.

References:
    Bauer-Marschallinger et al. (2022), Remote Sensing 14(15), 3673; Tupas et al. (2023), Water 15(23), 4034.
"""

from typing import Any, ClassVar

import dask.array as da
import numba
import numpy as np
import numpy.typing as npt
import xarray as xr

from pipeline_lib.errors import ContractError
from pipeline_lib.model import Exclusion, check_scene
from pipeline_lib.options import Options
from pipeline_lib.options.detect import HarmonicOptions
from pipeline_lib.water.blocks import map_with_halo
from pipeline_lib.water.classes import CO_POLARISED, physics_of, physics_of_scene
from pipeline_lib.water.extent import water_extent
from pipeline_lib.water.filtering import boxcar, decibel
from pipeline_lib.water.growing import GrowingRule, grow
from pipeline_lib.water.histogram import tile_histograms
from pipeline_lib.water.interface import Need, Observation, require
from pipeline_lib.water.plane import Plane
from pipeline_lib.water.thresholding import blocked_powers

WATER_SLOPE_DB_PER_DEG = -0.394181
WATER_OFFSET_DB = -4.142015
WATER_SPREAD_DB = 2.754041
DAYS_A_YEAR = 365.0


def season_terms(day_of_year: npt.NDArray[np.float64], harmonics: int) -> npt.NDArray[np.float64]:
    """Columns 1, cos, sin, cos 2, sin 2 ... of the regression: float64 (time, 2 * harmonics + 1)."""
    phase = 2.0 * np.pi * np.asarray(day_of_year, dtype=np.float64) / DAYS_A_YEAR
    columns = [np.ones_like(phase)]
    for order in range(1, harmonics + 1):
        columns += [np.cos(order * phase), np.sin(order * phase)]
    return np.stack(columns, axis=1)


LEAST_PASSES = (0, 15, 25, 32)
"""Passes that carry 0, 1, 2 and 3 harmonics: the published model asks 32 for its seven parameters."""


def harmonics_for(passes: int, wanted: int) -> int:
    """Harmonics that a history can carry, at most the wanted ones; 0 = its mean."""
    return max(order for order in range(wanted + 1) if passes >= LEAST_PASSES[order])


@numba.njit(nogil=True, cache=True)
def _regress(
    values: npt.NDArray[np.float32], terms: npt.NDArray[np.float64], now: npt.NDArray[np.float64], least: int
) -> tuple[Plane, Plane]:
    """Ordinary least squares per pixel over the passes that saw it: expectation now, and residual spread."""
    times, rows, columns = values.shape
    size = terms.shape[1]
    expected = np.full((rows, columns), np.nan, dtype=np.float32)
    spread = np.full((rows, columns), np.nan, dtype=np.float32)
    for y in range(rows):
        for x in range(columns):
            normal = np.zeros((size, size))
            right = np.zeros(size)
            square, number = 0.0, 0
            for t in range(times):
                value = values[t, y, x]
                if np.isnan(value):
                    continue
                number += 1
                square += value * value
                for i in range(size):
                    right[i] += terms[t, i] * value
                    for j in range(size):
                        normal[i, j] += terms[t, i] * terms[t, j]
            if number < max(least, size + 1):
                continue
            for i in range(size):
                normal[i, i] += 1e-9 * number
            weights = np.linalg.solve(normal, right)
            residual = max(square - np.dot(weights, right), 0.0)
            expected[y, x] = np.dot(weights, now)
            spread[y, x] = np.sqrt(residual / (number - size))
    return expected, spread


def land_expectation(
    history_db: npt.NDArray[np.float32],
    day_of_year: npt.NDArray[np.float64],
    now_day: float,
    *,
    harmonics: int,
    least: int,
) -> tuple[Plane, Plane]:
    """Expected backscatter of land on a day of the year and the spread about it.

    Args:
        history_db: float32 (time, y, x), dB, NaN = not observed; one relative orbit.
        day_of_year: of each pass, float64 (time,).
        now_day: day of the year for which to expect.
        harmonics: of the year; 0 = mean.
        least: a pixel seen less often is unknown.

    Returns:
        Expectation and spread in dB, float32 (y, x), NaN = unknown.
    """
    terms = season_terms(day_of_year, harmonics)
    now = season_terms(np.array([now_day]), harmonics)[0]
    return _regress(history_db, terms, now, least)


def water_mean_db(incidence_deg: Plane, backscatter: str, raised_db: float = 0.0) -> Plane:
    """Expected backscatter of water at each pixel, dB, float32 (y, x).

    Args:
        incidence_deg: (y, x) degrees.
        backscatter: ``sigma0``, as published, or ``gamma0``.
        raised_db: how far the scene's water lies above the published line.
    """
    mean = np.float32(WATER_SLOPE_DB_PER_DEG) * incidence_deg + np.float32(WATER_OFFSET_DB + raised_db)
    if backscatter == "gamma0":
        mean = mean - np.float32(10.0) * np.log10(np.cos(np.radians(incidence_deg)))
    answer: Plane = mean.astype(np.float32)
    return answer


def flood_posterior(value: Plane, water: Plane, expected: Plane, spread: Plane, prior: Plane | float) -> Plane:
    """Posterior probability of flood, float32 (y, x): Bayes' theorem with a normal density for water and for land.

    Args:
        value: (y, x) backscatter, dB.
        water: (y, x) expectation of water (`water_mean_db`), dB.
        expected: (y, x) expectation of land, dB.
        spread: (y, x) its spread, dB.
        prior: of flood, 0 to 1.
    """
    scaled_water = (value - water) / np.float32(WATER_SPREAD_DB)
    scaled_land = (value - expected) / spread
    log_ratio = 0.5 * (scaled_land**2 - scaled_water**2) + np.log(spread / np.float32(WATER_SPREAD_DB))
    prior_odds = np.log(prior / (1.0 - np.asarray(prior)))
    answer: Plane = (1.0 / (1.0 + np.exp(-np.clip(log_ratio + prior_odds, -60.0, 60.0)))).astype(np.float32)
    return answer


def hand_prior(hand_m: Plane, middle_m: float, scale_m: float) -> Plane:
    """Prior probability of flood, 1 / (1 + exp((HAND - middle) / scale)); one half where HAND is unknown."""
    prior = 1.0 / (1.0 + np.exp(np.clip((hand_m - middle_m) / scale_m, -12.0, 12.0)))
    answer: Plane = np.where(np.isnan(hand_m), 0.5, prior).astype(np.float32)
    return answer


def _decibel(power: npt.NDArray[Any]) -> Plane:
    """Power to decibel, unlikely values as `pipeline_lib.water.filtering.boxcar` has them."""
    return decibel(boxcar(np.ascontiguousarray(power, dtype=np.float32), 0))


def _layers(
    arrays: dict[str, npt.NDArray[Any]], facts: dict[str, Any], options: HarmonicOptions
) -> tuple[Plane, Plane, Plane, Plane, Plane]:
    """Backscatter in dB, angle, expectations of water and of land, spread of land of a block."""
    value = _decibel(arrays["power"])
    angle = arrays["angle"].astype(np.float32) if "angle" in arrays else np.full_like(value, options.incidence_deg)
    history = np.stack([_decibel(image) for image in arrays["history"]])
    days, now = facts["days"], facts["now"]
    expected, spread = land_expectation(history, days, now, harmonics=facts["harmonics"], least=options.min_passes)
    water = water_mean_db(angle, facts["backscatter"], facts["raised_db"])
    return value, angle, water, expected, np.maximum(spread, np.float32(options.min_spread_db))


def _no_sensitivity(
    value: Plane, angle: Plane, water: Plane, expected: Plane, spread: Plane, options: HarmonicOptions
) -> npt.NDArray[np.bool_]:
    """Where the model does not hold: incidence out of range, land as dark as water, neither land nor water, unknown."""
    low, high = options.incidence_range_deg
    conflicting = expected <= water + 0.5 * WATER_SPREAD_DB
    outlier = (np.abs(value - expected) > 3.0 * spread) & (value > water + 3.0 * WATER_SPREAD_DB)
    answer: npt.NDArray[np.bool_] = (angle < low) | (angle > high) | conflicting | outlier | np.isnan(expected)
    return answer


def _probability_block(facts: dict[str, Any], options: HarmonicOptions, **arrays: npt.NDArray[Any]) -> Plane:
    """Posterior of water; a pixel always as dark as water is water while it stays so."""
    value, _, water, expected, spread = _layers(arrays, facts, options)
    prior: Plane | float = facts["prior"]
    if "hand_m" in arrays and options.hand_prior:
        prior = hand_prior(arrays["hand_m"].astype(np.float32), options.hand_middle_m, options.hand_scale_m)
    posterior = flood_posterior(value, water, expected, spread, prior)
    typical_land = np.full_like(value, facts["land_db"])
    against_land = flood_posterior(value, water, typical_land, np.full_like(value, options.land_spread_db), prior)
    always = np.isnan(expected) | (expected <= water + 0.5 * WATER_SPREAD_DB)
    answer = np.where(always, against_land, posterior)
    brighter = ~always & (value > expected)
    uncertain = np.minimum(answer, 1.0 - answer) >= options.max_uncertainty
    answer = np.where(brighter | uncertain, np.minimum(answer, np.float32(0.5 - 1e-4)), answer)
    return np.where(np.isnan(value), np.float32(np.nan), answer).astype(np.float32)


def _exclusion_block(
    facts: dict[str, Any], options: HarmonicOptions, **arrays: npt.NDArray[Any]
) -> npt.NDArray[np.uint16]:
    """Bits of `Exclusion` where the model does not hold."""
    blind = _no_sensitivity(*_layers(arrays, facts, options), options)
    return np.where(blind, np.uint16(Exclusion.NO_SENSITIVITY), np.uint16(0)).astype(np.uint16)


@numba.njit(nogil=True, cache=True)
def _majority(probability: Plane, radius: int) -> Plane:
    """Median of the known values of the square around each pixel: the majority of its classes, and a probability."""
    rows, columns = probability.shape
    out = np.empty_like(probability)
    found = np.empty((2 * radius + 1) ** 2, dtype=np.float32)
    for y in range(rows):
        for x in range(columns):
            if np.isnan(probability[y, x]):
                out[y, x] = np.nan
                continue
            number = 0
            for row in range(max(0, y - radius), min(rows, y + radius + 1)):
                for column in range(max(0, x - radius), min(columns, x + radius + 1)):
                    if not np.isnan(probability[row, column]):
                        found[number] = probability[row, column]
                        number += 1
            out[y, x] = np.median(found[:number])
    return out


class HarmonicDetector:
    """See the module's docstring."""

    name: ClassVar[str] = "tuw-bayes"
    summary: ClassVar[str] = (
        "Posterior of flood against each pixel's seasonal land expectation (TU Wien), with its masks"
    )
    needs: ClassVar[frozenset[Need]] = frozenset({Need.HISTORY})
    options_type: ClassVar[type[Options]] = HarmonicOptions

    def __init__(self, options: Options | None = None) -> None:
        """Take `HarmonicOptions`."""
        self.options = options if isinstance(options, HarmonicOptions) else HarmonicOptions()

    def detect(self, observation: Observation) -> xr.Dataset:
        """WaterExtent of the observation; see `pipeline_lib.water.interface.Detector.detect`."""
        scene = check_scene(observation.scene)
        history = require(observation.history, Need.HISTORY, self.name)
        name = next((name for name in ("vv", "hh") if name in scene and name in history), None)
        if name is None:
            raise ContractError(
                f"{self.name} is a model of co-polarised backscatter; the scene or its history has none."
            )
        grid = observation.grid
        inputs = {"power": grid.blocked(scene[name]), "history": grid.blocked(history[name])}
        if "local_incidence_angle" in scene:
            inputs["angle"] = grid.blocked(scene["local_incidence_angle"])
        if observation.terrain is not None and "hand_m" in observation.terrain:
            inputs["hand_m"] = grid.blocked(observation.terrain["hand_m"])
        facts, notes = self._facts(scene, history)
        facts.update(self._levels(observation, name))
        if "angle" not in inputs:
            notes.append(f"No local incidence angle: {self.options.incidence_deg:g} degrees everywhere.")
        arguments = {"facts": facts, "options": self.options}
        raw = map_with_halo(_probability_block, inputs, halo_px=0, dtype=np.float32, arguments=arguments)
        radius = self.options.majority_radius
        probability = map_with_halo(
            _majority, {"probability": raw}, halo_px=radius, dtype=np.float32, arguments={"radius": radius}
        )
        excluded: da.Array = map_with_halo(_exclusion_block, inputs, halo_px=0, dtype=np.uint16, arguments=arguments)
        water = grow(probability, GrowingRule(seed=0.5, tolerance=0.5, min_pixels=self.options.min_pixels))
        return water_extent(scene, probability, water, excluded=excluded, notes=notes)

    def _facts(self, scene: xr.Dataset, history: xr.Dataset) -> tuple[dict[str, Any], list[str]]:
        """Days of the year, and how many harmonics the history carries."""
        passes = history.sizes["time"]
        moment = scene.attrs.get("datetime")
        dated = "time" in history.coords and moment is not None
        harmonics = harmonics_for(passes, self.options.harmonics) if dated else 0
        days = history["time"].dt.dayofyear.to_numpy().astype(np.float64) if dated else np.ones(passes)
        now = (
            float(np.datetime64(str(moment)[:10]).astype("datetime64[D]").item().timetuple().tm_yday) if dated else 1.0
        )
        notes = [f"{passes} reference passes: {harmonics} harmonics of the year."]
        if harmonics < self.options.harmonics:
            notes.append("The history is short for the full harmonic model; fewer harmonics stand, the mean if none.")
        return {"days": days, "now": now, "harmonics": harmonics}, notes

    def _levels(self, observation: Observation, name: str) -> dict[str, Any]:
        """The scene's kind of backscatter, how far its water lies above the published line, typical land, and prior."""
        scene = observation.scene
        known = physics_of_scene(tile_histograms(blocked_powers(observation), radius=1), scene)[name]
        return {
            "backscatter": scene.attrs["backscatter"],
            "raised_db": known.water.mean - physics_of(name, scene).water.mean,
            "land_db": self.options.land_db + known.land.mean - CO_POLARISED.land.mean,
            "prior": known.prior,
        }
