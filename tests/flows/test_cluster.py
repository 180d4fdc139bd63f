"""What a cluster adds: log lines of workers on the run, metrics of its processes, networks on the workers with a GPU."""

import logging
import time

import dask
import numpy as np
import pytest
import xarray as xr
from distributed import Client, LocalCluster, Scheduler, SpecCluster, Worker
from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from prefect.logging.handlers import APILogHandler

from pipeline_lib.model import CatalogReference, Grid, MappingPlan
from pipeline_lib.steps.detect import detect_water
from pipeline_lib.steps.map_event import Place
from pipeline_lib.store import Store
from tasks.cluster import gpu_resources
from tasks.metering import taken, working

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("prefect"), pytest.mark.usefixtures("prefect_server")]


WORK_CPU_S = 0.5
"""Processor time that the work of a stage takes on its worker."""
HAVE: dict[str, dict[str, float]] = {"plain": {}, "gpu": {"GPU": 1}}
"""Workers of a cluster, and what they have."""


@pytest.fixture(scope="module")
def cluster(prefect_server):
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster:
        yield cluster


@pytest.fixture
def library_to_api():
    """What PREFECT_LOGGING_EXTRA_LOGGERS=pipeline_lib does at the start of a process."""
    logger, handler = logging.getLogger("pipeline_lib"), APILogHandler()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield
    logger.removeHandler(handler)
    logger.setLevel(before)


@pytest.fixture
def plan(event):
    catalog = CatalogReference(profile="generic", url="http://a.example")
    grid = Grid(crs="EPSG:32633", transform=(10.0, 0.0, 5e5, 0.0, -10.0, 5e6), shape=(100, 200))
    return MappingPlan(event=event, catalog=catalog, grid=grid, passes=())


def _work():
    """As much as can be seen on any machine."""
    begun = time.process_time()
    while time.process_time() - begun < WORK_CPU_S:
        sum(range(10_000))


@task(name="stage")
def stage(place, plan, text):
    with working(place, "water", "a pass", plan) as client:
        assert gpu_resources(client) == {}
        say = logging.getLogger("pipeline_lib.sar").info
        client.submit(say, "%s", text, pure=False).result()
        client.submit(_work, pure=False).result()


@flow(name="staged")
def staged(place, plan, text):
    from prefect.runtime import flow_run

    stage(place, plan, text)
    return flow_run.id


def lines_of(run_id):
    with get_client(sync_client=True) as client:
        found = client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run_id])))
    return [(line.message, line.task_run_id) for line in found]


def test_lines_of_workers_reach_their_own_run_and_their_work_is_counted(cluster, library_to_api, plan, tmp_path):
    place = Place(workspace=str(tmp_path / "one"), dask_address=cluster.scheduler_address)
    first, second = staged(place, plan, "tile 7"), staged(place, plan, "tile 8")
    for run, text in ((first, "tile 7"), (second, "tile 8")):
        while not any(text in line for line, _ in lines_of(run)):  # the test's own limit ends a wait in vain
            time.sleep(0.5)
    mine = [(text, of) for text, of in lines_of(first) if "tile" in text]
    assert [text.partition("] ")[2] for text, _ in mine] == ["tile 7"]
    assert mine[0][1] is not None, "the line stands on the task run, too"
    notes = taken(place)
    assert [note.stage for note in notes] == ["water", "water"]
    assert all(0.9 * WORK_CPU_S < note.cpu_s < 20 for note in notes), "the worker's processor time is seen from here"
    assert notes[0].pixels == 20_000
    assert notes[0].peak_memory_bytes > 50e6
    assert taken(place) == ()


def test_networks_run_on_the_workers_that_have_a_gpu(tmp_path):
    """A fake resource on one of two workers: every block of the network runs there, reading and writing anywhere."""
    store = Store(tmp_path)
    shape = (64, 4200)
    rng = np.random.default_rng(5)
    power = {name: (("y", "x"), rng.gamma(4, 0.02, shape).astype(np.float32)) for name in ("vv", "vh")}
    attrs = {"backscatter": "gamma0", "units": "1"}
    scene = xr.Dataset(
        {name: xr.DataArray(value[1], dims=value[0], attrs={"units": "1"}) for name, value in power.items()},
        coords={"y": 5e6 - 10.0 * np.arange(shape[0]), "x": 5e5 + 10.0 * np.arange(shape[1])},
        attrs={**attrs, "acquisition_id": "a", "datetime": "2024-01-01T00:00:00+00:00"},
    ).rio.write_crs(32633)
    stored = store.save("scene", "a", scene)
    workers = {
        name: {"cls": Worker, "options": {"nthreads": 1, "host": "127.0.0.1", "resources": has}}
        for name, has in HAVE.items()
    }
    scheduler = {"cls": Scheduler, "options": {"dashboard_address": ":0", "host": "127.0.0.1"}}
    whole_log = dask.config.set({"distributed.admin.low-level-log-length": 100_000})
    with whole_log, SpecCluster(workers=workers, scheduler=scheduler) as cluster, Client(cluster) as client:
        assert gpu_resources(client) == {"GPU": 1.0}
        detect_water(store, scene=stored, name="learned", key="k", resources=gpu_resources(client))
        events = client.run(_ran)
    with_gpu = next(names for address, names in events.items() if names["resources"])
    without = next(names for address, names in events.items() if not names["resources"])
    assert len({key for key in with_gpu["keys"] if "_block" in key}) >= 3, "chance cannot send them all there"
    assert not any("_block" in key for key in without["keys"])


def _ran(dask_worker):
    keys = [str(line[0]) for line in dask_worker.state.log if isinstance(line, tuple) and "executing" in map(str, line)]
    return {"resources": dict(dask_worker.state.total_resources), "keys": keys}
