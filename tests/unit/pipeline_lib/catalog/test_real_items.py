"""Real STAC items of three archives become acquisitions with the right facts."""

import json
from datetime import datetime, timezone
from pathlib import Path

import pytest
from shapely.geometry import box, shape

from pipeline_lib.catalog.items import UnusableItemError, parse_item, product_of
from pipeline_lib.catalog.merge import acquisitions_of
from pipeline_lib.catalog.profiles import PROFILES
from pipeline_lib.catalog.safety import AccessPolicy, UnsafeHrefError
from pipeline_lib.model import OrbitDirection, ProductType

POLICY = AccessPolicy(origin=("stac.example.org", 443))
BASE = "https://stac.example.org/items/"
WORLD = box(-180, -90, 180, 90)
GRD = "S1A_IW_GRDH_1SDV_20210809T173953_20210809T174018_039156_049F13"
A = OrbitDirection.ASCENDING
PC = "planetary-computer-tasks/pctasks/core/tests/data-files/items"
CASSETTES = "real_items_from_cassettes"

# path, profile, role, acquisition id, product, polarisations, relative orbit, direction
RADAR = [
    (
        f"{PC}/s1-rtc/2019/12/15/IW/DV/S1A_IW_GRDH_1SDV_20191215T003835_20191215T003904_030352_0378DC_rtc.json",
        *("planetary-computer", "rtc", "S1A_20191215T003835_R005_A", ProductType.RTC, ("vv", "vh"), 5, A),
    ),
    (
        f"{PC}/s1-rtc/2019/12/15/IW/DH/S1A_IW_GRDH_1SDH_20191215T034818_20191215T034847_030353_0378EA_rtc.json",
        *("planetary-computer", "rtc", "S1A_20191215T034818_R006_A", ProductType.RTC, ("hh", "hv"), 6, A),
    ),
    (
        "stactools-sentinel1/examples/rtc/sentinel1-rtc-aws/2020/S1A_20200103_17RMJ_ASC/S1A_20200103_17RMJ_ASC.json",
        *("generic", "rtc", "S1A_20200103T233556_R121_A", ProductType.RTC, ("vv", "vh"), 121, A),
    ),
    (
        "stactools-sentinel1/examples/rtc/sentinel1-rtc-aws/2016/S1B_20161121_12SYJ_ASC/S1B_20161121_12SYJ_ASC.json",
        *("generic", "rtc", None, ProductType.RTC, None, None, A),
    ),
    (
        f"{CASSETTES}/sentinel-1-grd/S1A_IW_GRDH_1SSH_20250731T135608_20250731T135637_060328_077F7E.json",
        *("earth-search", "grd", "S1A_20250731T135608_R056_A", ProductType.GRD, ("hh",), 56, A),
    ),
    (
        f"stactools-sentinel1/examples/grd/{GRD}/{GRD}.json",
        *("generic", "grd", "S1A_20210809T173953_R059_A", ProductType.GRD, ("vv", "vh"), 59, A),
    ),
]


@pytest.fixture
def stac(real_data) -> Path:
    folder = real_data / "stac"
    if not folder.is_dir():
        pytest.skip(f"no real STAC items: {folder} is not there")
    return folder


def load(path: Path) -> dict:
    return json.loads(path.read_text())


def parse(path: Path, profile: str, role: str, base: str = BASE):
    return parse_item(load(path), role, PROFILES[profile], POLICY, base)


@pytest.mark.parametrize(("path", "profile", "role", "name", "product", "polarisations", "orbit", "direction"), RADAR)
def test_sentinel1(stac, path, profile, role, name, product, polarisations, orbit, direction):
    raw = load(stac / path)
    item, _ = parse(stac / path, profile, role)
    (one,), notes = acquisitions_of([item], product_of(role), WORLD)
    properties = raw["properties"]
    assert name is None or one.acquisition_id == name
    assert one.product is product
    assert one.orbit_direction is direction
    assert one.relative_orbit == properties["sat:relative_orbit"]
    assert orbit is None or one.relative_orbit == orbit
    assert polarisations is None or one.polarisations == polarisations
    assert set(one.polarisations) == {pol.lower() for pol in properties["sar:polarizations"]}
    assert one.platform == f"S1{properties['platform'][-1].upper()}"
    assert one.start == datetime.fromisoformat(properties["start_datetime"]).astimezone(timezone.utc)
    assert one.end == datetime.fromisoformat(properties["end_datetime"]).astimezone(timezone.utc)
    assert notes == []


def test_a_footprint_in_projected_metres_becomes_degrees(stac):
    path = stac / RADAR[0][0]
    assert load(path)["bbox"][0] > 180
    item, notes = parse(path, "planetary-computer", "rtc")
    west, south, east, north = shape(item.footprint).bounds
    # The item's extent in UTM zone 14 north, through an independent formula: central meridian 99 W, about 1 degree
    # per 108 km of easting at 13 N and per 110.6 km of northing.
    assert west == pytest.approx(-99 + (602_280 - 500_000) / 108_400, abs=0.05)
    assert east == pytest.approx(-99 + (885_640 - 500_000) / 108_400, abs=0.1)
    assert south == pytest.approx(1_325_600 / 110_620, abs=0.1)
    assert north == pytest.approx(1_569_800 / 110_620, abs=0.1)
    assert notes == ("footprint in projected coordinates, turned into degrees",)


def test_relative_orbits_follow_from_absolute_ones_as_the_archive_says(stac):
    from pipeline_lib.catalog import sentinel

    checked = 0
    for path in sorted(stac.rglob("S1*.json")):
        properties = load(path).get("properties", {})
        if "sat:absolute_orbit" not in properties:
            continue
        platform = sentinel.platform_of(properties, path.stem)
        without = {key: value for key, value in properties.items() if key != "sat:relative_orbit"}
        assert sentinel.relative_orbit_of(without, path.stem, platform) == properties["sat:relative_orbit"], path.stem
        checked += 1
    assert checked >= 8


def test_slices_of_one_pass_are_merged(stac):
    items = [
        parse(path, "earth-search", "grd")[0] for path in sorted((stac / CASSETTES / "sentinel-1-grd").glob("*.json"))
    ]
    assert len(items) == 3
    (one,), notes = acquisitions_of(reversed(items), ProductType.GRD, WORLD)
    assert [item.item_id for item in one.slices] == [item.item_id for item in items]
    assert (one.start, one.end) == (items[0].start, items[-1].end)
    assert notes == []


@pytest.mark.parametrize(
    ("pattern", "profile", "count"),
    [
        ("sentinel-2-l2a/S2A_MSIL2A_*.json", "planetary-computer", 30),
        ("sentinel-2-l2a/S2[AB]_[0-9]*.json", "earth-search", 6),
        ("sentinel-2-c1-l2a/S2B_T24*.json", "earth-search", 4),
    ],
)
def test_sentinel2(stac, pattern, profile, count):
    paths = [path for path in sorted((stac / CASSETTES).glob(pattern)) if "assets" in load(path)]
    assert len(paths) >= count
    for path in paths:
        item, _ = parse(path, profile, "optical")
        assert {"B02", "B03", "B04", "B08", "B11", "B12", "SCL"} <= set(item.assets)
        assert item.assets["B03"].endswith(("B03.tif", "B03_10m.tif"))
        assert item.facts["s2:processing_baseline"]
        (one,), _ = acquisitions_of([item], ProductType.L2A, WORLD)
        assert one.product is ProductType.L2A
        assert one.platform == path.stem[:3]
        assert f"_R{one.relative_orbit:03d}_" in str(load(path)["properties"]["s2:product_uri"])


def test_tiles_of_one_datatake_are_one_acquisition(stac):
    paths = sorted((stac / CASSETTES / "sentinel-2-l2a").glob("S2A_MSIL2A_20190101T000001_*.json"))
    items = [parse(path, "planetary-computer", "optical")[0] for path in paths]
    (one,), notes = acquisitions_of(items, ProductType.L2A, WORLD)
    assert len(one.slices) == len(paths) > 30
    assert notes == []


def test_elevation_and_water_occurrence(stac):
    dem, _ = parse(
        stac / "stactools-cop-dem/examples/cop-dem-glo-30/Copernicus_DSM_COG_10_N53_00_W115_00_DEM"
        "/Copernicus_DSM_COG_10_N53_00_W115_00_DEM.json",
        *("generic", "dem"),
    )
    assert dem.assets["data"].endswith("_DEM.tif")
    path = stac / "stactools-jrc-gsw/examples/jrc_gsw_aggregated/0000360000-0000480000/0000360000-0000480000.json"
    water, _ = parse(path, "planetary-computer", "water_occurrence")
    assert set(water.assets) >= {"occurrence", "seasonality"}


@pytest.mark.parametrize(
    ("pattern", "role", "reason"),
    [
        (f"{CASSETTES}/cop-dem-glo-30/*.json", "dem", "assets data"),
        (f"{CASSETTES}/sentinel-2-c1-l2a/S2?_T13TDE*.json", "optical", "platform|assets"),
        ("stactools-sentinel1/examples/slc/*/*.json", "grd", "SLC"),
        ("stactools-sentinel1/examples/grd/S1A_EW*/*.json", "grd", "instrument mode EW"),
        ("stactools-sentinel2/examples/sentinel2-l1c-example/S2*/*.json", "optical", "Level-1C"),
    ],
)
def test_items_that_lack_something_say_what(stac, pattern, role, reason):
    paths = sorted(stac.glob(pattern))
    assert paths
    for path in paths:
        with pytest.raises(UnusableItemError, match=reason):
            parse(path, "generic", role)


def test_hrefs_to_the_writers_own_disk_are_refused(stac):
    path = stac / "planetary-computer-tasks/datasets/sentinel-1-grd/test-data/sentinel-1-grd-item-raw.json"
    assert load(path)["assets"]["vv"]["href"].startswith("/")
    with pytest.raises(UnsafeHrefError):
        parse(path, "planetary-computer", "grd", base="")


@pytest.mark.parametrize(
    "assets",
    [
        {"product": "S1A_IW_GRDH_1SDV_20251007T052723_20251007T052748_061315_07A5E5_ABCD.zarr"},
        {"vv": "x.zarr/S01SIWGRD_20251007T052723_0025_A350_ABCD_07A5E5_VV/measurements/grd"},
    ],
)
def test_the_successor_of_safe_is_refused_by_name(assets):
    raw = {
        "type": "Feature",
        "id": "S1A_IW_GRDH_1SDV_20251007T052723_20251007T052748_061315_07A5E5_ABCD",
        "collection": "sentinel-1-l1-grd",
        "bbox": [9, 45, 12, 47],
        "geometry": None,
        "properties": {"datetime": "2025-10-07T05:27:23Z", "platform": "sentinel-1a"},
        "assets": {key: {"href": f"https://objects.example.org/{href}"} for key, href in assets.items()},
    }
    with pytest.raises(UnusableItemError, match="EOPF Zarr layout"):
        parse_item(raw, "grd", PROFILES["generic"], AccessPolicy(origin=("stac.example.org", 443)))
