"""A run waits for a person: it is suspended, and goes on where it was once there is an answer or the time is up."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from prefect import resume_flow_run, suspend_flow_run
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.events import emit_event
from prefect.exceptions import NotPausedError, ObjectNotFound
from prefect.input import RunInput
from pydantic import Field

from pipeline_lib.model import Decision
from pipeline_lib.options.gate import ApprovalOptions
from pipeline_lib.steps import approval, summary
from pipeline_lib.steps.gate import Assessment
from pipeline_lib.steps.mapped import Mapped
from pipeline_lib.steps.news import tell_awaiting
from tasks.gate import ask_for_approval

GRACE_S = 3600
"""The server ends a suspended run so long after the deadline, should no poll have done it before."""


class Approval(RunInput):
    """Publish this version? Look at the map first; readers see it at once."""

    approve: bool = Field(default=False, title="Publish", description="Off means: reject, and keep it unpublished.")
    comment: str = Field(default="", title="Comment", description="Stands in the event's record beside your name.")
    name: str = Field(default="", title="Your name")


def approved(assessment: Assessment, mapped: Mapped, out: str, options: ApprovalOptions) -> approval.Request:
    """The request about this content, with its decision where there is one.

    A run of a deployment is suspended until there is one: it ends here, and is started again by the answer. Any other
    run leaves the request for ``overbank events approve``.
    """
    run_id = _own_run()
    request = ask_for_approval(assessment, mapped, out, options, None if run_id is None else str(run_id))
    if request.decision is None and (decision := approval.timed_out(request, datetime.now(UTC))):
        request = approval.settle(Path(out), request, decision)
    if request.decision is not None:
        return request
    _announce(Path(out), request)
    if run_id is None:
        return request
    form = Approval.with_initial_data(description=summary.form_markdown(Path(out), request))
    timeout_s = (request.deadline - datetime.now(UTC)).total_seconds() + GRACE_S
    answer = suspend_flow_run(wait_for_input=form, timeout=round(timeout_s), key=assessment.key)
    decision = Decision(
        approved=answer.approve,
        by=answer.name or "someone at the form",
        comment=answer.comment,
        at=datetime.now(UTC),
        through="form",
    )
    return approval.settle(Path(out), request, decision)


def resume_decided(out: str) -> int:
    """Let suspended runs go on whose request was decided on elsewhere, or whose time is up; return how many."""
    now, resumed = datetime.now(UTC), 0
    for request in approval.requests(Path(out)):
        decision = request.decision or approval.timed_out(request, now)
        if decision is None:
            continue
        suspended = [run_id for run_id in request.waiting_runs if _is_suspended(UUID(run_id))]
        if suspended and request.decision is None:
            approval.settle(Path(out), request, decision)
        resumed += sum(_resume(UUID(run_id), decision) for run_id in suspended)
    return resumed


def _resume(run_id: UUID, decision: Decision) -> bool:
    """Let one run go on; whether it was suspended."""
    answer = {"approve": decision.approved, "comment": decision.comment, "name": decision.by}
    try:
        resume_flow_run(run_id, run_input=answer)
    except (NotPausedError, ObjectNotFound):
        return False
    return True


def _own_run() -> UUID | None:
    """The current run, where it can be suspended: one of a deployment, not a part of another run."""
    context = FlowRunContext.get()
    run = None if context is None else context.flow_run
    if run is None or run.deployment_id is None or run.parent_task_run_id is not None:
        return None
    return run.id


def _is_suspended(run_id: UUID) -> bool:
    """Whether a run waits now."""
    with get_client(sync_client=True) as client:
        try:
            state = client.read_flow_run(run_id).state
        except ObjectNotFound:
            return False
    return state is not None and state.is_paused()


def _announce(out: Path, request: approval.Request) -> None:
    """Tell people, and automations, that a person is wanted."""
    tell_awaiting(out, request)
    emit_event(
        "overbank.event.awaiting-approval",
        id=summary.event_identity(request.event_id, request.assessment.key),
        resource={
            "prefect.resource.id": f"overbank.event.{request.event_id}",
            "overbank.content": request.assessment.key,
        },
        payload={
            "event": request.event_id,
            "reason": request.assessment.reason,
            "deadline": request.deadline.isoformat(),
        },
    )
