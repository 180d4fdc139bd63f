"""A cluster without workers: a run waits for one, but not for ever."""

import asyncio
import threading
import time

import dask
import pytest
from distributed import LocalCluster

from pipeline_lib.errors import ClusterError
from tasks import cluster as module
from tasks import metering
from tasks.cluster import computing, waited_without


@pytest.fixture
def empty_cluster(monkeypatch):
    monkeypatch.setattr(module, "CHECK_S", 0.01)
    monkeypatch.setattr(module, "_empty_since", {})
    where = {"host": "127.0.0.1", "protocol": "tcp://", "dashboard_address": ":0"}
    with LocalCluster(n_workers=0, threads_per_worker=1, processes=False, **where) as cluster:
        yield cluster


def test_a_run_without_any_worker_ends_with_one_clear_error(empty_cluster):
    address = empty_cluster.scheduler_address
    with (
        pytest.raises(ClusterError, match=r"no worker for 0 s .*run again"),
        computing(address, patience_s=0.0) as client,
    ):
        client.submit(sum, [1, 2]).result()
    assert address not in module._clients, "the next stage opens a client of its own"


def test_what_is_computed_after_the_loss_is_not_computed_here(empty_cluster):
    """Dask's own fall-back is the threads of the process that asks: a machine that was not meant for it."""

    def computed_late():
        with computing(empty_cluster.scheduler_address, patience_s=0.0) as client:
            while client.status != "closed":
                time.sleep(0.01)
            dask.delayed(pytest.fail)("computed here").compute()

    with pytest.raises(ClusterError, match=r"no worker for 0 s"):
        computed_late()
    assert dask.config.get("scheduler", None) is None
    assert dask.delayed(sum)([1, 2]).compute() == 3


def test_the_stage_after_the_loss_does_not_begin(empty_cluster):
    address = empty_cluster.scheduler_address
    module._empty_since[address] = time.monotonic() - 100.0
    with pytest.raises(ClusterError, match="no worker for 99 s"), computing(address, patience_s=99.0):
        pytest.fail("it began")
    assert address not in module._clients


def test_time_between_stages_that_needed_no_worker_does_not_count(empty_cluster):
    """A cluster that grows when it is asked may stand empty while a person decides."""
    address = empty_cluster.scheduler_address
    with computing(address, patience_s=1e6):
        assert address in module._empty_since
    assert address not in module._empty_since


def test_a_worker_that_comes_in_time_ends_the_wait(empty_cluster, monkeypatch):
    address, waiting = empty_cluster.scheduler_address, threading.Event()

    def seen(address, *, populated, now):
        if not populated:
            waiting.set()
        return waited_without(address, populated=populated, now=now)

    monkeypatch.setattr(module, "waited_without", seen)
    with computing(address, patience_s=1e6) as client:
        future = client.submit(sum, [1, 2])
        waiting.wait()
        empty_cluster.scale(1)
        assert future.result() == 3


def test_the_time_without_workers_counts_on_from_stage_to_stage_until_there_is_one(monkeypatch):
    monkeypatch.setattr(module, "_empty_since", {})
    assert waited_without("tcp://one", populated=False, now=100.0) == 0.0
    assert waited_without("tcp://one", populated=False, now=160.0) == 60.0
    assert waited_without("tcp://two", populated=False, now=160.0) == 0.0, "of another cluster nothing is known"
    assert waited_without("tcp://one", populated=True, now=170.0) < 0
    assert waited_without("tcp://one", populated=False, now=180.0) == 0.0


def test_a_client_is_closed_before_another_opens(monkeypatch):
    """Overlapping ones left Dask with a scheduler that has no client, and the run with an error about that."""
    events, closing, waiting = [], threading.Event(), threading.Event()

    class Slow:
        """A client that takes its time to close."""

        def __init__(self, address, *, set_as_default):
            assert set_as_default
            events.append(f"open {address}")

        def scheduler_info(self, n_workers):
            return {"workers": ["one"] * n_workers}

        def close(self):
            closing.set()
            waiting.wait()
            time.sleep(0.05)
            events.append("closed")

    def next_stage():
        closing.wait()
        waiting.set()
        with computing("tcp://here"):
            pass

    monkeypatch.setattr(module, "Client", Slow)
    monkeypatch.setattr(module, "forward_logs", lambda client: client)
    after = threading.Thread(target=next_stage)
    after.start()
    with computing("tcp://here"):
        pass
    after.join()
    assert events == ["open tcp://here", "closed"] * 2


def test_errors_of_the_work_itself_stay_what_they_are(empty_cluster):
    empty_cluster.scale(1)
    with pytest.raises(ZeroDivisionError), computing(empty_cluster.scheduler_address, patience_s=1e6) as client:
        client.submit(divmod, 1, 0).result()


async def _never():
    await asyncio.sleep(3600)


def test_counters_that_never_come_hold_no_run_up(empty_cluster, monkeypatch):
    """A worker that was killed answers no more, and a client that was closed while it waited hears of nothing."""
    empty_cluster.scale(1)
    with computing(empty_cluster.scheduler_address, patience_s=1e6) as client:
        client.wait_for_workers(1)
        monkeypatch.setattr(metering, "ANSWER_S", 600.0)  # a busy worker may answer late
        assert len(metering.answers_of(client, metering.usage_here)) == 1
        assert metering.usage_of(client).memory > 0
        monkeypatch.setattr(metering, "ANSWER_S", 0.3)
        assert metering.answers_of(client, _never) == []
    assert metering.answers_of(client, metering.usage_here) == [], "it is closed"
