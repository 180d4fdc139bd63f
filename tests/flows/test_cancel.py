"""Cancelled as the UI does it: the run's process ends, Dask work stops, the slot of the GPU is free again."""

import os
import subprocess
import sys
import time

import pytest
from distributed import LocalCluster
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling

from tasks.cluster import GPU_SLOT

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("prefect"), pytest.mark.usefixtures("prefect_server")]
FLOW = """
import time

from prefect import flow, task
from prefect.task_runners import ThreadPoolTaskRunner

from tasks.cluster import computing, dropped_on_cancel, gpu_slot


@task
def work(address):
    with gpu_slot(needed=True), computing(address) as client:
        client.gather(client.map(time.sleep, [0.2] * 20_000, pure=False))


@flow(task_runner=ThreadPoolTaskRunner(max_workers=2))
def busy(address):
    with dropped_on_cancel():
        work.submit(address).result()
"""


@flow(name="busy")
def busy(address):
    """Stands for the flow of the file, whose process loads it by itself."""


def wait_for(condition):
    """However long it takes on a busy machine; the suite's own limit ends a test in which it never happens."""
    while not condition():
        time.sleep(0.2)


@pytest.fixture
def slot():
    with get_client(sync_client=True) as client:
        try:
            client.read_global_concurrency_limit_by_name(GPU_SLOT)
        except ObjectNotFound:
            client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=GPU_SLOT, limit=1, active=True))
        yield lambda: client.read_global_concurrency_limit_by_name(GPU_SLOT).active_slots


def test_cancel_stops_dask_work_and_frees_the_slot(tmp_path, slot):
    (tmp_path / "busy.py").write_text(FLOW)
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, protocol="tcp", dashboard_address=":0"
        ) as cluster,
        get_client(sync_client=True) as client,
    ):
        deployment = client.create_deployment(
            flow_id=client.create_flow(busy), name="cancel-test", path=str(tmp_path), entrypoint="busy.py:busy"
        )
        run = client.create_flow_run_from_deployment(deployment, parameters={"address": cluster.scheduler_address})
        environment = {**os.environ, "PREFECT_API_URL": str(client.api_url), "PREFECT_RUNNER_POLL_FREQUENCY": "1"}
        command = [sys.executable, "-m", "prefect", "flow-run", "execute", str(run.id)]
        with (tmp_path / "said.txt").open("wb") as said:  # a pipe that nobody reads would hold it up when full
            process = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=said, stderr=subprocess.STDOUT)
        try:
            while len(cluster.scheduler.tasks) <= 1000:
                assert process.poll() is None, (tmp_path / "said.txt").read_text()[-2000:]
                time.sleep(0.2)
            assert slot() == 1
            client.set_flow_run_state(run.id, Cancelling())
            wait_for(lambda: not cluster.scheduler.tasks)
            wait_for(lambda: slot() == 0)
            wait_for(lambda: client.read_flow_run(run.id).state.name == "Cancelled")
        finally:
            process.kill()
            process.wait()
