"""Chips from STAC events: radar passes and their references, labelled by what Sentinel-2 saw close by in time.

Nobody draws water maps during a flood, but Sentinel-2 passes over it too. Where the sky is clear within a few days of a
radar pass, its water (two of three indices) labels the radar pixel by pixel and its bands are a teacher's eyes; where
it is not, the chip is unlabelled, which semi-supervised recipes and distillation can still use.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pipeline_lib.errors import InputError
from pipeline_lib.model import Acquisition, PlannedPass, Record, Stored
from pipeline_lib.nn.chips import ChipSet, LabelledChip, write_chips
from pipeline_lib.nn.inputs import InputContract
from pipeline_lib.nn.labels import IGNORE
from pipeline_lib.options.train import Recipe
from pipeline_lib.steps.network_units import CHIP_PX, cut, network_units, reflectance_units
from pipeline_lib.steps.search import Found
from pipeline_lib.steps.training_chips import all_bands, contract_of
from pipeline_lib.store import Store


class TaughtPass(Record):
    """A prepared radar pass and the optical overpass that tells where its water is."""

    event_id: str
    planned: PlannedPass
    scene: Stored
    history: Stored | None = None
    overpass: Stored | None = None
    lag_days: float = 0.0


def nearest_overpass(found: Found, planned: PlannedPass, max_lag_days: float) -> tuple[Acquisition, float] | None:
    """The Sentinel-2 overpass closest in time to a pass, and the lag in days; None where all are further away."""
    lags = [
        (abs((one.start - planned.acquisition.start).total_seconds()) / 86400, one.acquisition_id, one)
        for one in found.optical
    ]
    near = [entry for entry in lags if entry[0] <= max_lag_days]
    if not near:
        return None
    lag, _, overpass = min(near, key=lambda entry: entry[:2])
    return overpass, lag


def write_event_chips(recipe: Recipe, taught: Iterable[tuple[TaughtPass, Store]], out: Path) -> ChipSet:
    """The chip store ``out`` of a recipe's bands, streamed pass by pass; an event is a group that no split parts.

    Raises:
        InputError: the recipe learns flood, which an optical image does not tell from other water; or there is no chip.
        StoreError: the store cannot be written.
    """
    if recipe.target != "water":
        raise InputError(f"{recipe.name} learns {recipe.target}; Sentinel-2 labels all water: use target: water.")
    bands, contract = all_bands(recipe), contract_of(recipe)
    chips = (chip for one, store in taught for chip in _pass_chips(one, store, contract, bands))
    return write_chips(out, chips, bands, {"dataset": "events", "cloud_masked": True})


def _pass_chips(
    taught: TaughtPass, store: Store, contract: InputContract, bands: tuple[str, ...]
) -> Iterator[LabelledChip]:
    scene = store.open(taught.scene)
    history = None if taught.history is None else store.open(taught.history)
    optical = None if taught.overpass is None else store.open(taught.overpass)
    name = taught.planned.acquisition.acquisition_id
    for window in _windows((scene.sizes["y"], scene.sizes["x"])):
        radar = network_units(contract, scene.isel(window).load(), _at(history, window))
        image, label = _window_chip(radar, _at(optical, window), contract, bands)
        chip_id = f"{taught.event_id}/{name}/{window['y'].start}-{window['x'].start}"
        event = taught.event_id
        yield from cut(image, label, chip_id=chip_id, group=event, event=event, lag_days=taught.lag_days)


def _windows(shape: tuple[int, int]) -> Iterator[dict[str, slice]]:
    for y in range(0, shape[0], CHIP_PX):
        for x in range(0, shape[1], CHIP_PX):
            yield {"y": slice(y, y + CHIP_PX), "x": slice(x, x + CHIP_PX)}


def _at(layers: xr.Dataset | None, window: dict[str, slice]) -> xr.Dataset | None:
    return None if layers is None else layers.isel(window).load()


def _window_chip(
    radar: NDArray[np.float32], optical: xr.Dataset | None, contract: InputContract, bands: tuple[str, ...]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Image ``(band, y, x)`` and label ``(y, x)`` of one window; not observed by radar is not labelled."""
    shape = radar.shape[1:]
    water = np.full(shape, IGNORE, np.uint8) if optical is None else optical["water"].to_numpy()
    rows = []
    for name in bands:
        if name in contract.names:
            rows.append(radar[contract.names.index(name)])
        elif optical is not None and name in optical:
            rows.append(reflectance_units(optical[name].to_numpy(), water == IGNORE))
        else:
            rows.append(np.full(shape, np.nan, np.float32))
    seen = np.isfinite(radar).any(axis=0)
    return np.stack(rows), np.where(seen, water, np.uint8(IGNORE)).astype(np.uint8)
