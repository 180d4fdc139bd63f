"""What names and properties of Sentinel items say."""

from datetime import datetime, timezone

import pytest

from pipeline_lib.catalog import sentinel
from pipeline_lib.model import OrbitDirection

GRD = "S1A_IW_GRDH_1SDV_20200708T182643_20200708T182708_033367_03DDAA_9550"


@pytest.mark.parametrize(
    ("name", "platform", "orbit"),
    [
        # Absolute and relative orbits as the manifests of these products have them.
        ("S1A_IW_SLC__1SDV_20220104T170557_20220104T170624_041314_04E951_F1F1", "S1A", 117),
        ("S1B_IW_GRDH_1SDV_20211223T051122_20211223T051147_030148_039993_5371", "S1B", 22),
        (GRD, "S1A", 45),
        # As the Copernicus Data Space has it.
        ("S1D_IW_GRDH_1SDV_20260927T112236_20260927T112305_004762_008EC4_A3A7", "S1D", 171),
        # S1C was moved in June 2026: what an absolute orbit means since then is not guessed.
        ("S1C_IW_GRDH_1SDV_20250601T112236_20250601T112305_002600_008EC4_A3A7", "S1C", (2600 - 172) % 175 + 1),
        ("S1C_IW_GRDH_1SDV_20260701T112236_20260701T112305_008200_008EC4_A3A7", "S1C", None),
        ("no-name-of-esa", "S1A", None),
    ],
)
def test_relative_orbit_from_the_name(name, platform, orbit):
    assert sentinel.relative_orbit_of({}, name, platform) == orbit


def test_the_items_own_word_counts_more():
    assert sentinel.relative_orbit_of({"sat:relative_orbit": 66}, GRD, "S1A") == 66
    assert sentinel.relative_orbit_of({"sat:relative_orbit": "66"}, GRD, "S1A") == 66
    assert sentinel.relative_orbit_of({"sat:relative_orbit": True}, GRD, "S1A") == 45


@pytest.mark.parametrize(
    ("given", "platform"),
    [
        ("SENTINEL-1A", "S1A"),
        ("sentinel-1c", "S1C"),
        ("Sentinel-2B", "S2B"),
        ("S1D", "S1D"),
        ("sentinel-1", "S1A"),
        (None, "S1A"),
        ("landsat-8", "S1A"),
    ],
)
def test_platform_from_property_else_from_the_name(given, platform):
    assert sentinel.platform_of({"platform": given}, GRD) == platform


def test_sensing_falls_back_to_the_name_and_never_runs_backwards():
    start, end = sentinel.sensing_of({}, GRD)
    assert (start, end) == (
        datetime(2020, 7, 8, 18, 26, 43, tzinfo=timezone.utc),
        datetime(2020, 7, 8, 18, 27, 8, tzinfo=timezone.utc),
    )
    backwards = {"start_datetime": "2020-01-02T00:00:00Z", "end_datetime": "2020-01-01T00:00:00Z"}
    assert sentinel.sensing_of(backwards, "x") is None
    assert sentinel.sensing_of({}, "x") is None


def test_what_slices_have_in_common():
    assert (
        sentinel.datatake_of({"s2:datatake_id": "GS2A_20190101T000001_018417_N02.12"}, "x")
        == "GS2A_20190101T000001_018417"
    )
    assert sentinel.datatake_of({"s1:datatake_id": "227548"}, GRD) == "03DDAA"
    assert sentinel.datatake_of({"s1:datatake_id": "227548"}, "x") == "227548"
    assert sentinel.datatake_of({}, "x") is None
    assert sentinel.direction_of({"sat:orbit_state": "DESCENDING"}) is OrbitDirection.DESCENDING
    assert sentinel.direction_of({"sat:orbit_state": "geostationary"}) is None
