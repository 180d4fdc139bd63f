"""Derive flood from water, and the event from its passes."""

from prefect import task

from pipeline_lib.model import MappingPlan, PlannedPass, Stored
from pipeline_lib.steps import derive, map_event
from pipeline_lib.steps.mapped import Ancillaries, MappedPass
from pipeline_lib.steps.workspace import Workspace
from tasks.metering import working
from tasks.retry import ONCE


@task(name="derive flood", task_run_name="derive flood of {planned.acquisition.acquisition_id}", **ONCE)
def derive_flood(
    plan: MappingPlan,
    planned: PlannedPass,
    scene: Stored,
    history: Stored | None,
    water: Stored,
    ancillaries: Ancillaries,
    place: map_event.Place,
) -> Stored:
    """Flood = water - reference water, with what the sensor cannot tell excluded."""
    store = Workspace(place.workspace).store
    with working(place, "flood", planned.acquisition.acquisition_id, plan):
        return map_event.derive_pass(plan, planned, scene, history, water, ancillaries, store)


@task(name="mosaic event", task_run_name="mosaic {plan.event.event_id}", **ONCE)
def mosaic_event(plan: MappingPlan, passes: list[MappedPass], place: map_event.Place) -> Stored:
    """The event over all its passes."""
    with working(place, "mosaic", plan.event.event_id, plan, len(passes)):
        return derive.mosaic_event(Workspace(place.workspace).store, plan, [one.flood for one in passes])
