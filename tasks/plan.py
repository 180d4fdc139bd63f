"""Plan the run and show the plan."""

from prefect import task
from prefect.artifacts import create_table_artifact

from pipeline_lib.model import Event, MappingPlan
from pipeline_lib.options.map_event import MapOptions
from pipeline_lib.steps import decide, map_event, summary
from pipeline_lib.steps.plan import write_plan
from pipeline_lib.steps.search import Found
from pipeline_lib.steps.workspace import Workspace
from tasks.display import show
from tasks.retry import ONCE


@task(name="plan", task_run_name="plan {event.event_id}", **ONCE)
def plan_event(event: Event, catalog: str, found: Found, options: MapOptions, place: map_event.Place) -> MappingPlan:
    """Take every decision, write the plan beside the run's data, and list its acquisitions in the UI."""
    plan = decide.plan_event(event, catalog, found, options)
    workspace = Workspace(place.workspace)
    write_plan(plan, workspace.plan_path)
    workspace.store.ready()  # before a pixel is read
    rows = summary.acquisition_rows(plan)
    show(create_table_artifact, key="acquisitions", table=rows, description="Passes of the event and their references")
    return plan
