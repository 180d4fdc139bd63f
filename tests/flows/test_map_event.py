"""The main flow on a real Prefect server, against a real STAC API over HTTP."""

import importlib
import json
import logging
import time
import uuid
from pathlib import Path

import fsspec
import httpx
import numpy as np
import pytest
import rasterio
from distributed import LocalCluster
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, FlowRunFilter, FlowRunFilterName
from prefect.events import emit_event
from prefect.states import StateType
from rasterio.warp import reproject
from typer import Typer
from typer.testing import CliRunner

from flows.commands.evaluate import register
from flows.commands.world import world_app
from flows.map_event import map_event
from flows.mirror_events import mirror_events
from pipeline_lib.errors import AssetError, IncompleteEventError, MirrorError, NoAcquisitionError
from pipeline_lib.model import CatalogReference, Grid, MappingPlan, Stored
from pipeline_lib.options.map_event import MapOptions
from pipeline_lib.steps.map_event import Place
from pipeline_lib.steps.mapped import Ancillaries, Mapped
from pipeline_lib.steps.score_event import score_event
from pipeline_lib.world.server import serve

flow_module = importlib.import_module("flows.map_event")  # the package's name of the same spelling is the flow

COUNTS = ("true_positive", "false_positive", "false_negative", "true_negative")

pytestmark = [pytest.mark.xdist_group("prefect"), pytest.mark.usefixtures("prefect_server")]


@pytest.fixture(scope="module")
def mapped(archive, event, tmp_path_factory, prefect_server):
    """The simulated flood, mapped once."""
    out = tmp_path_factory.mktemp("out")
    return out, map_event(event, archive, str(out))


def test_the_event_is_published_with_all_its_passes(mapped, event):
    out, product = mapped
    assert product.version == 1
    assert product.figures.passes == 4
    assert product.figures.flood_area_km2 > 0
    for name in ("index.html", "quicklook.png", "collection.json"):
        assert (out / event.event_id / name).stat().st_size > 0


def test_the_map_agrees_with_the_truth(mapped, event, small_world):
    out, _ = mapped
    scores = score_event(out, event.event_id, small_world)
    assert scores.pooled_flood_open_land.water_precision > 0.7
    assert scores.pooled_flood_open_land.water_recall > 0.5
    assert min(one.not_observed_agreement for one in scores.passes) > 0.99
    told = CliRunner().invoke(world_app, ["score", event.event_id, str(small_world), "--out", str(out)])
    assert told.exit_code == 0, told.output
    assert f"{scores.pooled_flood_open_land.water_iou:.3f}" in told.output.splitlines()[-1]


def test_dry_excluded_and_not_observed_are_three_values(mapped, event):
    out, _ = mapped
    rasters = sorted((out / event.event_id).glob("current/passes/*/flood_extent.tif")) or sorted(
        (out / event.event_id).glob("current/**/*flood_extent.tif")
    )
    codes = set()
    for raster in rasters:
        with rasterio.open(raster) as dataset:
            assert dataset.nodata == 255
            codes |= set(dataset.read(1).ravel().tolist())
    assert {0, 1, 254, 255} <= codes


def test_every_pass_says_how_well_it_lies_on_its_references(mapped, event):
    out, _ = mapped
    items = list((out / event.event_id).glob("current/passes/*/*.json"))
    assert len(items) == 4
    for path in items:
        shift = json.loads(path.read_text())["properties"]["overbank:residual_shift"]
        assert abs(shift["dy_px"]) < 0.5
        assert abs(shift["dx_px"]) < 0.5
        assert shift["corrected"] is False


def test_sentinel_2_shows_the_time_before_and_where_the_passes_lie(mapped, event):
    out, _ = mapped
    for path in (out / event.event_id).glob("current/passes/*/*.json"):
        shift = json.loads(path.read_text())["properties"]["overbank:residual_shift_optical"]
        assert "optical" in shift["reference"]
        assert shift["corrected"] is False
    folder = out / event.event_id / "current" / "event"
    assets = json.loads(next(folder.glob("*.json")).read_text())["assets"]
    assert assets["true_colour"]["roles"] == ["visual"]
    with rasterio.open(folder / "true_colour.tif") as picture, rasterio.open(folder / "optical_water.tif") as water:
        assert picture.descriptions == ("red", "green", "blue")
        seen, codes = picture.read().any(axis=0), water.read(1)
    assert {0, 1} <= set(codes.ravel().tolist()) <= {0, 1, 255}
    assert ((codes != 255) == seen).mean() > 0.99
    assert seen.mean() > 0.3


class _Failed:
    """A future that ended badly."""

    def result(self):
        raise AssetError("Asset 'B03' of item S2 cannot be read: truncated.")


@pytest.mark.slow
def test_sentinel_2_that_cannot_be_read_costs_a_note_and_no_map(event, monkeypatch):
    monkeypatch.setattr(flow_module, "run_logger", lambda: logging.getLogger("test"))
    grid = Grid(crs="EPSG:32632", transform=(10, 0, 0, 0, -10, 0), shape=(10, 10))
    catalog = CatalogReference(profile="generic", url="http://localhost")
    plan = MappingPlan(event=event, catalog=catalog, grid=grid, passes=(), notes=("one",))
    mosaic = Stored(href="", kind="event", key="")
    mapped = Mapped(plan=plan, passes=(), ancillaries=Ancillaries(), mosaic=mosaic)
    done = flow_module._seen_from_above(mapped, _Failed(), Place(workspace="")).plan
    assert done.notes[0] == "one"
    assert "B03" in done.notes[1]
    assert done.digest == plan.digest
    assert flow_module._seen_from_above(mapped, None, Place(workspace="")) is mapped


def test_the_run_shows_itself_in_the_ui(mapped, event):
    """Several tests map the same event, in any order; that of ``mapped`` is one of those that published it."""
    by_key = next(found for found in _artifacts_of_runs(f"map {event.event_id}") if "page" in found)
    assert {"acquisitions", "summary", "map", "page", "progress"} <= set(by_key)
    assert str(by_key["map"].data).startswith("data:image/png;base64,")
    assert float(by_key["progress"].data) == 100.0


def _artifacts_of_runs(name):
    """The artifacts by key of every flow run of that name."""
    with get_client(sync_client=True) as client:
        for run in client.read_flow_runs(flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=[name]))):
            wanted = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id]))
            yield {artifact.key: artifact for artifact in client.read_artifacts(artifact_filter=wanted)}


def test_the_version_is_an_asset_made_of_the_items_of_the_catalogue(mapped, event):
    out, product = mapped
    key = f"file://{out.resolve() / event.event_id}"
    _wait_for_events()
    (made,) = _events("prefect.asset.materialization.succeeded", resource={"id": [key]})
    assert made["resource"]["prefect.resource.name"] == event.title
    assert made["resource"]["prefect.asset.url"].endswith("index.html")
    assert (made["payload"]["version"], made["payload"]["passes"]) == (product.version, 4)
    assert made["payload"]["plan_digest"] == product.plan_digest
    assert made["payload"]["flood_area_km2"] == product.figures.flood_area_km2
    by_role = {
        role: [one["prefect.resource.id"] for one in made["related"] if one["prefect.resource.role"] == role]
        for role in ("asset", "asset-materialized-by", "flow-run")
    }
    assert by_role["asset-materialized-by"] == ["overbank"]
    assert len(by_role["flow-run"]) == 1
    told = {httpx.get(address, timeout=300).raise_for_status().json()["id"] for address in by_role["asset"]}
    assert told == set(_item_ids(json.loads((out / event.event_id / "current" / "plan.json").read_text())))
    assert made["payload"]["catalogue_items"] == len(told) == len(by_role["asset"])
    referenced = _events("prefect.asset.referenced", related={"id": by_role["flow-run"]})
    assert sorted(one["resource"]["prefect.resource.id"] for one in referenced) == sorted(by_role["asset"])


def _item_ids(part):
    """Every item that a plan names."""
    if isinstance(part, dict):
        yield from [part["item_id"]] if "item_id" in part else []
    for one in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _item_ids(one)


def _events(name, **which):
    """The events of that name that the server has written."""
    wanted = {"filter": {"event": {"name": [name]}, **which}}
    with get_client(sync_client=True) as client:
        return client.request("POST", "/events/filter", json=wanted).json()["events"]


def _wait_for_events():
    """Until the server has written what was emitted up to now, which it does in order."""
    last = f"test.{uuid.uuid4()}"
    emit_event(last, resource={"prefect.resource.id": last})
    while not _events(last):  # the test's own limit ends a wait in vain
        time.sleep(0.2)


def test_mapping_again_changes_nothing(mapped, archive, event):
    out, product = mapped
    store = out / ".overbank" / "store"
    before = {path: path.stat().st_mtime_ns for path in store.glob("*/*")}
    again = map_event(event, archive, str(out))
    assert again.version == product.version
    assert {path: path.stat().st_mtime_ns for path in store.glob("*/*")} == before
    key = f"file://{out.resolve() / event.event_id}"
    _wait_for_events()
    assert len(_events("prefect.asset.materialization.succeeded", resource={"id": [key]})) == 1


def test_what_is_published_is_mirrored_and_a_mirror_that_is_away_is_said_and_holds_nothing_up(
    mapped, archive, event, tmp_path, monkeypatch
):
    out, product = mapped
    monkeypatch.setenv("OVERBANK_MIRROR", "memory://mirrored/floods")
    assert map_event(event, archive, str(out)).version == product.version
    collection = json.loads(fsspec.filesystem("memory").cat(f"/mirrored/floods/{event.event_id}/collection.json"))
    assert collection["version"] == str(product.version)
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("OVERBANK_MIRROR", str(tmp_path / "file" / "floods"))
    state = map_event(event, archive, str(out), return_state=True)
    assert (state.type, state.name) == (StateType.COMPLETED, "Published, mirror behind")
    assert "What is published stays" in state.message
    assert state.result().version == product.version
    with pytest.raises(MirrorError, match="is behind"):
        mirror_events(str(out))
    monkeypatch.setenv("OVERBANK_MIRROR", "memory://mirrored/again")
    assert mirror_events(str(out)) == 1
    assert mirror_events(str(out)) == 0


@pytest.mark.slow
def test_a_cluster_by_address_gives_the_same_pixels(mapped, archive, event, tmp_path):
    out, _ = mapped
    with LocalCluster(n_workers=1, threads_per_worker=2, processes=True, dashboard_address=":0") as cluster:
        map_event(event, archive, str(tmp_path), MapOptions(dask_address=cluster.scheduler_address))
    mine = sorted(path.relative_to(tmp_path) for path in tmp_path.glob(f"{event.event_id}/versions/0001/**/*.tif"))
    assert mine
    for name in mine:
        with rasterio.open(tmp_path / name) as one, rasterio.open(out / name) as other:
            assert (one.read() == other.read()).all(), name


@pytest.mark.slow
def test_a_missing_asset_leaves_the_other_passes_and_says_so(own_world, event, tmp_path):
    item = json.loads(_item(own_world, "S1A_IW_GRDH_1SDV_20251105").read_text())
    asset = own_world / item["assets"]["vh"]["href"]
    asset.unlink()
    with serve(own_world) as url, pytest.raises(IncompleteEventError, match=r"3 of 4 passes.*S1A_20251105"):
        map_event(event, url, str(tmp_path))
    record = json.loads((tmp_path / event.event_id / "current" / "record.json").read_text())
    assert len(record["passes"]) == 3


@pytest.mark.slow
def test_when_every_pass_fails_what_was_published_stays(own_world, event, tmp_path, mapped):
    out, product = mapped
    before = (out / event.event_id / "collection.json").read_bytes()
    for path in own_world.glob("assets/sentinel-1-rtc/*/vv.tif"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    changed = MapOptions.model_validate({"prepare": {"resampling": "nearest"}})
    with serve(own_world) as url, pytest.raises(AssetError, match="vv"):
        map_event(event, url, str(out), changed)
    assert (out / event.event_id / "collection.json").read_bytes() == before
    assert product.version == 1


def test_nothing_found_is_said(archive, event, tmp_path):
    long_ago = event.model_copy(update={"start": event.start.replace(year=2001), "end": event.end.replace(year=2001)})
    with pytest.raises(NoAcquisitionError):
        map_event(long_ago, archive, str(tmp_path))
    assert not (tmp_path / event.event_id).exists()


def _item(world: Path, prefix: str) -> Path:
    return next(world.glob(f"items/sentinel-1-rtc/{prefix}*.json"))


def test_outside_maps_are_scored_in_one_command(mapped, event, outside, tmp_path):
    folder = mapped[0] / event.event_id
    with rasterio.open(folder / "current" / "event" / "flood_extent.tif") as ours:
        codes, here = ours.read(1), {"dst_crs": ours.crs, "dst_transform": ours.transform}
    there = {"src_crs": outside.place.crs, "src_transform": outside.place.transform()}
    wet, told = (
        reproject(mask.astype("uint8"), np.zeros_like(codes), **there, **here)[0] == 1
        for mask in (outside.wet, outside.told)
    )
    counted = told & (codes < 254)
    expected = ((codes == 1) & wet & counted).sum() / (((codes == 1) | wet) & counted).sum()
    app = Typer()
    register(app)
    for reference, more, tolerance in (
        (outside.gfm, ["--format", "gfm", "--exclusion", str(outside.exclusion)], 0.03),
        (outside.flood, ["--area", str(outside.area)], 0.002),
    ):
        done = CliRunner().invoke(app, ["score", str(folder), str(reference), *more, "--out", str(tmp_path / "s.json")])
        assert done.exit_code == 0, done.output
        pooled = json.loads((tmp_path / "s.json").read_text())["scores"]["pooled"]
        assert pooled["water_iou"] == pytest.approx(expected, abs=tolerance)
        assert sum(pooled["confusion"][name] for name in COUNTS) == pytest.approx(counted.sum(), rel=0.02)
