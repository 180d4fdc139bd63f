"""RTC passes as Scenes: slices joined, no-data as NaN, contract kept."""

from datetime import datetime, timedelta, timezone

import numpy as np
import odc.geo.xr  # noqa: F401 - registers .odc
import pytest
import rasterio
from rasterio.transform import from_origin

from pipeline_lib.errors import AssetError
from pipeline_lib.load.sentinel1_rtc import load_rtc
from pipeline_lib.model import Acquisition, CatalogItem, Grid, OrbitDirection, ProductType, check_scene

START = datetime(2024, 5, 11, 5, 30, tzinfo=timezone.utc)
GRID = Grid(crs="EPSG:32633", transform=(10, 0, 500000, 0, -10, 5000000), shape=(300, 200))


def write(path, values, north, nodata=-32768.0):
    with rasterio.open(
        path, "w", driver="GTiff", count=1, dtype="float32", height=values.shape[0], width=values.shape[1],
        crs="EPSG:32633", transform=from_origin(500000, north, 10, 10), nodata=nodata, tiled=True, blockxsize=128, blockysize=128,
    ) as dataset:  # fmt: skip
        dataset.write(values.astype("f4"), 1)
    return str(path)


def pass_of(*slices: dict[str, str], polarisations=("vv", "vh")) -> Acquisition:
    items = tuple(
        CatalogItem(
            item_id=f"slice-{number}",
            collection="sentinel-1-rtc",
            start=START + timedelta(seconds=25 * number),
            end=START + timedelta(seconds=25 * number + 25),
            assets=assets,
            footprint={"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]},
        )
        for number, assets in enumerate(slices)
    )
    return Acquisition(
        acquisition_id="S1A_20240511T053000_R066_D", platform="S1A", product=ProductType.RTC, start=START, end=START,
        polarisations=polarisations, relative_orbit=66, orbit_direction=OrbitDirection.DESCENDING, slices=items,
    )  # fmt: skip


@pytest.fixture(scope="module")
def power():
    return np.random.default_rng(5).gamma(4.4, 0.02, (300, 200)).astype("f4")


def test_two_slices_become_one_scene(tmp_path, power):
    north, south = power[:180].copy(), power[170:].copy()
    north[-3:] = -32768  # what is cut off at the end of a slice
    slices = [
        {name: write(tmp_path / f"{name}0.tif", factor * north, 5000000) for name, factor in (("vv", 1), ("vh", 1))},
        {name: write(tmp_path / f"{name}1.tif", factor * south, 4998300) for name, factor in (("vv", 1), ("vh", 1))},
    ]
    scene = load_rtc(pass_of(*slices), GRID, sign=str, chunk=128)
    assert check_scene(scene) is scene
    assert scene.chunks["y"] == (128, 128, 44)
    assert np.array_equal(scene["vv"].compute(), power)
    assert scene.attrs["relative_orbit"] == 66
    assert scene.attrs["orbit_direction"] == "descending"
    assert scene.attrs["datetime"] == "2024-05-11T05:30:00+00:00"
    assert scene.odc.geobox.crs.epsg == 32633
    assert scene.odc.geobox == GRID.geobox


def test_zero_negative_and_no_data_are_not_observed(tmp_path, power):
    power = power.copy()
    power[:10], power[10:20], power[20:30], power[30:40] = -32768, 0, np.nan, -0.001
    scene = load_rtc(pass_of({"vv": write(tmp_path / "vv.tif", power, 5000000)}, polarisations=("vv",)), GRID, sign=str)
    values = scene["vv"].compute().to_numpy()
    assert np.isnan(values[:40]).all()
    assert np.array_equal(values[40:], power[40:])


def test_polarisations_come_from_the_assets_where_the_catalogue_names_none(tmp_path, power):
    href = write(tmp_path / "hh.tif", power, 5000000)
    scene = load_rtc(pass_of({"hh": href, "hv": href}, polarisations=()), GRID, sign=str)
    assert {name: band.attrs["long_name"] for name, band in scene.items()} == {"hh": "gamma0 HH", "hv": "gamma0 HV"}


def test_a_slice_without_the_polarisation_is_an_error(tmp_path, power):
    href = write(tmp_path / "vv.tif", power, 5000000)
    with pytest.raises(AssetError, match="slice-1 has no asset 'vh'"):
        load_rtc(pass_of({"vv": href, "vh": href}, {"vv": href}), GRID, sign=str)


def test_an_empty_slice_is_an_error_and_not_dry_land(tmp_path, power):
    good = write(tmp_path / "good.tif", power, 5000000)
    empty = write(tmp_path / "empty.tif", np.full_like(power, -32768), 5000000)
    with pytest.raises(AssetError, match="'vv' of item slice-1 holds no data"):
        load_rtc(pass_of({"vv": good}, {"vv": empty}, polarisations=("vv",)), GRID, sign=str)


def test_no_polarisation_at_all_is_an_error():
    with pytest.raises(AssetError, match="no asset of a polarisation"):
        load_rtc(pass_of({"thumbnail": "x.png"}, polarisations=()), GRID, sign=str)
