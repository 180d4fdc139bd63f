"""Prepare: from hrefs in a plan to analysis-ready datasets in the store, each on the event's grid."""

from functools import partial
from importlib.metadata import version
from typing import Any

import xarray as xr

from pipeline_lib.catalog.profiles import profile_of
from pipeline_lib.catalog.signing import gdal_environment, signed
from pipeline_lib.grid import padded
from pipeline_lib.load.dem import load_dem
from pipeline_lib.load.reference_water import load_water_occurrence, load_water_seasonality
from pipeline_lib.load.scene import load_scene
from pipeline_lib.load.sea import Cell, sea_cells, with_sea
from pipeline_lib.model import (
    Acquisition,
    MappingPlan,
    PlannedPass,
    ProductType,
    Record,
    Stored,
    digest_of,
    polarisations_of,
)
from pipeline_lib.options.calibrate import CalibrateOptions
from pipeline_lib.options.prepare import PrepareOptions
from pipeline_lib.sar.registration import co_registered
from pipeline_lib.sar.speckle import filter_scene
from pipeline_lib.store import Store
from pipeline_lib.terrain import terrain_of
from pipeline_lib.water import Observation

DEM_MARGIN_PX = 64
DEM_CHUNK = 512
"""Elevation for geocoding is cut finer than scenes: a tile of a scene and its margin, which lie across the cuts, would
make whole neighbours anew for their rims (1.2 against 4.4 cpu-seconds a tile of 2048)."""


def key_of(plan: MappingPlan, step: str, *inputs: Record) -> str:
    """Key of a stored result: the step, its inputs and options, the grid and the software version."""
    key: dict[str, Any] = {
        "step": step,
        "inputs": [record.identity for record in inputs],
        "options": plan.options.get("prepare", {}),
        "grid": plan.grid.identity,
        "software": version("overbank"),
    }
    if any(isinstance(record, Acquisition) and record.product is ProductType.GRD for record in inputs):
        key["calibrate"] = plan.options.get("calibrate", {})
    return digest_of(key)


def prepare_terrain(plan: MappingPlan, store: Store) -> Stored | None:
    """Elevation, slope and HAND on the grid; None where the plan has no elevation model."""
    if not plan.dem:
        return None
    stored = store.place("terrain", key_of(plan, "terrain", *plan.dem))
    if not store.has(stored):
        store.save(stored.kind, stored.key, _terrain(plan))
    return stored


def prepare_occurrence(plan: MappingPlan, store: Store) -> Stored | None:
    """Long-term water on the grid: occurrence, percent, and seasonality, months; None where the plan has neither."""
    if not plan.water_occurrence:
        return None
    stored = store.place("occurrence", key_of(plan, "occurrence", *plan.water_occurrence))
    if not store.has(stored):
        store.save(stored.kind, stored.key, _occurrence(plan))
    return stored


def prepare_scene(plan: MappingPlan, store: Store, acquisition: Acquisition) -> Stored:
    """One pass as a Scene on the grid."""
    stored = store.place("scene", key_of(plan, "scene", acquisition))
    if not store.has(stored):
        store.save(stored.kind, stored.key, _scene(plan, acquisition))
    return stored


def prepare_pass(plan: MappingPlan, store: Store, planned: PlannedPass, history: Stored | None) -> Stored:
    """A pass of the event on the grid: laid onto its reference passes, and filtered if the options say so.

    The residual shift against the mean of the reference passes goes into ``attrs["residual_shift"]`` as JSON
    (`pipeline_lib.sar.registration.ShiftEstimate`); the pass is moved only where the shift is large and sure.
    """
    key = key_of(plan, "pass", planned.acquisition, *([] if history is None else [_named(history)]))
    stored = store.place("scene", key)
    if store.has(stored):
        return stored
    options = _options(plan)
    acquisition = planned.acquisition
    if acquisition.product is ProductType.GRD:
        # Geocoding is dear and would be done twice, for the measuring of the shift and for the saving.
        scene = store.open(prepare_scene(plan, store, acquisition))
    else:
        scene = _scene(plan, acquisition)
    if history is not None:
        scene = _registered(scene, store.open(history), planned, options)
    scene = filter_scene(scene, options.speckle_filter, window=options.speckle_window, looks=options.looks)
    return store.save(stored.kind, stored.key, scene)


def _registered(scene: xr.Dataset, history: xr.Dataset, planned: PlannedPass, options: PrepareOptions) -> xr.Dataset:
    """Measure the pass against the mean of its references; move it where that is called for."""
    shared = [name for name in polarisations_of(scene) if name in history]
    if not shared:
        return scene
    mean = history[shared].mean("time", skipna=True, keep_attrs=True).astype("float32")
    name = f"mean of {len(planned.references)} passes of orbit {planned.acquisition.relative_orbit}"
    laid, estimate = co_registered(
        scene, mean, name=name, max_shift_px=int(options.max_shift_px), min_shift_px=options.min_correction_px
    )
    return laid.assign_attrs(residual_shift=estimate.model_dump_json())


def _named(stored: Stored) -> Stored:
    """A stored dataset without the folder it happens to be in."""
    return stored.model_copy(update={"href": ""})


def prepare_history(plan: MappingPlan, store: Store, references: tuple[Acquisition, ...]) -> Stored | None:
    """The reference passes of one orbit, dims (time, y, x), oldest first; None where there are none.

    Each reference is prepared on its own first, so that the next event on the same grid reads only what is new.
    """
    if not references:
        return None
    stored = store.place("history", key_of(plan, "history", *references))
    if not store.has(stored):
        scenes = [store.open(prepare_scene(plan, store, reference)) for reference in references]
        store.save(stored.kind, stored.key, stack_history(scenes, references))
    return stored


def stack_history(scenes: list[xr.Dataset], references: tuple[Acquisition, ...]) -> xr.Dataset:
    """Stack Scenes along time; only polarisations that all of them have."""
    shared = [name for name in polarisations_of(scenes[0]) if all(name in scene for scene in scenes)]
    times = xr.DataArray(
        [reference.start.replace(tzinfo=None) for reference in references], dims="time", name="time"
    ).astype("datetime64[s]")
    stacked = xr.concat(
        [scene[shared] for scene in scenes],
        dim=times,
        combine_attrs="drop_conflicts",
        coords="minimal",
        compat="override",
    )
    return stacked.assign_attrs(acquisition_ids=[reference.acquisition_id for reference in references])


def observe(plan: MappingPlan, planned: PlannedPass) -> Observation:
    """Everything that a plan offers to a detector for one pass, lazily and without a store: for work by hand.

    A run keeps each part in its store and lays the pass onto its references (`prepare_pass`); here nothing is read
    until it is computed, and nothing is moved or filtered.
    """
    scenes = [_scene(plan, reference) for reference in planned.references]
    return Observation(
        scene=_scene(plan, planned.acquisition),
        history=stack_history(scenes, planned.references) if scenes else None,
        terrain=_terrain(plan) if plan.dem else None,
        water_occurrence=_occurrence(plan)["water_occurrence"] if plan.water_occurrence else None,
    )


def _terrain(plan: MappingPlan) -> xr.Dataset:
    """Elevation, slope and HAND on the grid."""
    options = _options(plan)
    elevation = load_dem(plan.dem, plan.grid, **_access(plan), chunk=options.chunk)
    return terrain_of(elevation, drainage_area_km2=options.drainage_area_km2)


def _occurrence(plan: MappingPlan) -> xr.Dataset:
    """Long-term water on the grid."""
    access, chunk = _access(plan), _options(plan).chunk
    layers = {
        "water_occurrence": load_water_occurrence(plan.water_occurrence, plan.grid, **access, chunk=chunk),
        "water_seasonality": load_water_seasonality(plan.water_occurrence, plan.grid, **access, chunk=chunk),
    }
    return xr.Dataset(layers)


def _scene(plan: MappingPlan, acquisition: Acquisition) -> xr.Dataset:
    """Open one acquisition lazily on the plan's grid."""
    elevation = None
    if acquisition.product is ProductType.GRD and plan.dem:
        # Facets of the ground beside unknown ground are unknown too: with a margin the rim of the grid is not lost.
        grid = padded(plan.grid, DEM_MARGIN_PX)
        chunk = min(DEM_CHUNK, _options(plan).chunk)
        elevation = with_sea(load_dem(plan.dem, grid, **_access(plan), chunk=chunk), sea_of(plan))
    scene = load_scene(
        acquisition,
        plan.grid,
        elevation_m=elevation,
        **_access(plan),
        options=_options(plan),
        calibrate=CalibrateOptions.model_validate(plan.options.get("calibrate", {})),
    )
    at_sea = "" if elevation is None else elevation.attrs.get("sea_cells", "")
    return scene.assign_attrs(sea_without_elevation=at_sea) if at_sea else scene


def sea_of(plan: MappingPlan) -> tuple[Cell, ...]:
    """Cells of one degree that are open sea, because a catalogue of the whole elevation model has no tile there."""
    return sea_cells(plan.event.aoi, plan.dem) if profile_of(plan.catalog).dem_is_whole else ()


def _access(plan: MappingPlan) -> dict[str, Any]:
    """How the plan's catalogue lets its assets be read; picklable, so that a cluster's workers can use it."""
    return {"sign": partial(signed, catalog=plan.catalog), "gdal": gdal_environment(plan.catalog)}


def _options(plan: MappingPlan) -> PrepareOptions:
    """The plan's prepare options as a model."""
    return PrepareOptions.model_validate(plan.options.get("prepare", {}))
