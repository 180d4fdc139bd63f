"""What stands between a mapped event and its readers: the publish-if rule, and a person, on a real Prefect server."""

import contextlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from prefect import resume_flow_run
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow
from typer.testing import CliRunner

from flows.approval import resume_decided
from flows.cli import build_app
from flows.map_event import map_event
from pipeline_lib.errors import InputError
from pipeline_lib.options.map_event import MapOptions
from pipeline_lib.steps import approval, outbox
from pipeline_lib.steps.events import retract_event
from pipeline_lib.steps.published import published_product

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("prefect"), pytest.mark.usefixtures("prefect_server")]
LIGHT = {"publish": {"vectors": [], "depth": False, "preview_px": 256}, "plan": {"max_references": 2}}


@pytest.fixture(scope="module")
def event(event):  # one pass is enough to decide on
    return event.model_copy(update={"end": event.start.replace(month=10, day=31)})


@pytest.fixture(scope="module")
def out(archive, event, tmp_path_factory, prefect_server):
    """A folder whose store holds the mapped event, so that every run below only decides; nothing is published."""
    folder = tmp_path_factory.mktemp("gate")
    state = map_event(event, archive, str(folder), options(min_flood_km2=1e6), return_state=True)
    assert state.name == "Below threshold"
    return folder


def options(*, required=False, hours=12.0, on_timeout="hold", **rule):
    wanted = {"required": required, "timeout_hours": hours, "on_timeout": on_timeout}
    return MapOptions.model_validate({**LIGHT, "publish_if": rule, "approval": wanted})


def renamed(event, name):
    return event.model_copy(update={"event_id": name})


def deployed_run(parameters):
    """A run of a deployment of the flow; `run_flow` executes it as a worker's process would."""
    with get_client(sync_client=True) as client:
        flow_id = client.create_flow(map_event)
        deployment = client.create_deployment(flow_id=flow_id, name="gate-test")
        return client.create_flow_run_from_deployment(deployment, parameters=parameters)


def execute(run):
    with get_client(sync_client=True) as client:
        fresh = client.read_flow_run(run.id)
        with contextlib.suppress(Pause):
            run_flow(map_event, flow_run=fresh, parameters=fresh.parameters, return_type="state")
        return client.read_flow_run(run.id)


def parameters(event, archive, out, chosen):
    return {
        "event": event.model_dump(mode="json"),
        "catalog": archive,
        "out": str(out),
        "options": chosen.model_dump(mode="json"),
    }


def decision_of(out, event_id):
    item = next((out / event_id / "current" / "event").glob("*-event.json"))
    return json.loads(item.read_text())["properties"]["overbank:decision"]


def test_below_the_rule_nothing_is_published_and_the_state_says_why(out, archive, event):
    state = map_event(event, archive, str(out), options(min_flood_km2=1e6), return_state=True)
    assert (state.type, state.name) == (StateType.COMPLETED, "Below threshold")
    assert "no pass is worth an event" in state.message
    assert "at least 1e+06 km2" in state.message
    assert state.result() is None
    assert not (out / event.event_id).exists()


def test_an_event_that_is_published_is_revised_whatever_the_rule(out, archive, event):
    mine = renamed(event, "open-event")
    product = map_event(mine, archive, str(out), options(min_flood_km2=0.01))
    assert product.version == 1
    recorded = decision_of(out, "open-event")
    assert recorded["rule"]["min_flood_km2"] == 0.01
    assert any(one["worth"] for one in recorded["passes"])
    later = options(min_flood_km2=1e6).model_copy(
        update={"publish": MapOptions().publish.model_copy(update={"vectors": ()})}
    )
    assert map_event(mine, archive, str(out), later).version == 2
    assert "revision of a published event" in decision_of(out, "open-event")["reason"]


def test_a_person_approves_in_the_form_and_is_recorded(out, archive, event):
    mine = renamed(event, "approved-event")
    run = execute(deployed_run(parameters(mine, archive, out, options(required=True))))
    assert run.state.name == "Suspended"
    assert published_product(out, "approved-event") is None
    with get_client(sync_client=True) as client:
        keyset = run.state.state_details.run_input_keyset
        described = client.read_flow_run_input(run.id, keyset["description"])
        schema = json.loads(client.read_flow_run_input(run.id, keyset["schema"]))
    assert "data:image/jpeg;base64," in str(described)
    assert set(schema["properties"]) == {"approve", "comment", "name"}

    resume_flow_run(run.id, run_input={"approve": True, "comment": "looks right", "name": "Duty desk"})
    run = execute(run)
    assert run.state.name == "Completed"
    assert published_product(out, "approved-event").version == 1
    taken = decision_of(out, "approved-event")["approval"]
    assert (taken["approved"], taken["by"], taken["comment"], taken["through"]) == (
        True,
        "Duty desk",
        "looks right",
        "form",
    )
    again = map_event(mine, archive, str(out), options(required=True), return_state=True)
    assert again.name == "Completed", "the same content is asked about once"


def test_a_rejected_event_stays_unpublished_and_says_so(out, archive, event):
    mine = renamed(event, "rejected-event")
    run = execute(deployed_run(parameters(mine, archive, out, options(required=True))))
    resume_flow_run(run.id, run_input={"approve": False, "comment": "a lake", "name": "Bo"})
    run = execute(run)
    assert (run.state.type, run.state.name) == (StateType.COMPLETED, "Rejected")
    assert "rejected and kept unpublished by Bo" in run.state.message
    assert "a lake" in run.state.message
    assert published_product(out, "rejected-event") is None
    assert map_event(mine, archive, str(out), options(required=True), return_state=True).name == "Rejected"


@pytest.mark.parametrize(
    ("on_timeout", "state", "published"), [("hold", "Rejected", False), ("publish", "Completed", True)]
)
def test_nobody_decides_in_time(out, archive, event, on_timeout, state, published):
    name = f"late-{on_timeout}"
    chosen = options(required=True, on_timeout=on_timeout)
    run = execute(deployed_run(parameters(renamed(event, name), archive, out, chosen)))
    assert resume_decided(str(out)) == 0, "there is time left"
    asked = approval.waiting(out, name)
    assert asked.waiting_runs == (str(run.id),)
    path = next((out / ".overbank" / name / "approvals").glob("*.json"))
    path.write_text(asked.model_copy(update={"asked": asked.asked - timedelta(hours=13)}).model_dump_json())
    assert resume_decided(str(out)) == 1, "the poll lets it go on"
    run = execute(run)
    assert resume_decided(str(out)) == 0
    assert run.state.name == state
    assert (published_product(out, name) is not None) is published
    assert "Nobody decided within" in approval.waiting(out, name).decision.comment


def test_without_a_deployment_the_command_decides(out, archive, event):
    mine = renamed(event, "by-command")
    state = map_event(mine, archive, str(out), options(required=True), return_state=True)
    assert state.name == "Awaiting approval"
    assert "overbank events approve by-command" in state.message
    app, run = build_app(), CliRunner()
    listed = run.invoke(app, ["events", "waiting", "--out", str(out)])
    assert "by-command waits for approval" in listed.output
    with pytest.raises(InputError, match="needs a comment"):
        approval.decide(out, "by-command", approved=False, comment=" ", by=None, now=datetime.now(UTC))
    done = run.invoke(app, ["events", "approve", "by-command", "--comment", "go", "--name", "Cy", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert published_product(out, "by-command").version == 1
    assert decision_of(out, "by-command")["approval"]["through"] == "command"
    with pytest.raises(InputError, match="was approved already by Cy"):
        approval.decide(out, "by-command", approved=True, comment="", by=None, now=datetime.now(UTC) + timedelta(1))
    assert retract_event(out, "by-command", "Wet snow.") == 2
    state = map_event(mine, archive, str(out), options(required=True), return_state=True)
    assert state.name == "Awaiting approval", "what was approved before the retraction is asked about anew"
    assert approval.waiting(out, "by-command").assessment.version == 2
    with pytest.raises(InputError, match="Nothing of nowhere waits"):
        approval.waiting(out, "nowhere")


def test_every_run_that_waits_for_one_answer_goes_on_and_the_map_is_told_at_once(out, archive, event):
    mine = renamed(event, "twice-event")
    runs = [execute(deployed_run(parameters(mine, archive, out, options(required=True)))) for _ in range(2)]
    assert [run.state.name for run in runs] == ["Suspended", "Suspended"]
    (asked,) = approval.requests(out, "twice-event")
    assert set(asked.waiting_runs) == {str(run.id) for run in runs}
    done = CliRunner().invoke(build_app(), ["events", "approve", "twice-event", "--name", "Duty", "--out", str(out)])
    assert done.exit_code == 0, done.output
    told = sorted(one.subject for one in outbox.waiting(out) if "twice-event" in one.subject)
    assert told == ["Approve twice-event?", "Flood map twice-event, version 1"]
    assert resume_decided(str(out)) == 2
    assert [execute(run).state.type for run in runs] == [StateType.COMPLETED] * 2
    assert published_product(out, "twice-event").version == 1
    assert len([one for one in outbox.waiting(out) if "twice-event" in one.subject]) == 2, "no run tells it again"
