"""Prepare analysis-ready data on the event's grid."""

from prefect import task

from pipeline_lib.model import Acquisition, MappingPlan, PlannedPass, Stored
from pipeline_lib.steps import optical, prepare
from pipeline_lib.steps.map_event import Place
from pipeline_lib.steps.workspace import Workspace
from tasks.metering import working
from tasks.retry import ONCE, PATIENT


@task(name="prepare terrain", **PATIENT)
def prepare_terrain(plan: MappingPlan, place: Place) -> Stored | None:
    """Elevation, slope and HAND."""
    with working(place, "terrain", plan.event.event_id, plan):
        return prepare.prepare_terrain(plan, Workspace(place.workspace).store)


@task(name="prepare water occurrence", **PATIENT)
def prepare_occurrence(plan: MappingPlan, place: Place) -> Stored | None:
    """Long-term water occurrence."""
    with working(place, "water occurrence", plan.event.event_id, plan):
        return prepare.prepare_occurrence(plan, Workspace(place.workspace).store)


@task(name="prepare optical composite", **PATIENT)
def prepare_composite(plan: MappingPlan, place: Place) -> Stored | None:
    """The best clear Sentinel-2 pixels before the event."""
    with working(place, "optical composite", plan.event.event_id, plan):
        return optical.prepare_composite(plan, Workspace(place.workspace).store)


@task(name="compare with optical", **ONCE)
def compare_with_optical(plan: MappingPlan, scenes: list[Stored], composite: Stored, place: Place) -> list[Stored]:
    """Where each pass lies against Sentinel-2."""
    store = Workspace(place.workspace).store
    with working(place, "optical shift", plan.event.event_id, plan, len(scenes)):
        return [optical.measure_optical_shift(plan, store, scene, composite) for scene in scenes]


@task(name="prepare scene", task_run_name="prepare reference {acquisition.acquisition_id}", **PATIENT)
def prepare_scene(plan: MappingPlan, acquisition: Acquisition, place: Place) -> Stored:
    """A reference pass on the grid."""
    with working(place, "reference", acquisition.acquisition_id, plan):
        return prepare.prepare_scene(plan, Workspace(place.workspace).store, acquisition)


@task(name="prepare history", task_run_name="prepare history of orbit {planned.acquisition.relative_orbit}", **PATIENT)
def prepare_history(plan: MappingPlan, planned: PlannedPass, place: Place) -> Stored | None:
    """The reference passes of one orbit, stacked."""
    with working(place, "history", f"orbit {planned.acquisition.relative_orbit}", plan, len(planned.references)):
        return prepare.prepare_history(plan, Workspace(place.workspace).store, planned.references)


@task(name="prepare pass", task_run_name="prepare {planned.acquisition.acquisition_id}", **PATIENT)
def prepare_pass(plan: MappingPlan, planned: PlannedPass, history: Stored | None, place: Place) -> Stored:
    """A pass of the event on the grid, laid onto its reference passes."""
    with working(place, "scene", planned.acquisition.acquisition_id, plan):
        return prepare.prepare_pass(plan, Workspace(place.workspace).store, planned, history)
