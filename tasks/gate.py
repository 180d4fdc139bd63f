"""Hold what was mapped against the publish-if rule, and keep a request for whoever must approve it."""

from datetime import UTC, datetime
from pathlib import Path

from prefect import task
from prefect.artifacts import create_image_artifact, create_markdown_artifact

from pipeline_lib.options.gate import ApprovalOptions, PublishIf
from pipeline_lib.steps import approval, gate, summary
from pipeline_lib.steps.map_event import Place
from pipeline_lib.steps.mapped import Mapped
from pipeline_lib.steps.workspace import Workspace
from tasks.retry import ONCE


@task(name="assess", task_run_name="assess {mapped.plan.event.event_id}", **ONCE)
def assess(mapped: Mapped, out: str, rule: PublishIf, place: Place) -> gate.Assessment:
    """What each pass found, and whether that is worth an event."""
    return gate.assess(mapped, Path(out), rule, Workspace(place.workspace).store)


@task(name="ask for approval", task_run_name="ask for approval of {assessment.event_id}", **ONCE)
def ask_for_approval(
    assessment: gate.Assessment, mapped: Mapped, out: str, options: ApprovalOptions, run_id: str | None
) -> approval.Request:
    """Draw the quicklook of what would be published, and show it on the run."""
    request = approval.ask(Path(out), assessment, mapped, options, datetime.now(UTC), run_id)
    picture = approval.quicklook_of(Path(out), request)
    create_markdown_artifact(key="approval", markdown=summary.request_markdown(request), description="For approval")
    create_image_artifact(key="approval-map", image_url=summary.data_uri(picture), description="For approval")
    return request
