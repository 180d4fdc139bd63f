"""Make chips to learn from."""

from pathlib import Path

from prefect import task

from pipeline_lib.model import Acquisition, MappingPlan, Stored
from pipeline_lib.options.train import Recipe
from pipeline_lib.steps import event_chips, optical
from pipeline_lib.steps.map_event import Place
from pipeline_lib.steps.workspace import Workspace
from tasks.retry import ONCE, PATIENT


@task(name="prepare overpass", task_run_name="prepare {overpass.acquisition_id}", **PATIENT)
def prepare_overpass(plan: MappingPlan, overpass: Acquisition, place: Place) -> Stored:
    """A Sentinel-2 overpass on the event's grid, with its water."""
    return optical.prepare_overpass(plan, Workspace(place.workspace).store, overpass)


@task(name="write chips", task_run_name="write chips for {recipe.name}", **ONCE)
def write_chips(recipe: Recipe, taught: list[tuple[event_chips.TaughtPass, Place]], out: str) -> int:
    """The chip store; number of chips."""
    stores = ((one, Workspace(place.workspace).store) for one, place in taught)
    return len(event_chips.write_event_chips(recipe, stores, Path(out)))
