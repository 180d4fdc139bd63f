"""A built world is complete, reproducible, and readable by what reads real archives."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import rasterio
import xarray as xr
import yaml
from rio_cogeo.cogeo import cog_validate
from shapely.geometry import box, mapping, shape

from pipeline_lib.catalog.items import parse_item
from pipeline_lib.catalog.merge import acquisitions_of
from pipeline_lib.catalog.profiles import profile_of, resolve_catalog
from pipeline_lib.catalog.safety import policy_of
from pipeline_lib.errors import InputError, StoreError
from pipeline_lib.model import Event
from pipeline_lib.model.acquisition import ProductType
from pipeline_lib.options.world import RadarOptions, WorldOptions
from pipeline_lib.steps.world import build_world as build_by_command
from pipeline_lib.world.build import build_world, sweep
from pipeline_lib.world.simulate import make_land, radar_scenes, world_geobox
from pipeline_lib.world.truth import truth_for, truth_layer, truth_scenes

TINY = WorldOptions(seed=2, size=128, radar=RadarOptions(dry_passes_per_orbit=1))


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def items_of(world, collection):
    return [json.loads(path.read_text()) for path in sorted((world / "items" / collection).glob("*.json"))]


def test_same_options_same_bytes_and_another_seed_another_world(tmp_path):
    one, other = (files_of(build_world(tmp_path / name, TINY)) for name in ("one", "other"))
    assert one == other
    another = files_of(build_world(tmp_path / "one", TINY.model_copy(update={"seed": 3})))
    radar, other_radar = ({name for name in found if name.endswith("vv.tif")} for found in (one, another))
    assert radar == other_radar
    assert all(one[name] != another[name] for name in one if name.endswith(("vv.tif", "B08_10m.tif")))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "other"]


def test_second_build_of_the_same_world_touches_nothing(tmp_path):
    folder = build_world(tmp_path / "world", TINY)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    build_world(folder, TINY)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_killed_build_leaves_no_world_and_the_next_one_cleans_up(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path; from pipeline_lib.options.world import WorldOptions\n"
        "from pipeline_lib.world import build\n"
        "build.write_radar_truth = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "build.build_world(Path(sys.argv[1]), WorldOptions(size=128))\n"
    )
    folder = tmp_path / "world"
    killed = subprocess.run([sys.executable, "-c", code, str(folder)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not folder.exists()
    assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.glob(".world.*.partial/assets/sentinel-1-rtc/*/vv.tif"))
    build_world(folder, TINY)
    assert [path.name for path in tmp_path.iterdir()] == ["world"]


def test_a_running_build_is_not_swept(tmp_path):
    running = tmp_path / f".world.{os.getpid()}-abc.partial"
    running.mkdir()
    (tmp_path / ".world.notes").mkdir()
    assert sweep(tmp_path / "world") == 0
    assert running.is_dir()


def test_what_is_not_a_world_is_never_replaced(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter.txt").write_text("mine")
    with pytest.raises(InputError, match="holds no simulated world"):
        build_world(tmp_path / "thesis", TINY)
    with pytest.raises(InputError, match="is a file"):
        build_world(tmp_path / "thesis/chapter.txt", TINY)
    assert (tmp_path / "thesis/chapter.txt").read_text() == "mine"


def test_folder_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"Cannot write .*file/world"):
        build_world(tmp_path / "file/world", TINY)


@pytest.mark.parametrize(("seed", "size"), [(-1, 256), (7, 16), (7, 100_000)])
def test_command_refuses_worlds_out_of_range(tmp_path, seed, size):
    with pytest.raises(InputError, match="128 to 8192"):
        build_by_command(tmp_path / "world", seed=seed, size=size)


def test_every_raster_is_a_valid_cog(small_world):
    rasters = sorted(small_world.rglob("*.tif"))
    assert len(rasters) > 100
    for path in rasters[::5]:
        valid, errors, _ = cog_validate(path, quiet=True)
        assert valid, (path.name, errors)


def test_radar_pixels_are_those_of_planetary_computer(small_world):
    for one in items_of(small_world, "sentinel-1-rtc"):
        for name in ("vv", "vh"):
            with rasterio.open(small_world / one["assets"][name]["href"]) as opened:
                assert (opened.dtypes[0], opened.nodata, opened.crs.to_epsg()) == ("float32", -32768.0, 32632)
                assert list(opened.shape) == one["properties"]["proj:shape"]
                assert list(opened.transform)[:6] == one["properties"]["proj:transform"][:6]
                assert [value % 10 for value in (opened.transform.c, opened.transform.f)] == [0, 0]
                pixels = opened.read(1, masked=True)
                assert (pixels.compressed() > 0).all()
                assert np.isfinite(pixels.compressed()).all()


def test_optical_pixels_carry_offset_and_no_data(small_world):
    clear, *_ = items_of(small_world, "sentinel-2-l2a")
    with rasterio.open(small_world / clear["assets"]["B04"]["href"]) as opened:
        numbers = opened.read(1)
        assert (opened.dtypes[0], opened.nodata) == ("uint16", 0)
    assert 1000 < numbers.min() < 1400
    with rasterio.open(small_world / clear["assets"]["SCL"]["href"]) as opened:
        assert opened.shape == (144, 144)
        assert set(np.unique(opened.read(1))) <= set(range(2, 12))


def test_slices_merge_to_the_simulated_pass(small_world):
    options = WorldOptions(seed=7, size=288)
    land = make_land(options)
    for scene in radar_scenes(options, land):
        if len(scene.radar_pass.slices) == 1 and scene.radar_pass.swath == (0.0, 1.0):
            continue
        whole = np.full((288, 288), np.nan, np.float32)
        times_seen = np.zeros((288, 288), int)
        for item_id in truth_scenes(small_world)[scene.radar_pass.pass_id]["items"]:
            with rasterio.open(small_world / f"assets/sentinel-1-rtc/{item_id}/vh.tif") as opened:
                down, right = (
                    round(part)
                    for part in (~world_geobox(options).affine * (opened.transform.c, opened.transform.f))[::-1]
                )
                part = opened.read(1, masked=True).filled(np.nan)
            window = (slice(down, down + part.shape[0]), slice(right, right + part.shape[1]))
            whole[window] = np.where(np.isfinite(part), part, whole[window])
            times_seen[window] += np.isfinite(part)
        assert np.array_equal(times_seen, scene.observed.astype(int))
        assert np.allclose(whole, scene.vh, rtol=3e-4, equal_nan=True)


def test_catalogue_code_merges_the_passes_and_truth_knows_them_by_the_same_id(small_world):
    catalog = resolve_catalog("http://127.0.0.1:9")
    fields = yaml.safe_load((small_world / "event.yaml").read_text())
    event = Event(aoi=mapping(box(*fields.pop("bbox"))), **fields)
    raw = items_of(small_world, "sentinel-1-rtc")
    for one in raw:
        for asset in one["assets"].values():
            asset["href"] = f"http://127.0.0.1:9/assets/{asset['href']}"
    items = [parse_item(one, "rtc", profile_of(catalog), policy_of(catalog))[0] for one in raw]
    passes, notes = acquisitions_of(items, ProductType.RTC, shape(event.aoi))
    radar = [name for name, entry in truth_scenes(small_world).items() if entry["kind"] == "radar"]
    assert [one.acquisition_id for one in passes] == radar
    assert notes == []
    assert Counter(len(one.slices) for one in passes) == {1: 13, 2: 1}
    assert all(one.polarisations == ("vv", "vh") for one in passes)
    assert [one.coverage > 0.999 for one in passes] == [True] * 13 + [False]
    seen = truth_layer(small_world, "observed", radar[-1]).to_numpy()
    assert passes[-1].coverage == pytest.approx(seen[9:-9, 9:-9].mean(), abs=0.02)


def test_ancillary_layers_cover_the_event_and_agree_with_the_land(small_world):
    west, south, east, north = yaml.safe_load((small_world / "event.yaml").read_text())["bbox"]
    for collection, name in (("cop-dem-glo-30", "data"), ("jrc-gsw", "occurrence")):
        (one,) = items_of(small_world, collection)
        assert box(*one["bbox"]).covers(box(west, south, east, north))
        with xr.open_dataarray(
            small_world / one["assets"][name]["href"], engine="rasterio", mask_and_scale=False
        ) as opened:
            layer = opened.squeeze("band", drop=True).load()
        truth = truth_layer(small_world, {"data": "elevation_m", "occurrence": "occurrence"}[name])
        on_map = layer.rio.reproject_match(truth, resampling=rasterio.enums.Resampling.bilinear).to_numpy()[9:-9, 9:-9]
        expected = truth.to_numpy()[9:-9, 9:-9].astype(float)
        assert np.corrcoef(on_map.ravel(), expected.ravel())[0, 1] > (0.98 if name == "data" else 0.9)
    assert layer.rio.nodata == 255
    assert layer.max() == 100
    dem = items_of(small_world, "cop-dem-glo-30")[0]["properties"]["proj:transform"]
    assert dem[0] == pytest.approx(1 / 3600)
    # Copernicus pixels are centred on whole arc seconds.
    assert (dem[2] * 3600 - 0.5) == pytest.approx(round(dem[2] * 3600 - 0.5), abs=1e-5)


def test_description_holds_class_statistics(small_world):
    description = json.loads((small_world / "world.json").read_text())
    assert sum(description["land_cover_share"].values()) == pytest.approx(1, abs=1e-3)
    assert description["backscatter"]["water"]["vv_mean_db"] < description["backscatter"]["crops"]["vv_mean_db"] - 5
    assert description["shape"] == [288, 288]


def test_truth_by_id_item_and_time(small_world):
    scenes = truth_scenes(small_world)
    name, entry = next((name, one) for name, one in scenes.items() if len(one["items"]) == 2)
    by_id = truth_for(small_world, name)
    from datetime import datetime, timedelta

    moment = datetime.fromisoformat(entry["datetime"]) + timedelta(minutes=3)
    for other in (entry["items"][1], moment):
        assert truth_for(small_world, other).identical(by_id)
    assert by_id.dtype == np.uint8
    assert by_id.rio.crs.to_epsg() == 32632


def test_partial_copy_is_not_taken_for_a_world(small_world, tmp_path):
    shutil.copytree(small_world / "truth", tmp_path / "half/truth")
    with pytest.raises(InputError, match="not a simulated world"):
        truth_scenes(tmp_path / "half")


def test_grd_products_stand_beside_the_terrain_corrected_ones(tmp_path):
    world = build_world(tmp_path / "world", TINY.model_copy(update={"grd": True}))
    grd, rtc = (items_of(world, name) for name in ("sentinel-1-grd", "sentinel-1-rtc"))
    assert [one["id"] + "_rtc" for one in grd] == [one["id"] for one in rtc]
    assert all((world / asset["href"]).is_file() for one in grd for asset in one["assets"].values())
    assert all(truth_for(world, one["id"]).shape == (128, 128) for one in grd)
