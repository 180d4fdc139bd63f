"""Runs whose process is gone are found by asking the server; runs that wait, that are stopped, or unheard are not."""

import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.events import emit_event
from prefect.events.filters import EventFilter, EventNameFilter, EventResourceFilter
from prefect.states import Paused, Running

from flows.desk.dead_runs import GONE_S, HEARTBEAT, SILENT_S, UNWATCHED_S, DeadRuns

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("prefect"), pytest.mark.usefixtures("prefect_server")]


@flow(name="mapping")
def mapping():
    pass


@pytest.fixture
def client():
    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def running(client):
    """Make a run that is Running and gave its last sign of life just now."""
    made = []

    def make(pid=None, *, heard=True):
        run = client.create_flow_run(mapping, state=Running())
        made.append(run.id)
        if pid is not None:
            client.update_flow_run(run.id, infrastructure_pid=str(pid))
        if heard:
            resource = {"prefect.resource.id": f"prefect.flow-run.{run.id}"}
            emit_event(HEARTBEAT, resource=resource, occurred=datetime.now(UTC))
            wanted = EventFilter(
                event=EventNameFilter(name=[HEARTBEAT]), resource=EventResourceFilter(id=[f"prefect.flow-run.{run.id}"])
            )
            while not client.read_events(wanted, limit=1).events:
                time.sleep(0.2)
        return run.id

    make.made = made
    yield make
    for run_id in made:
        client.delete_flow_run(run_id)


class Watcher:
    """Looks every five seconds of a clock that a test sets forward; runs of other tests on the server do not count."""

    def __init__(self, client, running, *, local=True):
        self.client, self.running, self.now = client, running, time.time() + 60.0
        self.dead = DeadRuns(local=local, clock=lambda: self.now)

    def watch(self, seconds):
        ended = set()
        for _ in range(0, round(seconds), 5):
            ended |= set(self.dead.end(self.client))
            self.now += 5
        return ended & set(self.running.made)


def state_of(client, run_id):
    return client.read_flow_run(run_id).state.type.value


def test_a_run_without_heartbeat_has_crashed_and_one_that_waits_for_a_person_has_not(client, running):
    silent, suspended = running(), running()
    client.set_flow_run_state(suspended, Paused(name="Suspended", timeout_seconds=36000), force=True)
    watcher = Watcher(client, running)
    assert watcher.watch(SILENT_S - 10) == set(), "nobody listened for long enough yet"
    assert watcher.watch(30) == {silent}
    assert (state_of(client, silent), state_of(client, suspended)) == ("CRASHED", "PAUSED")
    assert "heartbeat" in client.read_flow_run(silent).state.message


def test_a_run_that_never_gave_a_sign_of_life_is_not_judged(client, running):
    unheard = running(heard=False)
    assert Watcher(client, running).watch(3 * SILENT_S) == set()
    assert state_of(client, unheard) == "RUNNING"


def test_a_process_that_is_here_is_alive_even_stopped_and_one_that_is_gone_is_dead_sooner(client, running):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    gone = running(ended.pid)
    stopped_id = running()
    stopped = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"],
        env={**os.environ, "PREFECT__FLOW_RUN_ID": str(stopped_id)},
    )
    client.update_flow_run(stopped_id, infrastructure_pid=str(stopped.pid))
    assert Watcher(client, running, local=False).watch(GONE_S + 10) == set(), "its worker may be on another machine"
    watcher = Watcher(client, running)
    try:
        assert watcher.watch(GONE_S + 10) == {gone}
        assert watcher.watch(2 * SILENT_S) == set()
    finally:
        stopped.kill()
        stopped.wait()
    assert watcher.watch(15) == {stopped_id}


def test_after_a_sleep_signs_of_life_are_waited_for(client, running):
    silent = running()
    watcher = Watcher(client, running)
    watcher.watch(SILENT_S - 20)
    watcher.now += timedelta(hours=8).total_seconds()
    assert watcher.watch(SILENT_S - 10) == set()
    assert watcher.watch(30) == {silent}
    assert UNWATCHED_S < SILENT_S
