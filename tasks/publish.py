"""Publish the event, and show it in the UI."""

from pathlib import Path

from prefect import task
from prefect.artifacts import create_image_artifact, create_link_artifact, create_markdown_artifact
from prefect.events import emit_event

from pipeline_lib.model import Grounds, Product
from pipeline_lib.steps import map_event, publish, summary
from pipeline_lib.steps.mapped import Mapped
from pipeline_lib.steps.news import tell_published
from pipeline_lib.steps.workspace import Workspace
from tasks.display import show
from tasks.lineage import materialized
from tasks.metering import working
from tasks.retry import ONCE


@task(name="publish event", task_run_name="publish {mapped.plan.event.event_id}", **ONCE)
def publish_event(mapped: Mapped, out: str, place: map_event.Place, decision: Grounds, since: int) -> Product:
    """Write the product and switch readers to it at once; then show summary, map and page on the run.

    ``since`` is the version that readers saw when the run began.
    """
    plan = mapped.plan
    with working(place, "publish", plan.event.event_id, plan, len(mapped.passes)):
        product = publish.publish_event(mapped, out, Workspace(place.workspace).store, decision, since)
    text = summary.summary_markdown(plan, product)
    show(create_markdown_artifact, key="summary", markdown=text, description="The event in numbers")
    show(
        create_image_artifact, key="map", image_url=summary.image_for_ui(product), description="Quicklook of the event"
    )
    show(create_link_artifact, key="page", link=summary.page_link(product), link_text=f"Page of {plan.event.event_id}")
    show(materialized, plan=plan, product=product)
    tell_published(Path(out), product)
    _announce(product)
    return product


def _announce(product: Product) -> None:
    """Tell automations; a version that is announced again has the same id, and is one event."""
    figures = product.figures.model_dump(mode="json", include={"flood_area_km2", "passes", "last_pass", "state"})
    emit_event(
        "overbank.event.published",
        id=summary.event_identity(product.event_id, product.version, product.published),
        resource={
            "prefect.resource.id": f"overbank.event.{product.event_id}",
            "overbank.version": str(product.version),
        },
        payload={"event": product.event_id, "version": product.version, "page": summary.page_link(product), **figures},
    )
