"""Prepare: from hrefs in a plan to analysis-ready datasets in the store, each on the event's grid."""

import xarray as xr

from pipeline_lib.model import Acquisition, MappingPlan, PlannedPass, ProductType, Stored, polarisations_of
from pipeline_lib.options.prepare import PrepareOptions
from pipeline_lib.sar.gain import GainEstimate, measure_gain, without_gain
from pipeline_lib.sar.registration import co_registered
from pipeline_lib.sar.speckle import filter_scene
from pipeline_lib.steps import keys
from pipeline_lib.steps.optical import laid_on_optical, optical_base
from pipeline_lib.steps.read import read_elevation, read_occurrence, read_scene
from pipeline_lib.store import Store
from pipeline_lib.terrain import terrain_of
from pipeline_lib.water import Observation


def prepare_terrain(plan: MappingPlan, store: Store) -> Stored | None:
    """Elevation, slope and HAND on the grid; None where the plan has no elevation model."""
    if not plan.dem:
        return None
    stored = store.place("terrain", keys.terrain_key(plan))
    if not store.has(stored):
        # Slope and HAND ask for the same elevation again and again: it is resampled once and read from the store.
        as_read = store.place("elevation", keys.elevation_key(plan))
        if not store.has(as_read):
            store.save(as_read.kind, as_read.key, read_elevation(plan).to_dataset())
        store.save(stored.kind, stored.key, _terrain(plan, store.open(as_read)["elevation_m"]))
    return stored


def _terrain(plan: MappingPlan, elevation_m: xr.DataArray) -> xr.Dataset:
    """Elevation, slope and HAND, lazily."""
    return terrain_of(elevation_m, drainage_area_km2=plan.options.prepare.drainage_area_km2)


def prepare_occurrence(plan: MappingPlan, store: Store) -> Stored | None:
    """Long-term water on the grid: occurrence, percent, and seasonality, months; None where the plan has neither."""
    if not plan.water_occurrence:
        return None
    stored = store.place("occurrence", keys.occurrence_key(plan))
    if not store.has(stored):
        store.save(stored.kind, stored.key, read_occurrence(plan))
    return stored


def prepare_scene(plan: MappingPlan, store: Store, acquisition: Acquisition) -> Stored:
    """One pass as a Scene on the grid, laid onto the optical composite where the options ask for it."""
    base = optical_base(plan, store)
    stored = store.place("scene", keys.scene_key(plan, acquisition, base))
    if not store.has(stored):
        store.save(stored.kind, stored.key, _placed(plan, store, acquisition))
    return stored


def _placed(plan: MappingPlan, store: Store, acquisition: Acquisition) -> xr.Dataset:
    """A pass, lazily; where optical has a say, read once for the measuring of the shift and for the saving."""
    base = optical_base(plan, store)
    if base is None:
        return read_scene(plan, acquisition)
    as_read = store.place("scene", keys.scene_key(plan, acquisition))
    if not store.has(as_read):
        store.save(as_read.kind, as_read.key, read_scene(plan, acquisition))
    return laid_on_optical(plan, store.open(as_read), store.open(base))


def prepare_pass(plan: MappingPlan, store: Store, planned: PlannedPass, history: Stored | None) -> Stored:
    """A pass of the event on the grid: laid onto its reference passes, and filtered if the options say so.

    The residual shift against the mean of the reference passes goes into ``attrs["residual_shift"]`` as JSON
    (`pipeline_lib.sar.registration.ShiftEstimate`); the pass is moved only where the shift is large and sure. Where the
    references are of another make, the gain between both is taken off the pass.
    """
    base = optical_base(plan, store)
    stored = store.place("scene", keys.pass_key(plan, planned.acquisition, history, base))
    if store.has(stored):
        return stored
    options = plan.options.prepare
    acquisition = planned.acquisition
    if acquisition.product is ProductType.GRD or base is not None:
        # Geocoding is dear and would be done twice, for the measuring of the shift and for the saving.
        scene = store.open(prepare_scene(plan, store, acquisition))
    else:
        scene = read_scene(plan, acquisition)
    if history is not None:
        scene = _registered(scene, store.open(history), planned, options)
        if planned.is_mixture:
            scene = _as_bright(scene, store.open(history), planned)
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


def _as_bright(scene: xr.Dataset, history: xr.Dataset, planned: PlannedPass) -> xr.Dataset:
    """Take the gain between the pass and references of another make off the pass, where it can be measured.

    What was measured goes into ``attrs["product_gain"]`` as JSON (`pipeline_lib.sar.gain.GainEstimate`).
    """
    estimate = measure_gain(scene, history, references=planned.references[0].make)
    if not estimate.reason:
        scene = without_gain(scene, estimate)
    return scene.assign_attrs(product_gain=estimate.model_dump_json())


def compared(store: Store, scene: Stored, history: Stored | None) -> Stored | None:
    """What a prepared pass is compared with: its history, unless the gain between both could not be measured."""
    measured = store.open(scene).attrs.get("product_gain")
    if measured is None or not GainEstimate.model_validate_json(measured).reason:
        return history
    return None


def prepare_history(plan: MappingPlan, store: Store, references: tuple[Acquisition, ...]) -> Stored | None:
    """The reference passes of one orbit, dims (time, y, x), oldest first; None where there are none.

    Each reference is prepared on its own first, so that the next event on the same grid reads only what is new.
    """
    if not references:
        return None
    stored = store.place("history", keys.history_key(plan, references, optical_base(plan, store)))
    if not store.has(stored):
        scenes = [store.open(prepare_scene(plan, store, reference)) for reference in references]
        store.save(stored.kind, stored.key, stack_history(scenes, references))
    return stored


def stack_history(scenes: list[xr.Dataset], references: tuple[Acquisition, ...]) -> xr.Dataset:
    """Stack Scenes along time; only polarisations that all of them have.

    Dims (time, y, x), one time of each reference, in their order.
    """
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
    scenes = [read_scene(plan, reference) for reference in planned.references]
    return Observation(
        scene=read_scene(plan, planned.acquisition),
        history=stack_history(scenes, planned.references) if scenes else None,
        terrain=_terrain(plan, read_elevation(plan)) if plan.dem else None,
        water_occurrence=read_occurrence(plan)["water_occurrence"] if plan.water_occurrence else None,
    )
