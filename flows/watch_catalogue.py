"""Watch areas: ask the catalogue, and for one mapping run for each event with a new, complete or changed pass."""

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import get_client
from prefect.deployments import run_deployment
from prefect.events import emit_event
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run

from pipeline_lib.errors import OverbankError, shown
from pipeline_lib.steps import watch as steps
from pipeline_lib.steps.news import tell_silence
from pipeline_lib.steps.workspace import any_held
from pipeline_lib.watch import Register
from tasks.watch import poll

MAPPING_DEPLOYMENT = "map-watched-pass/map-watched-pass"


def _run_name() -> str:
    """``watch po`` or ``watch all``."""
    return f"watch {flow_run.parameters.get('name') or 'all'}"


@flow(
    name="watch-catalogue",
    flow_run_name=_run_name,
    description="Poll the catalogue of every watch and ask for a mapping run for each pass that is due.",
    result_serializer="json",
)
def watch_catalogue(out: str, name: str | None = None, since: datetime | None = None, inline: bool = False) -> int:
    """Poll one watch, or all that are due.

    Args:
        out: Folder of published events; holds the register of watches.
        name: One watch, due or not; every watch that is due where None.
        since: Look back to this moment (backfill).
        inline: Map in this run instead of asking for runs of the mapping deployment.

    Returns:
        How many passes mapping runs were asked for; those of one event share one.

    Raises:
        OverbankError: a catalogue could not be searched; the other watches were polled all the same.
    """
    register = steps.register_of(Path(out))
    _resume_decided(out)
    now = datetime.now(UTC)
    names = [name] if name else [state.watch.name for state in register.watches() if steps.is_due(state, now)]
    asked, problems = 0, {}
    for one in names:
        try:
            _settle_lost_runs(register, one)
            asked += _poll_one(register, one, out, since, inline=inline)
        except OverbankError as error:
            problems[one] = error
            get_run_logger().exception("Watch %s could not be polled", one)
    if problems:
        reasons = "; ".join(f"{one}: {shown(error)}" for one, error in problems.items())
        raise OverbankError(f"{len(problems)} of {len(names)} watches could not be polled: {reasons}.")
    return asked


def _resume_decided(out: str) -> None:
    """Let suspended runs go on; what that takes is imported only where anything was ever held for approval."""
    if any_held(Path(out)):
        from flows.approval import resume_decided

        resume_decided(out)


def _poll_one(register: Register, name: str, out: str, since: datetime | None, *, inline: bool) -> int:
    """Poll one watch and ask for what is due."""
    result = poll(name, out, since)
    rows: list[dict[str, Any]] = []
    for request in steps.requests_of(register, result.watch, result.decision.due):
        run_id = _ask(request, result.watch.name, out, register, inline=inline)
        _announce(request, result.watch.name)
        rows += [
            {
                "pass": due.known.pass_id,
                "kind": "revision" if due.revision else "new",
                "event": request.event.event_id,
                "run": run_id,
            }
            for due in request.due
        ]
    if rows:
        create_table_artifact(key=f"watch-{_slug(name)}", table=rows, description=f"Passes of {name} asked for")
    for pass_id in result.decision.given_up:
        get_run_logger().error("Pass %s of watch %s failed too often; `watch backfill` tries again.", pass_id, name)
    if result.silent_days is not None:
        _report_silence(register, name, out, result.silent_days)
    return len(rows)


def _ask(request: steps.Request, watch: str, out: str, register: Register, *, inline: bool) -> str:
    """Ask for one run, exactly once for one key, and remember it."""
    (pass_id, fingerprint), *more = request.passes.items()
    parameters: dict[str, Any] = {
        "watch": watch,
        "pass_id": pass_id,
        "fingerprint": fingerprint,
        "more_passes": dict(more),
        "event": request.event.model_dump(mode="json"),
        "catalog": request.catalog,
        "out": out,
        "options": request.options.model_dump(mode="json"),
    }
    if inline:
        from flows.map_watched import map_watched

        if steps.remember_request(register, request, run_id="inline"):
            map_watched(**parameters)
        return "inline"
    run: Any = run_deployment(
        MAPPING_DEPLOYMENT,
        parameters=parameters,
        timeout=0,
        idempotency_key=request.idempotency_key,
        as_subflow=False,
        flow_run_name=f"{watch}: {pass_id}" + (f" and {len(more)} more" if more else ""),
    )
    steps.remember_request(register, request, run_id=str(run.id))
    return str(run.id)


def _announce(request: steps.Request, watch: str) -> None:
    """Emit an event with a deterministic id for each pass, for automations of the user's own."""
    for due in request.due:
        emit_event(
            "overbank.pass.due",
            id=uuid.uuid5(uuid.NAMESPACE_URL, request.key_of(due)),
            resource={"prefect.resource.id": f"overbank.watch.{watch}", "overbank.event": request.event.event_id},
            payload={"pass": due.known.pass_id, "revision": due.revision},
        )


def _report_silence(register: Register, name: str, out: str, days: float) -> None:
    """Warn once that no new pass has come for longer than the orbit's repeat."""
    get_run_logger().warning("Silent gap: no new pass for watch %s in %.1f days.", name, days)
    tell_silence(Path(out), name, days)
    emit_event(
        "overbank.watch.silent",
        resource={"prefect.resource.id": f"overbank.watch.{name}"},
        payload={"watch": name, "silent_days": round(days, 2)},
    )
    register.report_silence(name, datetime.now(UTC))


def _settle_lost_runs(register: Register, name: str) -> None:
    """Runs that ended without reporting back (killed, cancelled) are asked for again by this poll.

    One that has reported is not unsettled any more; a run again finds in the store what is done.
    """
    with get_client(sync_client=True) as client:
        for pass_id, run_id in steps.unsettled(register, name).items():
            if run_id == "inline":
                steps.settle_lost(register, name, pass_id)
                continue
            try:
                state = client.read_flow_run(uuid.UUID(run_id)).state
            except ObjectNotFound:
                state = None
            if state is None or state.is_final():
                steps.settle_lost(register, name, pass_id)


def _slug(name: str) -> str:
    """Artifact keys take lower-case letters, digits and dashes only."""
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())
