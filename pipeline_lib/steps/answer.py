"""Answer: what is said of one labelled chip, and how a detector comes to it."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pipeline_lib.datasets import Chip
from pipeline_lib.model import DRY, WATER
from pipeline_lib.terrain import terrain_of
from pipeline_lib.water import Detector, Observation

CHUNK = 2048


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a subject says of one chip."""

    water: NDArray[np.uint8]
    """0 dry, 1 water (or flood), 255 unmapped; dims (y, x)."""
    likelihood: NDArray[np.float32] | None
    """P(water), NaN = unmapped; None where the subject gives none."""
    excluded_pixels: int
    seconds: float


Answerer = Callable[[Chip], Answer]


def observation_of(chip: Chip) -> Observation:
    """Everything a chip offers to a detector, chunked."""
    scene = _located(chip.sar.scene(), chip)
    layers = chip.history or ((chip.sar_before,) if chip.sar_before is not None else ())
    history = xr.concat([_located(layer.scene(), chip) for layer in layers], dim="time") if layers else None
    terrain = None
    if chip.elevation is not None:
        terrain = terrain_of(_plane(chip.elevation.read(), scene, "m"))
    occurrence = None if chip.water_occurrence is None else _plane(chip.water_occurrence.read(), scene, "percent")
    return Observation(scene=scene, history=history, terrain=terrain, water_occurrence=occurrence)


def _located(scene: xr.Dataset, chip: Chip) -> xr.Dataset:
    """Pixel centres in metres from the upper left corner, where the pixel size is known; else no coordinates."""
    if chip.pixel_m is not None:
        rows, columns = ((np.arange(scene.sizes[axis]) + 0.5) * chip.pixel_m for axis in ("y", "x"))
        scene = scene.assign_coords(y=-rows, x=columns)
    return scene.chunk({"y": CHUNK, "x": CHUNK})


def _plane(values: NDArray[np.generic], scene: xr.Dataset, units: str) -> xr.DataArray:
    plane = xr.DataArray(values.astype(np.float32), scene.coords, dims=("y", "x"), attrs={"units": units})
    return plane.chunk({"y": CHUNK, "x": CHUNK})


def detected(found: Detector, chip: Chip, *, is_flood: bool) -> Answer:
    """A detector's answer: its water, or its water now that was not water before where ``is_flood``."""
    observation = observation_of(chip)
    before = None
    if is_flood and chip.sar_before is not None:
        before = Observation(scene=_located(chip.sar_before.scene(), chip), terrain=observation.terrain)
    start = time.perf_counter()
    now = found.detect(observation).compute(scheduler="threads", num_workers=2)
    water, likelihood = now["water"].to_numpy(), now["likelihood"].to_numpy()
    if before is not None:
        past = found.detect(before).compute(scheduler="threads", num_workers=2)
        was = past["water"].to_numpy() == WATER
        water = np.where(was & (water == WATER), np.uint8(DRY), water)
        likelihood = likelihood * (1 - np.nan_to_num(past["likelihood"].to_numpy(), nan=0.0))
    return Answer(
        water=water,
        likelihood=likelihood.astype(np.float32),
        excluded_pixels=int(np.count_nonzero(now["excluded"].to_numpy())),
        seconds=time.perf_counter() - start,
    )
