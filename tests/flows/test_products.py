"""GRD and RTC mixed, lagging, missing: every pass is mapped whole and compared with what was made alike."""

import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr

from flows.map_event import map_event
from flows.watch_catalogue import watch_catalogue
from pipeline_lib.errors import NoAcquisitionError
from pipeline_lib.model import ProductType
from pipeline_lib.options.map_event import MapOptions
from pipeline_lib.options.search import ProductChoice
from pipeline_lib.options.world import WorldOptions
from pipeline_lib.steps.decide import search_and_plan
from pipeline_lib.steps.event import read_event
from pipeline_lib.steps.watch import register_of
from pipeline_lib.watch import PassState, Watch
from pipeline_lib.world.build import build_world
from pipeline_lib.world.server import serve
from pipeline_lib.world.truth import flood_of, open_land, truth_for, truth_layer

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("prefect"), pytest.mark.usefixtures("prefect_server")]

RTC, GRD = ProductType.RTC, ProductType.GRD
OPTIONS = MapOptions.model_validate({"search": {"optical": False}, "publish": {"vectors": ["geojson"]}})
LAG, DOWNLINK = timedelta(days=3), timedelta(hours=3)


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> Path:
    """A world whose passes exist as GRD and as RTC."""
    return build_world(tmp_path_factory.mktemp("both") / "world", WorldOptions(seed=7, size=288, grd=True))


@pytest.fixture
def archive(both, tmp_path):
    """A copy of it that shares its images and may lose or change items."""
    folder = tmp_path / "archive"
    shutil.copytree(both, folder, ignore=shutil.ignore_patterns("assets", "truth"))
    for name in ("assets", "truth"):
        (folder / name).symlink_to(both / name)
    return folder


def items_of(folder, collection):
    return {path: json.loads(path.read_text()) for path in sorted((folder / "items" / collection).glob("*.json"))}


def drop(folder, collection, *fragments):
    for path in items_of(folder, collection):
        if any(fragment in path.name for fragment in fragments):
            path.unlink()


def planned(folder, catalog=None, options=OPTIONS, **changes):
    event = read_event(folder / "event.yaml").model_copy(update=changes)
    with serve(folder) as url:
        return search_and_plan(event, catalog or url, options)


def pass_of(plan, day):
    return next(one for one in plan.passes if f"{one.acquisition.start:%m%d}" == day)


def products(one):
    return one.acquisition.product, {other.product for other in one.references}, len(one.references)


def test_a_pass_that_exists_as_grd_alone_is_compared_with_grd(archive):
    """Case B01 a; also where it is the only one of its period."""
    drop(archive, "sentinel-1-rtc", "_20251101T")
    plan = planned(archive)
    assert products(pass_of(plan, "1101")) == (GRD, {GRD}, 5)
    assert [products(pass_of(plan, day)) for day in ("1030", "1105", "1107")] == [(RTC, {RTC}, 5)] * 3
    start = datetime.fromisoformat("2025-10-31T00:00Z")
    alone = planned(archive, start=start, end=start + timedelta(days=2))
    assert [products(one) for one in alone.passes] == [(GRD, {GRD}, 5)]


def test_references_that_exist_as_grd_alone(archive):
    """Case B01 b."""
    drop(archive, "sentinel-1-rtc", "_202509", "_202510")
    plan = planned(archive)
    assert [products(one) for one in plan.passes] == [(GRD, {GRD}, 5)] * 4


def test_a_pass_of_which_one_slice_is_terrain_corrected_is_mapped_whole(archive, both, tmp_path):
    """Case B02: no part of the area is unseen on that date, and the flood is as large as of the whole RTC pass."""
    drop(archive, "sentinel-1-rtc", "_20251101T171515_20251101T171540_")
    plan = planned(archive)
    one = pass_of(plan, "1101")
    assert products(one) == (GRD, {GRD}, 5)
    assert one.acquisition.coverage == pytest.approx(1.0, abs=0.001)
    assert len({item.collection for item in one.acquisition.slices}) == 1
    assert any("as RTC of sentinel-1-rtc it covers 44.8% of the area" in note for note in plan.notes)
    event = read_event(both / "event.yaml").model_copy(update={"start": one.acquisition.start - timedelta(hours=1)})
    short = event.model_copy(update={"end": one.acquisition.end + timedelta(hours=1)})
    areas = []
    for folder, out in ((archive, tmp_path / "grd"), (both, tmp_path / "rtc")):
        with serve(folder) as url:
            product = map_event(short, url, str(out), OPTIONS)
        areas.append(product.figures.flood_area_km2)
        with rasterio.open(next(out.glob("*/current/passes/*/flood_extent.tif"))) as layer:
            assert (layer.read(1) == 255).mean() < 0.05
    assert areas[0] == pytest.approx(areas[1], rel=0.1)


def test_grd_of_a_catalogue_without_elevation(archive, both, tmp_path):
    """It is placed by a second catalogue's elevation, or by a file; else the plan refuses, with what to do."""
    shutil.rmtree(archive / "items" / "cop-dem-glo-30")
    (archive / "collections" / "cop-dem-glo-30.json").unlink()
    only_grd = OPTIONS.model_copy(update={"search": OPTIONS.search.model_copy(update={"product": ProductChoice.GRD})})
    with pytest.raises(NoAcquisitionError, match="--dem-catalog"):
        planned(archive, options=only_grd)
    assert {one.acquisition.product for one in planned(archive).passes} == {RTC}
    raster = next((both / "assets" / "cop-dem-glo-30").rglob("*.tif"))
    with serve(both) as elsewhere:
        for dem in (elsewhere, str(raster)):
            search = only_grd.search.model_copy(update={"dem_catalog": dem})
            plan = planned(archive, options=only_grd.model_copy(update={"search": search}))
            assert {one.acquisition.product for one in plan.passes} == {GRD}
            assert len(plan.dem) == 1
    day = pass_of(plan, "1030").acquisition
    event = read_event(archive / "event.yaml").model_copy(
        update={"start": day.start - timedelta(hours=1), "end": day.end + timedelta(hours=1)}
    )
    with serve(archive) as url:
        product = map_event(event, url, str(tmp_path / "out"), only_grd.model_copy(update={"search": search}))
    assert product.figures.observed_share > 0.9


def test_a_mixture_is_used_with_its_gain(archive, tmp_path):
    """Nothing but GRD of the passes and RTC of the references: the gain between both is in plan and item."""
    drop(archive, "sentinel-1-rtc", "_20251101T", "_20251107T", "_20251105T", "_20251030T")
    drop(archive, "sentinel-1-grd", "_202509", "_202510")
    plan = planned(archive)
    one = pass_of(plan, "1101")
    assert products(one) == (GRD, {RTC}, 5)
    assert any("gain between both is measured" in note for note in plan.notes)
    event = plan.event.model_copy(
        update={"start": one.acquisition.start - timedelta(hours=1), "end": one.acquisition.end + timedelta(hours=1)}
    )
    with serve(archive) as url:
        map_event(event, url, str(tmp_path / "out"), OPTIONS)
    item = json.loads(next((tmp_path / "out").glob("*/current/passes/*/S1A*.json")).read_text())["properties"]
    gain = item["overbank:product_gain"]
    assert gain["reason"] == ""
    assert gain["references"] == "RTC of sentinel-1-rtc"
    assert set(gain["gain_db"]) == {"vv", "vh"}
    assert all(abs(value) < 1.0 for value in gain["gain_db"].values())
    assert pass_iou(archive, tmp_path / "out") == pytest.approx(0.8, abs=0.15)


def pass_iou(world, out):
    """IoU of the flood on open land, of all published passes together."""
    hit = either = 0
    for path in sorted(out.glob("*/current/passes/*/flood_extent.tif")):
        scene = path.parent.name
        with xr.open_dataarray(path, engine="rasterio", mask_and_scale=False) as opened:
            codes = opened.squeeze("band", drop=True).load()
        place = {"x": codes.x, "y": codes.y, "method": "nearest"}
        land, seen, truth = (
            one.sel(**place).to_numpy()
            for one in (open_land(world), truth_layer(world, "observed", scene), flood_of(truth_for(world, scene)))
        )
        told = land & (seen == 1) & (codes.to_numpy() < 2)
        wet, true = (codes.to_numpy() == 1) & told, truth & told
        hit, either = hit + int((wet & true).sum()), either + int((wet | true).sum())
    return hit / either


def test_rtc_that_lags_three_days_is_watched_through(archive, both, tmp_path):
    """Each pass is mapped once from GRD at the first poll after it appears, and from RTC once that is there."""
    for collection, lag in (("sentinel-1-grd", DOWNLINK), ("sentinel-1-rtc", LAG)):
        for path, item in items_of(archive, collection).items():
            sensed = datetime.fromisoformat(item["properties"]["end_datetime"])
            item["properties"]["published"] = (sensed + lag).isoformat()
            path.write_text(json.dumps(item))
    event = read_event(archive / "event.yaml")
    register = register_of(tmp_path / "watched")
    fields = {
        "name": "valley", "aoi": event.aoi, "since": event.start, "grace_minutes": 0, "rescan_days": 4000,
        "revise": True, "options": OPTIONS.model_dump(mode="json"),
    }  # fmt: skip
    passes = [one.acquisition for one in planned(both).passes]
    moments = sorted({one.end + lag + timedelta(minutes=5) for one in passes for lag in (DOWNLINK, LAG)})
    now = [moments[0]]
    seen = []
    with serve(archive, clock=lambda: now[0]) as url:
        register.add(Watch.model_validate({**fields, "catalog": url}))
        for moment in moments:
            now[0] = moment
            asked = watch_catalogue(str(tmp_path / "watched"), name="valley", inline=True)
            assert asked == 1, f"{asked} passes at {moment}"
            assert watch_catalogue(str(tmp_path / "watched"), name="valley", inline=True) == 0
            due = min(passes, key=lambda one: min(abs(moment - one.end - lag) for lag in (DOWNLINK, LAG)))
            plan = json.loads(next((tmp_path / "watched").glob("valley*/current/plan.json")).read_text())
            mapped = next(one for one in plan["passes"] if one["acquisition"]["acquisition_id"] == due.acquisition_id)
            made = {ref["product"] for ref in mapped["references"]}
            seen.append((due.acquisition_id, mapped["acquisition"]["product"], made, len(mapped["references"])))
    for one in passes:
        told = [entry[1:] for entry in seen if entry[0] == one.acquisition_id]
        assert told == [("GRD", {"GRD"}, 5), ("RTC", {"RTC"}, 5)]
    assert {known.state for known in register.passes("valley")} == {PassState.MAPPED}
    with serve(both) as url:
        all_rtc = OPTIONS.model_copy(
            update={"search": OPTIONS.search.model_copy(update={"product": ProductChoice.RTC})}
        )
        map_event(event, url, str(tmp_path / "rtc"), all_rtc)
    reached, wanted = pass_iou(both, tmp_path / "watched"), pass_iou(both, tmp_path / "rtc")
    assert reached == pytest.approx(wanted, abs=0.01), f"open-land IoU: watched {reached:.4f}, all RTC {wanted:.4f}"


def test_two_catalogues_with_half_of_the_passes_each_give_the_same_event(both, tmp_path):
    halves = []
    for number in range(2):
        folder = tmp_path / f"half{number}"
        shutil.copytree(both, folder, ignore=shutil.ignore_patterns("assets", "truth"))
        (folder / "assets").symlink_to(both / "assets")
        for collection in ("sentinel-1-rtc", "sentinel-1-grd"):
            for position, path in enumerate(items_of(folder, collection)):
                if position % 2 == number:
                    path.unlink()
        halves.append(folder)
    event = read_event(both / "event.yaml")
    with serve(both) as url:
        whole = search_and_plan(event, url, OPTIONS)
        map_event(event, url, str(tmp_path / "one"), OPTIONS)
    with serve(halves[0]) as first, serve(halves[1]) as second:
        plan = search_and_plan(event, f"{first},{second}", OPTIONS)
        map_event(event, f"{first},{second}", str(tmp_path / "two"), OPTIONS)
        sources = {item.catalog.url for one in plan.passes for item in one.acquisition.slices}
        assert sources == {first, second}
        assert any(len({item.catalog.url for item in one.acquisition.slices}) == 2 for one in plan.passes)
    assert plan.digest == whole.digest
    layers = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").glob("*/current/**/*.tif"))
    assert len(layers) > 10
    for layer in layers:
        with rasterio.open(tmp_path / "one" / layer) as one, rasterio.open(tmp_path / "two" / layer) as two:
            assert np.array_equal(one.read(), two.read(), equal_nan=one.dtypes[0].startswith("float")), layer


def test_a_catalogue_that_is_down_is_left_out_and_said(both):
    event = read_event(both / "event.yaml")
    impatient = {"attempts": 1, "backoff_s": 0.0, "total_time_s": 5.0, "optical": False}
    options = OPTIONS.model_copy(update={"search": OPTIONS.search.model_copy(update=impatient)})
    with serve(both) as url:
        plan = search_and_plan(event, f"http://127.0.0.1:9,{url}", options)
        assert plan.notes[-1].startswith("The catalogue http://127.0.0.1:9 is left out")
        assert plan.passes == search_and_plan(event, url, options).passes
