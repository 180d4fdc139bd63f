"""Answer: what a detector or a model says of one labelled chip."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pipeline_lib.datasets import Chip, Meaning
from pipeline_lib.errors import InputError
from pipeline_lib.evaluate import Subject
from pipeline_lib.model import DRY, WATER
from pipeline_lib.nn.model_folder import WEIGHTS
from pipeline_lib.options.evaluate import EvaluateOptions
from pipeline_lib.terrain import terrain_of
from pipeline_lib.water import Detector, Observation, detector

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


def subject_of(options: EvaluateOptions, chips: Sequence[Chip]) -> tuple[Subject, Answerer, tuple[str, ...]]:
    """Who answers, how, and what a reader of the scores should know about it."""
    flood = _asks_for_flood(options, chips)
    notes = tuple(note for chip in chips[:1] for note in _notes(chip, is_flood=flood))
    if options.model is not None:
        return _model(options.model, options, chips, notes=notes, is_flood=flood)
    found = detector(options.detector or "default", dict(options.parameters))
    subject = Subject(kind="detector", name=found.name, parameters=dict(options.parameters))
    return subject, lambda chip: _detected(found, chip, is_flood=flood), notes


def _model(
    place: Path, options: EvaluateOptions, chips: Sequence[Chip], *, notes: tuple[str, ...], is_flood: bool
) -> tuple[Subject, Answerer, tuple[str, ...]]:
    """The same of a trained model: it answers for itself, and no other in its place where a chip lacks a history."""
    from pipeline_lib.steps.model_answer import model_to_score, teacher_answer  # noqa: PLC0415 - torch takes seconds

    card = model_to_score(place, chips).card
    subject = Subject(kind="model", name=place.name, weights_digest=card.digests[WEIGHTS])
    if card.teacher_bands:
        answer, blind = teacher_answer(place, chips)
        return subject, answer, (*notes, *blind)
    found = detector("learned", {"without_history": None, **options.parameters, "model": str(place)})
    return subject, lambda chip: _detected(found, chip, is_flood=is_flood), notes


def _asks_for_flood(options: EvaluateOptions, chips: Sequence[Chip]) -> bool:
    if options.target == "flood" and any(chip.sar_before is None for chip in chips):
        raise InputError("--target flood needs an image before the flood for every chip; this set does not have them.")
    flood_only = all(chip.meaning is Meaning.FLOOD and chip.sar_before is not None for chip in chips)
    return options.target == "flood" or (options.target == "auto" and options.model is None and flood_only)


def _notes(chip: Chip, *, is_flood: bool) -> list[str]:
    notes = [f"{chip.dataset} labels {chip.meaning.value}."]
    if is_flood:
        notes.append("Flood = the detector's water in the event image that is not its water in the image before.")
    elif chip.meaning is Meaning.FLOOD:
        notes.append("The label counts permanent water as dry: a right answer there is scored as a false alarm.")
    if chip.sar.stretch:
        notes.append("8 bit set: backscatter by a nominal stretch; thresholds in dB mean little.")
    return notes


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


def _detected(found: Detector, chip: Chip, *, is_flood: bool) -> Answer:
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
