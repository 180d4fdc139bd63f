"""Detect water."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from pipeline_lib.model import MappingPlan, PlannedPass, Stored
from pipeline_lib.steps import map_event
from pipeline_lib.steps.workspace import Workspace
from tasks.cluster import computing, gpu_slot


@task(name="detect water", task_run_name="detect water in {planned.acquisition.acquisition_id}", cache_policy=NO_CACHE)
def detect_water(
    plan: MappingPlan,
    planned: PlannedPass,  # noqa: ARG001 - names the task run
    scene: Stored,
    history: Stored | None,
    ancillaries: map_event.Ancillaries,
    place: map_event.Place,
) -> Stored:
    """Water and its likelihood in one pass."""
    with gpu_slot(needed=map_event.uses_gpu(plan)), computing(place.dask_address):
        return map_event.detect_pass(plan, scene, history, ancillaries, Workspace(place.workspace).store)
