"""A whole desk: server, worker, pages; every deployment applied; a *schedule* fires; killed services come back."""

import os
import signal
import socket
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from urllib.parse import urlsplit

import psutil
import pytest

from benchmarks.soak.runs import free_port
from flows.desk.services import Desk
from flows.desk.start import check_exposure, start_detached, status_lines, stop
from flows.desk.supervisor import running_services, running_supervisor
from pipeline_lib.errors import InputError, OverbankError

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("desk")]


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A running desk with a password, on free ports; stopped by its own pid."""
    out = tmp_path_factory.mktemp("desk")
    desk = Desk(out=out, port=free_port(), pages_port=free_port(), auth="duty:officer")
    before = dict(os.environ)
    start_detached(desk)
    os.environ.update(
        PREFECT_API_URL=desk.api_url, PREFECT_API_AUTH_STRING="duty:officer", PREFECT_HOME=str(desk.state / "prefect")
    )
    family = []
    try:
        yield desk
        family = psutil.Process(running_supervisor(desk).pid).children(recursive=True)
    finally:
        stopped = stop(desk)
        os.environ.clear()
        os.environ.update(before)
    _, alive = psutil.wait_procs(family, timeout=300)
    assert stopped
    assert alive == [], "`overbank down` leaves no process"
    assert not stop(desk)


@pytest.fixture(scope="module")
def client(desk):
    """Prefect's own way of asking: SQLite may be locked for a moment, which the server answers with 503, *again later*."""
    from prefect.client.base import PrefectHttpxSyncClient

    with PrefectHttpxSyncClient(base_url=desk.api_url, auth=("duty", "officer"), timeout=60) as client:
        yield client


def wait_for(condition):
    """However long it takes on a busy machine; the suite's own limit ends a test in which it never happens."""
    while not (found := condition()):
        time.sleep(1)
    return found


def completed_runs_of(client, deployment_id):
    wanted = {
        "deployments": {"id": {"any_": [deployment_id]}},
        "flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}},
    }
    answer = client.post("/flow_runs/filter", json=wanted)
    return answer.raise_for_status().json()


def deployment(client, name):
    return client.get(f"/deployments/name/{name}").raise_for_status().json()


def test_every_deployment_is_applied_with_its_schedule(client):
    found = {one["name"]: one for one in client.post("/deployments/filter", json={}).raise_for_status().json()}
    assert set(found) == {
        "map-event",
        "map-events",
        "map-watched-pass",
        "map-on-event",
        "watch-catalogue",
        "update-reference",
        "retention",
        "mirror-events",
        "train-model",
        "evaluate-model",
    }
    for name in ("watch-catalogue", "update-reference", "retention", "mirror-events"):
        assert found[name]["schedules"], name
        assert found[name]["schedules"][0]["active"]
    assert found["map-event"]["parameter_openapi_schema"]["properties"]["event"]


def test_the_server_asks_for_its_password(desk):
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{desk.api_url}/deployments/count", data=b"{}", timeout=10)  # noqa: S310 - loopback


def test_a_schedule_fires_and_its_run_completes(client, desk):
    """With a wrong SQLAlchemy everything looks healthy and no scheduled run is ever created."""
    retention = deployment(client, "retention/retention")
    anchor = datetime.now(UTC).isoformat()
    schedule = {"schedule": {"interval": 20, "anchor_date": anchor, "timezone": "UTC"}, "active": True}
    created = client.post(f"/deployments/{retention['id']}/schedules", json=[schedule]).raise_for_status().json()
    try:
        done = wait_for(lambda: [run for run in completed_runs_of(client, retention["id"]) if run["auto_scheduled"]])
    finally:
        client.delete(f"/deployments/{retention['id']}/schedules/{created[0]['id']}")
    assert done[0]["created_by"]["type"] == "SCHEDULE"


def test_no_automation_waits_for_missing_heartbeats_and_what_tends_the_desk_runs(client, desk):
    """Such an automation locks SQLite, and events are lost for all."""
    found = client.post("/automations/filter", json={}).raise_for_status().json()
    assert [one["name"] for one in found if one["trigger"].get("after")] == []
    assert running_services(desk)["tend"] is not None


def test_killed_services_come_back(desk):
    before = running_services(desk)["pages"]
    before.send_signal(signal.SIGKILL)

    def back():
        now = running_services(desk).get("pages")
        return now is not None and now.pid != before.pid

    wait_for(back)
    wait_for(lambda: status_lines(desk)[1])


def test_a_second_desk_for_the_same_folder_is_refused(desk):
    with pytest.raises(OverbankError, match="already runs"):
        start_detached(Desk(out=desk.out, port=free_port(), pages_port=free_port()))
    assert running_supervisor(desk) is not None


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "desk.example"])
def test_beyond_loopback_needs_a_password(tmp_path, host):
    with pytest.raises(InputError, match="--auth"):
        check_exposure(Desk(out=tmp_path, host=host))
    check_exposure(Desk(out=tmp_path, host=host, auth="a:b"))
    check_exposure(Desk(out=tmp_path))


@pytest.mark.allow_hosts(["127.0.0.1", "::1", "localhost", "192.0.2.1"])  # nothing is sent there
@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_addresses_told_to_browsers_exist(tmp_path, monkeypatch, host):
    for name in ("PREFECT_UI_URL", "PREFECT_UI_API_URL", "OVERBANK_PAGES_URL"):
        monkeypatch.delenv(name, raising=False)
    desk = Desk(out=tmp_path, host=host, auth="a:b")
    told = [desk.environment[name] for name in ("PREFECT_UI_URL", "PREFECT_UI_API_URL", "OVERBANK_PAGES_URL")]
    assert not any(host in url for url in told), told
    assert urlsplit(desk.api_url).hostname in {"127.0.0.1", "::1"}
    assert socket.getaddrinfo(urlsplit(desk.ui_url).hostname, desk.port)


def test_addresses_behind_a_proxy_are_the_operators(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_UI_URL", "https://desk.example/prefect/")
    monkeypatch.setenv("OVERBANK_PAGES_URL", "https://desk.example/events")
    monkeypatch.delenv("PREFECT_UI_API_URL", raising=False)
    environment = Desk(out=tmp_path).environment
    assert environment["PREFECT_UI_API_URL"] == "https://desk.example/prefect/api"
    assert environment["OVERBANK_PAGES_URL"] == "https://desk.example/events"
    assert environment["PREFECT_API_URL"] == "http://127.0.0.1:4200/api"
