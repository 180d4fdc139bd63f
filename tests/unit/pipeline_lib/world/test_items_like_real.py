"""The simulated items carry what the real archives' items carry, field by field."""

import json
import re

import pystac
import pytest
from pystac.validation import validate_dict
from shapely.geometry import box, shape

S1_REAL = "stac/planetary-computer-tasks/pctasks/core/tests/data-files/items/s1-rtc/2019/12/15/IW/DV"
S2_REAL = "stac/real_items_from_cassettes/sentinel-2-l2a/S2A_MSIL2A_20190101T000001_R116_T59ULV_20201007T214655.json"
JRC_REAL = "stac/stactools-jrc-gsw/examples/jrc_gsw_aggregated/0000360000-0000480000/0000360000-0000480000.json"
DEM_REAL = "stac/stactools-cop-dem/examples/cop-dem-glo-30/Copernicus_DSM_COG_10_N53_00_W115_00_DEM"
NOT_MADE = {
    # Metadata files and renderings that no simulated product has.
    "preview", "safe-manifest", "granule-metadata", "inspire-metadata", "product-metadata", "datastrip-metadata",
    "tilejson", "rendered_preview",
}  # fmt: skip


def items_of(world, collection):
    return [json.loads(path.read_text()) for path in sorted((world / "items" / collection).glob("*.json"))]


def kind(value):
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__


def assert_carries(found, real, where, leave_out=()):
    """Every key of the real object is there, with a value of the same type."""
    for key, value in real.items():
        if key in leave_out:
            continue
        assert key in found, f"{where} lacks {key}"
        if value is not None and found[key] is not None:
            assert kind(found[key]) == kind(value), f"{where} {key}: {found[key]!r} for {value!r}"


def test_radar_items(small_world, real_data):
    real = json.loads(next((real_data / S1_REAL).glob("*.json")).read_text())
    items = items_of(small_world, "sentinel-1-rtc")
    assert len(items) == 15
    same = ("sar:frequency_band", "sar:center_frequency", "sar:observation_direction", "sar:instrument_mode")
    same += ("sar:polarizations", "sar:product_type", "sar:resolution_range", "sar:resolution_azimuth")
    same += ("sar:pixel_spacing_range", "sar:looks_range", "sar:looks_azimuth", "sar:looks_equivalent_number")
    same += ("constellation", "s1:processing_level", "s1:resolution", "s1:orbit_source", "s1:product_timeliness")
    for one in items:
        assert_carries(one, real, one["id"])
        assert_carries(one["properties"], real["properties"], one["id"])
        assert {name: one["properties"][name] for name in same} == {name: real["properties"][name] for name in same}
        assert set(one["properties"]["platform"]) <= set("SENTINEL-1AC")
        assert re.fullmatch(r"S1[AC]_IW_GRDH_1SDV_\d{8}T\d{6}_\d{8}T\d{6}_\d{6}_[0-9A-F]{6}_rtc", one["id"])
        orbit, datatake = one["id"].split("_")[6:8]
        assert int(orbit) == one["properties"]["sat:absolute_orbit"]
        assert int(datatake, 16) == int(one["properties"]["s1:datatake_id"])
        for name in ("vv", "vh"):
            assert_carries(one["assets"][name], real["assets"][f"{name}-rtc"], f"{one['id']} {name}", {"eo:bands"})
            assert one["assets"][name]["raster:bands"] == real["assets"][f"{name}-rtc"]["raster:bands"]


def test_only_the_peak_has_two_slices(small_world):
    by_pass = {}
    for one in items_of(small_world, "sentinel-1-rtc"):
        facts = one["properties"]
        by_pass.setdefault((facts["platform"], facts["s1:datatake_id"]), []).append(facts)
    assert sorted(len(group) for group in by_pass.values()) == [1] * 13 + [2]
    first, second = next(group for group in by_pass.values() if len(group) == 2)
    assert int(second["s1:slice_number"]) == int(first["s1:slice_number"]) + 1
    assert first["end_datetime"] < second["start_datetime"]


def test_optical_items(small_world, real_data):
    real = json.loads((real_data / S2_REAL).read_text())
    items = items_of(small_world, "sentinel-2-l2a")
    assert len(items) == 4
    for one in items:
        assert_carries(one, real, one["id"])
        assert_carries(one["properties"], real["properties"], one["id"])
        assert set(real["assets"]) - set(one["assets"]) == NOT_MADE
        assert one["properties"]["s2:processing_baseline"] >= "04.00"
        assert re.fullmatch(r"S2[ABC]_MSIL2A_\d{8}T\d{6}_R\d{3}_T\w{5}_\d{8}T\d{6}", one["id"])
        for name, asset in one["assets"].items():
            assert_carries(asset, real["assets"][name], f"{one['id']} {name}")
            assert asset["gsd"] == real["assets"][name].get("gsd", asset["gsd"])
            assert asset.get("eo:bands") == real["assets"][name].get("eo:bands")
            assert asset["title"] == real["assets"][name]["title"]
        shares = [value for key, value in one["properties"].items() if key.endswith("_percentage")]
        assert sum(shares) == pytest.approx(100, abs=0.01)


def test_water_history_item(small_world, real_data):
    real = json.loads((real_data / JRC_REAL).read_text())
    (one,) = items_of(small_world, "jrc-gsw")
    assert_carries(one, real, one["id"])
    assert_carries(one["properties"], real["properties"], one["id"])
    assert set(one["assets"]) == set(real["assets"])
    for name, asset in real["assets"].items():
        assert_carries(one["assets"][name], asset, name, {"start_datetime", "end_datetime"})


def test_elevation_item(small_world, real_data):
    real = json.loads((real_data / DEM_REAL / f"{DEM_REAL.rsplit('/', maxsplit=1)[1]}.json").read_text())
    (one,) = items_of(small_world, "cop-dem-glo-30")
    assert_carries(one, real, one["id"])
    assert_carries(one["properties"], real["properties"], one["id"], {"proj:epsg"} if "proj:epsg" not in real else ())
    assert set(one["assets"]) == {"data"}
    assert re.fullmatch(r"Copernicus_DSM_COG_10_[NS]\d\d_00_[EW]\d{3}_00_DEM", one["id"])


def test_every_item_and_collection_is_stac(small_world):
    for path in sorted((small_world / "items").rglob("*.json")):
        raw = json.loads(path.read_text())
        one = pystac.Item.from_dict(raw, preserve_dict=True)
        # The schemas at hand are those of 1.1, to which pystac lifts what it reads.
        validate_dict(one.to_dict(include_self_link=False, transform_hrefs=False), extensions=[])
        assert shape(raw["geometry"]).is_valid
        assert box(*raw["bbox"]).buffer(1e-6).covers(shape(raw["geometry"]))
        assert all((small_world / asset["href"]).is_file() for asset in raw["assets"].values())
    for path in sorted((small_world / "collections").glob("*.json")):
        raw = json.loads(path.read_text())
        lifted = pystac.Collection.from_dict(raw, preserve_dict=True)
        validate_dict(lifted.to_dict(include_self_link=False, transform_hrefs=False), extensions=[])
        extent = box(*raw["extent"]["spatial"]["bbox"][0]).buffer(1e-9)
        assert all(extent.covers(box(*one["bbox"])) for one in items_of(small_world, path.stem))
