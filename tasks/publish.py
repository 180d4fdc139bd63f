"""Publish the event, and show it in the UI."""

from prefect import task
from prefect.artifacts import create_image_artifact, create_link_artifact, create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from pipeline_lib.model import MappingPlan, Product, Stored
from pipeline_lib.steps import map_event, summary
from pipeline_lib.steps.workspace import Workspace
from tasks.cluster import computing


@task(name="publish event", task_run_name="publish {plan.event.event_id}", cache_policy=NO_CACHE)
def publish_event(
    plan: MappingPlan, mapped: list[map_event.MappedPass], event: Stored, out: str, place: map_event.Place
) -> Product:
    """Write the product and switch readers to it at once; then show summary, map and page on the run."""
    with computing(place.dask_address):
        product = map_event.publish(plan, mapped, event, out, Workspace(place.workspace).store)
    text = summary.summary_markdown(plan, product)
    create_markdown_artifact(key="summary", markdown=text, description="The event in numbers")
    create_image_artifact(key="map", image_url=summary.image_for_ui(product), description="Quicklook of the event")
    create_link_artifact(key="page", link=summary.page_link(product), link_text=f"Page of {plan.event.event_id}")
    return product
