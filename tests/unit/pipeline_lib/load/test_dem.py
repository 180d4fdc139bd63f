"""Elevation and long-term water on the grid."""

from datetime import datetime, timezone

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from rasterio.transform import from_origin

from pipeline_lib.errors import AssetError
from pipeline_lib.load.dem import load_dem
from pipeline_lib.load.reference_water import load_reference_water
from pipeline_lib.model import CatalogItem, Grid

NOW = datetime(2021, 4, 22, tzinfo=timezone.utc)
STEP = 1 / 3600


def write(path, values, west, north, nodata=None, step=STEP):
    with rasterio.open(
        path, "w", driver="GTiff", count=1, dtype=values.dtype, height=values.shape[0], width=values.shape[1],
        crs="EPSG:4326", transform=from_origin(west, north, step, step), nodata=nodata,
    ) as dataset:  # fmt: skip
        dataset.write(values, 1)
    return str(path)


def item(name, **assets):
    return CatalogItem(
        item_id=name, collection="cop-dem-glo-30", start=NOW, end=NOW, assets=assets,
        footprint={"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]},
    )  # fmt: skip


def hill(longitude, latitude):
    return 300 + 200 * np.sin((longitude - 15) * 120) * np.cos((latitude - 45) * 90)


def tile(path, west, north, shape=(200, 200)):
    latitude, longitude = np.meshgrid(
        north - (np.arange(shape[0]) + 0.5) * STEP, west + (np.arange(shape[1]) + 0.5) * STEP, indexing="ij"
    )
    return write(path, hill(longitude, latitude).astype("f4"), west, north)


@pytest.fixture
def grid():
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:32633", always_xy=True).transform(15.0, 45.0)
    return Grid(crs="EPSG:32633", transform=(10, 0, x - 1500, 0, -10, y + 1500), shape=(300, 300))


def test_four_tiles_give_the_terrain_they_were_cut_from(tmp_path, grid):
    size = 200 * STEP
    items = tuple(
        item(f"t{i}{j}", data=tile(tmp_path / f"{i}{j}.tif", 15 - size * (1 - j), 45 + size * (1 - i)))
        for i in range(2)
        for j in range(2)
    )
    elevation = load_dem(items, grid, sign=str, chunk=97)
    assert elevation.name == "elevation_m"
    assert elevation.dtype == "float32"
    assert elevation.attrs["units"] == "m"
    assert elevation.attrs["native_pixel_m"] == pytest.approx(30.9, abs=0.1)
    x, y = grid.geobox.affine * tuple(np.meshgrid(np.arange(300) + 0.5, np.arange(300) + 0.5))
    longitude, latitude = Transformer.from_crs("EPSG:32633", "EPSG:4326", always_xy=True).transform(x, y)
    error = np.abs(elevation.compute().to_numpy() - hill(longitude, latitude))
    assert error.max() < 0.1  # also at the corner where the four meet: no seam


def test_sea_and_voids_are_unknown(tmp_path, grid):
    values = np.full((400, 400), 12.0, "f4")
    values[:200], values[:, :150] = -32768, -9999
    path = write(tmp_path / "t.tif", values, 15 - 200 * STEP, 45 + 200 * STEP)
    elevation = load_dem((item("t", elevation=path),), grid, sign=str).compute().to_numpy()
    assert np.isnan(elevation[:145]).all()
    assert np.isnan(elevation[:, :30]).all()
    assert np.allclose(elevation[155:, 60:], 12)


def test_without_items_everything_is_unknown(grid):
    assert np.isnan(load_dem((), grid, sign=str)).all()
    assert np.isnan(load_reference_water((), grid, sign=str).water_occurrence).all()
    assert np.isnan(load_reference_water((), grid, sign=str).water_seasonality).all()


def test_an_item_of_something_else_is_an_error(grid):
    with pytest.raises(AssetError, match="none of the assets data, elevation, dem; it has: vv"):
        load_dem((item("t", vv="x.tif"),), grid, sign=str)


def test_water_occurrence_keeps_never_and_unknown_apart(tmp_path, grid):
    values = np.zeros((400, 400), "u1")
    values[:, 200:], values[230:] = 80, 255
    path = write(tmp_path / "o.tif", values, 15 - 200 * STEP, 45 + 200 * STEP)
    occurrence = load_reference_water((item("w", occurrence=path),), grid, sign=str).water_occurrence
    assert occurrence.attrs["units"] == "percent"
    got = occurrence.compute().to_numpy()
    assert np.all(got[:140, :130] == 0)
    assert np.all(got[:140, 170:] == 80)
    assert np.nanmax(got) == 80
    assert np.isnan(got[-20:]).all()


def test_unknown_occurrence_is_not_100_percent(tmp_path, grid):
    values = np.full((400, 400), 255, "u1")
    values[0, 0] = 40
    path = write(tmp_path / "o.tif", values, 15 - 200 * STEP, 45 + 200 * STEP)
    assert np.isnan(load_reference_water((item("w", occurrence=path),), grid, sign=str).water_occurrence).all()


def test_seasonality_is_taken_from_the_items_that_have_it(tmp_path, grid):
    values = np.full((400, 400), 7, "u1")
    path = write(tmp_path / "s.tif", values, 15 - 200 * STEP, 45 + 200 * STEP)
    months = load_reference_water(
        (item("a", occurrence=path), item("b", occurrence=path, seasonality=path)), grid, sign=str
    ).water_seasonality
    assert (months == 7).all()
    assert np.isnan(load_reference_water((item("a", occurrence=path),), grid, sign=str).water_seasonality).all()


def test_an_item_without_occurrence_is_an_error_and_not_unknown_ground(tmp_path, grid):
    path = write(tmp_path / "s.tif", np.full((400, 400), 7, "u1"), 15 - 200 * STEP, 45 + 200 * STEP)
    with pytest.raises(AssetError, match="no asset 'occurrence'"):
        load_reference_water((item("b", seasonality=path),), grid, sign=str)


def test_a_file_that_declares_zero_as_no_data_still_says_never_water(tmp_path, grid):
    path = write(tmp_path / "o.tif", np.zeros((400, 400), "u1"), 15 - 200 * STEP, 45 + 200 * STEP, nodata=0)
    assert (load_reference_water((item("w", occurrence=path),), grid, sign=str).water_occurrence == 0).all()


def test_a_tile_of_open_sea_is_unknown_and_no_error(tmp_path, grid):
    path = write(
        tmp_path / "e.tif", np.full((400, 400), -32767.0, "f4"), 15 - 200 * STEP, 45 + 200 * STEP, nodata=-32767
    )
    assert np.isnan(load_dem((item("t", data=path),), grid, sign=str)).all()
