"""SIGKILL in mid-run, and two runs at once on one event: the archive is that of one undisturbed run, byte for byte.

A small part of `benchmarks/soak/kills.py`, which kills flow, poller, Dask worker and Prefect server at random moments.
"""

import signal
from datetime import UTC, datetime

import pytest
from distributed import LocalCluster
from prefect.settings import PREFECT_API_URL

from benchmarks.soak import runs
from benchmarks.soak.sameness import contents, differences, store_contents
from pipeline_lib.options.world import WorldOptions
from pipeline_lib.steps import watch as steps
from pipeline_lib.steps.event import read_event
from pipeline_lib.watch import PassState, Watch
from pipeline_lib.world.build import build_world
from pipeline_lib.world.server import serve

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("prefect"),
    pytest.mark.usefixtures("prefect_server"),
]
OPTIONS = {
    "detector": "fixed",
    "plan": {"max_references": 1},
    "search": {"optical": False},
    "publish": {"vectors": ["geojson"], "preview_px": 64, "lock_wait_s": 600},
}
LAST_DAY = datetime(2025, 11, 2, tzinfo=UTC)
"""Two passes of the event lie before it."""


@pytest.fixture(scope="module")
def place(tmp_path_factory, prefect_server):
    """URL of a very small archive, and its event; processes of their own can be started."""
    world = build_world(tmp_path_factory.mktemp("killed") / "world", WorldOptions(seed=7, size=128))
    event = read_event(world / "event.yaml").model_copy(update={"end": LAST_DAY})
    with pytest.MonkeyPatch.context() as environment, serve(world) as url:
        environment.setenv("PREFECT_API_URL", str(PREFECT_API_URL.value()))
        environment.setenv("PREFECT_LOGGING_TO_API_ENABLED", "false")
        yield world, url, event


def test_a_killed_run_continues_and_publishes_what_an_undisturbed_one_does(place, tmp_path):
    world, url, event = place

    def start(out, work=runs.map_world, *how):
        return runs.start(work, *how, str(world), url, str(out), OPTIONS, event.model_dump(mode="json"))

    undisturbed = start(good := tmp_path / "good").end()
    assert undisturbed.kind == "published", undisturbed.message
    run = start(out := tmp_path / "out", runs.map_world_until, "flood", None)
    assert run.end().message == "the process ended without a word"
    assert run.process.exitcode == -signal.SIGKILL
    assert list(out.glob(".overbank/store/flood/*.json"))
    assert not list(out.glob("*/current"))
    resumed = start(out).end()
    assert resumed.kind == "published", resumed.message
    assert differences(contents(good), contents(out)) == []
    assert differences(store_contents(good), store_contents(out)) == []


def test_a_run_that_loses_its_last_worker_gives_up_clearly_and_continues_with_another(place, tmp_path):
    """The only worker of a cluster is killed when the first pass has been detected; nobody starts it again."""
    world, url, event = place
    arguments = str(world), url
    asked = event.model_dump(mode="json")
    assert (
        runs.start(runs.map_world, *arguments, str(good := tmp_path / "good"), OPTIONS, asked).end().kind == "published"
    )
    with LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address=":0") as cluster:
        address = cluster.scheduler_address
        options = {**OPTIONS, "dask_address": address, "dask_patience_s": 1.0}
        with runs.dask_worker(address) as worker:
            strike = (runs.map_world_until, "water", worker.pid)
            lost = runs.start(*strike, *arguments, str(out := tmp_path / "out"), options, asked).end()
        assert list(out.glob(".overbank/store/water/*.json"))
        assert lost.kind == "error", lost
        assert lost.message.startswith(f"ClusterError: The Dask cluster at {address} has had no worker for 1 s")
        assert "Start workers and run again" in lost.message
        assert not list(out.glob("*/current"))
        with runs.dask_worker(address):
            assert runs.start(runs.map_world, *arguments, str(out), options, asked).end().kind == "published"
    assert differences(contents(good), contents(out)) == []
    assert differences(store_contents(good), store_contents(out)) == []


def test_a_bucket_for_a_store_gives_the_same_archive(place, tmp_path, bucket, monkeypatch):
    """Workers write into the bucket themselves; neither it nor a key is named in anything written."""
    world, url, event = place
    asked = event.model_dump(mode="json")
    runs.map_world(str(world), url, str(good := tmp_path / "good"), OPTIONS, asked)
    monkeypatch.setenv("OVERBANK_STORE", f"{bucket}/store")
    with LocalCluster(n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address=":0") as cluster:
        options = {**OPTIONS, "dask_address": cluster.scheduler_address}
        runs.map_world(str(world), url, str(out := tmp_path / "out"), options, asked)
    assert differences(contents(good), contents(out)) == []
    assert not (out / ".overbank" / "store").exists()
    written = [path.read_bytes() for path in out.rglob("*") if path.is_file()]
    assert not any(word in content for content in written for word in (b"test-secret-value", b"test-key"))


def test_two_runs_at_once_for_two_passes_of_one_event_leave_both_in_it(place, tmp_path):
    _, url, event = place
    register = steps.register_of(tmp_path)
    rule = {"min_flood_km2": 0}
    fields = {"name": "valley", "aoi": event.aoi, "catalog": url, "since": event.start, "grace_minutes": 0}
    watch = Watch.model_validate({**fields, "options": OPTIONS, "publish_if": rule})
    register.add(watch)
    due = steps.poll(register, "valley", LAST_DAY).decision.due
    requests = [steps.requests_of(register, watch, (one,))[0] for one in due]
    assert len({one.event.event_id for one in requests}) == 1
    assert len(requests) == 2
    started = [runs.start(runs.map_request, "valley", str(tmp_path), one) for one in requests]
    ended = [run.end() for run in started]
    assert [outcome.kind for outcome in ended] == ["published"] * 2, ended
    assert [one.state for one in register.passes("valley")] == [PassState.MAPPED] * 2
    assert len(list(tmp_path.glob("valley-*/current/passes/*"))) == 2
