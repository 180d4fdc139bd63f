"""A mapping run under faults: what is published is what an undisturbed run publishes, or less and said so. Never other.

A small part of `benchmarks/soak/faults.py`, which strikes with every fault the simulated archive knows.
"""

import json
import pickle
import pickletools
import resource
import shutil
import sys
import time
import traceback
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterName,
    LogFilter,
    LogFilterFlowRunId,
)
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, temporary_settings

from flows.map_event import map_event
from pipeline_lib.errors import IncompleteEventError, NoAcquisitionError, StoreError
from pipeline_lib.options.map_event import MapOptions
from pipeline_lib.options.world import WorldOptions
from pipeline_lib.steps.event import read_event
from pipeline_lib.world.build import build_world
from pipeline_lib.world.server import serve
from pipeline_lib.world.server.faults import Faults, Rule

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.soak.runs import free_port
from benchmarks.soak.sameness import contents, differences

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("prefect"), pytest.mark.usefixtures("prefect_server")]

OPTIONS = MapOptions.model_validate(
    {
        "plan": {"max_references": 1},
        "search": {"page_size": 4, "backoff_s": 0.02},
        "publish": {"vectors": ["gpkg"], "preview_px": 128, "lock_wait_s": 0.5},
    }
)
STRUCK = "20251030T053529"


@pytest.fixture(scope="module")
def tiny_world(tmp_path_factory):
    return build_world(tmp_path_factory.mktemp("tiny") / "world", WorldOptions(seed=7, size=128))


@pytest.fixture(scope="module")
def short_event(tiny_world):
    """Two passes, one of them of two slices."""
    event = read_event(tiny_world / "event.yaml")
    return event.model_copy(update={"end": event.start.replace(month=11, day=2)})


def mapped(world, event, out, *rules):
    """Map on a port of its own: GDAL remembers what it read from an address."""
    faults = Faults(list(rules))
    with serve(world, port=free_port(), faults=faults) as url:
        map_event(event, url, str(out), OPTIONS)
    return faults


def files(out):
    """What is published but for the plan, which names the archive's address."""
    return {
        name: digest
        for name, digest in contents(out).items()
        if "/versions/0001/" in name and Path(name).suffix in {".tif", ".gpkg", ".png"}
    }


@pytest.fixture(scope="module")
def undisturbed(tiny_world, short_event, tmp_path_factory, prefect_server):
    out = tmp_path_factory.mktemp("undisturbed")
    mapped(tiny_world, short_event, out)
    return out


def test_faults_that_pass_leave_no_trace(tiny_world, short_event, undisturbed, tmp_path):
    faults = mapped(
        tiny_world,
        short_event,
        tmp_path,
        Rule("busy-silent", path="^/search$", body="sentinel-1-rtc"),
        Rule("half-page", path="^/search$", body="sentinel-1-rtc"),
        Rule("truncated", path=f"{STRUCK}.*/vv.tif", skip=1),
        Rule("cut", path="20251101.*/vh.tif", skip=1),
        Rule("unavailable", path="cop-dem", skip=1),
        Rule("wrong-range", path="jrc-gsw", skip=1),
    )
    assert {entry[0] for entry in faults.log} == {
        "busy-silent",
        "half-page",
        "truncated",
        "cut",
        "unavailable",
        "wrong-range",
    }
    assert differences(files(undisturbed), files(tmp_path)) == []


def test_a_fault_that_stays_costs_its_pass_alone_and_the_next_run_completes_the_event(
    tiny_world, short_event, undisturbed, tmp_path
):
    with pytest.raises(IncompleteEventError, match=rf"1 of 2 passes.*{STRUCK}"):
        mapped(tiny_world, short_event, tmp_path / "struck", Rule("corrupted", path=f"{STRUCK}.*/vv.tif", times=None))
    lacking = shutil.copytree(tiny_world, tmp_path / "lacking")
    next(lacking.glob(f"items/sentinel-1-rtc/*1SDV_{STRUCK}*")).unlink()
    mapped(lacking, short_event, tmp_path / "other")
    assert differences(files(tmp_path / "other"), files(tmp_path / "struck")) == []
    mapped(tiny_world, short_event, tmp_path / "struck")
    second = tmp_path / "struck" / short_event.event_id / "versions" / "0002"
    first = undisturbed / short_event.event_id / "versions" / "0001"
    rasters = sorted(path.relative_to(first) for path in first.rglob("*.tif"))
    assert rasters == sorted(path.relative_to(second) for path in second.rglob("*.tif"))
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in rasters)


def test_a_disk_that_is_full_in_mid_publication_shows_readers_nothing_and_the_next_run_everything(
    tiny_world, short_event, undisturbed, tmp_path
):
    """A limit on the size of files stands for the full disk: intermediates fit, the event's page does not."""
    shutil.copytree(undisturbed / ".overbank" / "store", tmp_path / ".overbank" / "store")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, hard))
    try:
        with pytest.raises(StoreError, match="Free space"):
            mapped(tiny_world, short_event, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (tmp_path / short_event.event_id / "current").exists()
    mapped(tiny_world, short_event, tmp_path)
    assert differences(files(undisturbed), files(tmp_path)) == []
    hidden = [path for path in (tmp_path / short_event.event_id / "versions").iterdir() if path.name.startswith(".")]
    assert hidden == []


def test_an_output_that_cannot_be_written_is_said_before_a_pixel_is_read(tiny_world, short_event, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with (
        serve(tiny_world, port=free_port(), faults=(faults := Faults())) as url,
        pytest.raises(StoreError, match="another place"),
    ):
        map_event(short_event, url, str(tmp_path / "file" / "out"), OPTIONS)
    assert not [path for _, path in faults.requests if path.startswith("/assets/")]


def is_pickle(content):
    """By its first opcode and by reading it to its end, which runs nothing."""
    if content[:1] != b"\x80" or content[1:2] > b"\x05":
        return False
    try:
        return [opcode.name for opcode, _, _ in pickletools.genops(content)][-1] == "STOP"
    except (ValueError, IndexError):
        return False


def test_no_run_writes_a_pickle(undisturbed, tiny_world, short_event, tmp_path):
    """Results lie in the store. Prefect keeps the error of a run that failed, which by its own ways would be a pickle."""
    assert is_pickle(pickle.dumps({"a": 1}))
    nothing_then = short_event.model_copy(
        update={name: getattr(short_event, name).replace(year=2001) for name in ("start", "end")}
    )
    kept = tmp_path / "kept"
    with temporary_settings({PREFECT_LOCAL_STORAGE_PATH: kept}), pytest.raises(NoAcquisitionError):
        mapped(tiny_world, nothing_then, tmp_path / "out")
    records = [path.read_bytes() for path in kept.iterdir()]
    assert any(b"usable Sentinel-1 acquisition" in record for record in records)
    assert all(isinstance(json.loads(record), dict) for record in records)
    written = [path for path in undisturbed.rglob("*") if path.is_file() and not path.is_symlink()]
    assert len(written) > 100
    assert [path for path in written if is_pickle(path.read_bytes())] == []


def everything_the_server_knows(run_name):
    """Parameters, states, logs and artifacts of the runs of that name, as text."""
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=[run_name])))
        said = [run.model_dump_json() for run in runs]
        for run in runs:
            which = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
            logs = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run.id]))
            artifacts = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id]))
            said += [log.message for log in client.read_logs(log_filter=logs, limit=200)]
            said += [task.model_dump_json() for task in client.read_task_runs(flow_run_filter=which)]
            said += [one.model_dump_json() for one in client.read_artifacts(artifact_filter=artifacts)]
    return "\n".join(said)


def test_a_signature_in_an_address_and_a_key_in_the_environment_are_written_nowhere(
    tiny_world, short_event, tmp_path, monkeypatch, capfd
):
    planted, port = "pl4ntedS1gnature", free_port()
    for name in ("PC_SDK_SUBSCRIPTION_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, f"{planted}-{name}")
    world = shutil.copytree(tiny_world, tmp_path / "world")
    for path in world.glob("items/*/*.json"):
        item = json.loads(path.read_text())
        for asset in item["assets"].values():
            asset["href"] = f"http://127.0.0.1:{port}/{asset['href']}?se=2030&sig={planted}"
        path.write_text(json.dumps(item))
    next(world.glob(f"assets/sentinel-1-rtc/*1SDV_{STRUCK}*/vv.tif")).write_bytes(b"no raster")
    event = short_event.model_copy(update={"event_id": "signed"})
    out = tmp_path / "out"
    with serve(world, port=port) as url, pytest.raises(IncompleteEventError, match=STRUCK) as caught:
        map_event(event, url, str(out), OPTIONS)
    while "not recognized as being in a supported file format" not in (
        known := everything_the_server_knows("map signed")
    ):
        time.sleep(0.2)  # the error itself is there to be read, once the server has written what was logged
    said = "".join(traceback.format_exception(caught.value)) + known + "".join(capfd.readouterr())
    assert planted not in said
    written = [path for path in out.rglob("*") if path.is_file() and not path.is_symlink()]
    assert len(written) > 100
    assert [path for path in written if planted.encode() in path.read_bytes()] == []
