"""Detect water."""

import threading
from contextlib import nullcontext

from prefect import task

from pipeline_lib.model import MappingPlan, PlannedPass, Stored
from pipeline_lib.steps import map_event
from pipeline_lib.steps.mapped import Ancillaries
from pipeline_lib.steps.workspace import Workspace
from tasks.cluster import gpu_resources, gpu_slot
from tasks.metering import working
from tasks.retry import ONCE

_one_at_a_time = threading.Lock()
"""Detection keeps all processors busy by itself and holds more memory than any other stage of a pass."""


@task(name="detect water", task_run_name="detect water in {planned.acquisition.acquisition_id}", **ONCE)
def detect_water(
    plan: MappingPlan,
    planned: PlannedPass,
    scene: Stored,
    history: Stored | None,
    ancillaries: Ancillaries,
    place: map_event.Place,
) -> Stored:
    """Water and its likelihood in one pass."""
    # On a cluster the scheduler hands out GPUs; here runs wait for one another.
    alone = place.dask_address is None and map_event.uses_gpu(plan)
    turn = nullcontext() if place.dask_address else _one_at_a_time
    with turn, gpu_slot(needed=alone), working(place, "water", planned.acquisition.acquisition_id, plan) as client:
        resources = gpu_resources(client) if map_event.runs_network(plan) else {}
        store = Workspace(place.workspace).store
        return map_event.detect_pass(plan, scene, history, ancillaries, store, resources)
