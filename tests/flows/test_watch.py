"""Watching on a real Prefect server: every pass once, late items found, re-published ones revised, silence reported."""

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from flows.watch_catalogue import watch_catalogue
from pipeline_lib.errors import OverbankError
from pipeline_lib.steps.retention import RetentionOptions, forget
from pipeline_lib.steps.watch import register_of
from pipeline_lib.steps.workspace import store_of
from pipeline_lib.watch import PassState, Watch
from pipeline_lib.world.server import serve

pytestmark = [pytest.mark.xdist_group("prefect"), pytest.mark.usefixtures("prefect_server")]


@pytest.fixture
def hidden(own_world):
    """The items of the flood's passes, taken out of the archive: the test publishes them one by one."""
    items = {}
    for path in sorted((own_world / "items" / "sentinel-1-rtc").glob("*.json")):
        item = json.loads(path.read_text())
        if item["properties"]["datetime"] > "2025-10-28":
            items[path] = item
            path.unlink()
    return items


def publish(hidden, *fragments):
    for path, item in hidden.items():
        if any(f"1SDV_{fragment}" in path.name for fragment in fragments):
            path.write_text(json.dumps(item))


def watching(out, event, url, **changes):
    fields = {
        "name": "valley",
        "aoi": event.aoi,
        "catalog": url,
        "since": event.start,
        "grace_minutes": 0,
        "rescan_days": 4000,  # the simulated passes lie well before today
        "options": {"publish": {"vectors": ["geojson"]}},
        **changes,
    }
    register = register_of(out)
    register.add(Watch.model_validate(fields))
    return register


@pytest.mark.slow
def test_a_season_is_mapped_once_with_late_and_republished_items(own_world, hidden, event, tmp_path):
    with serve(own_world) as url:
        register = watching(tmp_path, event, url)
        assert watch_catalogue(str(tmp_path), name="valley", inline=True) == 0

        publish(hidden, "20251030T")
        assert watch_catalogue(str(tmp_path), name="valley", inline=True) == 1
        assert watch_catalogue(str(tmp_path), name="valley", inline=True) == 0

        publish(hidden, "20251105T")
        assert watch_catalogue(str(tmp_path), name="valley", inline=True) == 1
        publish(hidden, "20251101T171515_")  # the second slice, with an older date than what is mapped already
        assert watch_catalogue(str(tmp_path), name="valley", inline=True) == 1
        publish(hidden, "20251101T171450_")  # then the first
        assert watch_catalogue(str(tmp_path), name="valley", inline=True) == 1

        path = next(path for path in hidden if "20251030T" in path.name)
        again = hidden[path] | {"properties": hidden[path]["properties"] | {"updated": "2026-01-01T00:00:00Z"}}
        path.write_text(json.dumps(again))
        assert watch_catalogue(str(tmp_path), name="valley", inline=True) == 1
        assert watch_catalogue(str(tmp_path), name="valley", inline=True) == 0

    known = register.passes("valley")
    assert [one.state for one in known] == [PassState.MAPPED] * 3
    assert len({one.event_id for one in known}) == 1
    assert all(one.flood_km2 and one.flood_km2 > 0 for one in known)
    record = json.loads((tmp_path / known[0].event_id / "current" / "record.json").read_text())
    assert len(record["passes"]) == 3


def test_a_catalogue_that_is_down_moves_nothing(event, tmp_path):
    options = {"search": {"attempts": 1, "backoff_s": 0.0, "total_time_s": 3.0}}
    register = watching(tmp_path, event, "http://127.0.0.1:9", options=options)
    with pytest.raises(OverbankError, match="valley"):
        watch_catalogue(str(tmp_path), name="valley", inline=True)
    assert register.watch("valley").last_poll is None
    assert register.history("valley")[0].problem


def test_a_run_that_never_reported_back_is_asked_for_again(own_world, hidden, event, tmp_path):
    publish(hidden, "20251030T")
    with serve(own_world) as url:
        register = watching(tmp_path, event, url)
        from pipeline_lib.steps import watch as steps

        result = steps.poll(register, "valley", event.end)
        request = steps.requests_of(register, result.watch, result.decision.due)[0]
        steps.remember_request(register, request, run_id="inline")  # the process died while mapping
        assert watch_catalogue(str(tmp_path), name="valley", inline=True) == 1
    assert register.passes("valley")[0].state is PassState.MAPPED
    assert register.passes("valley")[0].attempts == 2


def test_silence_is_reported_once(own_world, hidden, event, tmp_path):
    from pipeline_lib.steps import watch as steps

    with serve(own_world) as url:
        register = watching(tmp_path, event, url)
        late = event.start + timedelta(days=13)
        assert steps.poll(register, "valley", late).silent_days == pytest.approx(13)
        register.report_silence("valley", late)
        assert steps.poll(register, "valley", late + timedelta(days=1)).silent_days is None


def test_retention_removes_what_nobody_used(own_world, event, tmp_path):
    options = RetentionOptions(intermediates_days=1)
    folder = Path(store_of(tmp_path).save("scene", "a", xr.Dataset({"vv": ("x", np.ones(9))})).href).parent
    killed = folder / "b.0123456789ab.zarr"
    killed.mkdir()
    (killed / "data").write_bytes(b"x" * 1000)
    early = forget(tmp_path, options, event.end.replace(year=2000))
    assert (early.datasets, early.groups) == (0, 0)
    late = forget(tmp_path, options, event.end.replace(year=2100))
    assert (late.datasets, late.groups, late.freed_bytes) == (1, 1, 1000)
    later = forget(tmp_path, options, event.end.replace(year=2100))
    assert (later.datasets, later.groups) == (0, 1)
    assert list(folder.iterdir()) == []
