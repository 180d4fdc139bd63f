"""Open sea is where a tile of Copernicus DEM does not exist; never a void, never land that nobody searched."""

import json
from datetime import datetime, timezone

import numpy as np
import pytest
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr
from rasterio.transform import Affine
from shapely.geometry import box, mapping

from pipeline_lib.load.sea import cell_name, sea_cells, with_sea
from pipeline_lib.load.sentinel1_grd import open_grd, scene_of
from pipeline_lib.model import CatalogItem, Grid
from pipeline_lib.model.acquisition import OrbitDirection
from pipeline_lib.model.area import area_of_bbox
from pipeline_lib.options.calibrate import CalibrateOptions
from pipeline_lib.world.safe import Pass, ellipsoidal_heights, write_safe

DAY = datetime(2021, 4, 22, tzinfo=timezone.utc)


def tile(west, south):
    """A tile as catalogues describe it: half a pixel west and north of its degree."""
    half = 1 / 7200
    outline = box(west - half, south + half, west + 1 - half, south + 1 + half)
    return CatalogItem(
        item_id=f"dem-{west}-{south}", collection="cop-dem-glo-30", start=DAY, end=DAY, assets={},
        footprint=json.loads(json.dumps(mapping(outline))),
    )  # fmt: skip


def test_cells_that_were_searched_and_have_no_tile():
    area = area_of_bbox(11.5, 44.2, 13.4, 45.3)
    assert sea_cells(area, [tile(11, 44), tile(11, 45), tile(12, 45)]) == ((12, 44), (13, 44), (13, 45))
    assert sea_cells(area, [tile(w, s) for w in (11, 12, 13) for s in (44, 45)]) == ()
    assert sea_cells(area, []) == ()  # a catalogue without any tile says nothing


def test_a_corner_of_the_grid_that_the_area_does_not_touch_was_not_searched():
    triangle = {"type": "Polygon", "coordinates": [[[11.5, 44.2], [13.4, 45.9], [11.5, 45.9], [11.5, 44.2]]]}
    assert (13, 44) not in sea_cells(triangle, [tile(11, 44), tile(11, 45), tile(12, 45)])


def test_land_whose_tiles_were_withheld_is_no_sea():
    assert sea_cells(area_of_bbox(48.5, 39.5, 51.5, 40.5), [tile(49, 40)]) == ((51, 39), (51, 40))


@pytest.mark.parametrize(("cell", "name"), [((12, 45), "N45E012"), ((-1, -3), "S03W001"), ((179, 0), "N00E179")])
def test_names(cell, name):
    assert cell_name(cell) == name


EAST = GeoBox((150, 160), Affine(10.0, 0, 499_200, 0, -10.0, 5_000_000), "EPSG:32632")
"""Across 9 degrees east, which is the middle meridian of the zone."""


def elevation(chunk=64):
    """Land to the east with a void in it, nothing to the west: as a DEM of one tile comes out on this grid."""
    height = np.full(EAST.shape, 12.0, np.float32)
    height[40:50, 100:120] = np.nan
    height[:, :78] = np.nan  # the tile begins half a pixel of 1 second, 11 m here, west of the meridian
    return wrap_xr(height, EAST).chunk(chunk)


@pytest.mark.parametrize("chunk", [64, 37])
def test_sea_is_filled_to_the_tile_and_no_void_is(chunk):
    filled = with_sea(elevation(chunk), ((8, 45),))
    assert filled.attrs["sea_cells"] == "N45E008"
    values = filled.compute().to_numpy()
    assert (values[:, :78] == 0).all()
    assert np.isnan(values[40:50, 100:120]).all()
    assert (values[60:, 78:] == 12).all()
    assert with_sea(elevation(), ()).attrs.get("sea_cells") is None


@pytest.mark.parametrize("chunk", [100, 37])
def test_the_row_of_points_on_a_parallel_belongs_to_the_tile_south_of_it(chunk):
    second = 1 / 3600
    grid = GeoBox((100, 8), Affine(second, 0, 9.5, 0, -second, 45 + 60.5 * second), "EPSG:4326")
    nothing = wrap_xr(np.full(grid.shape, np.nan, np.float32), grid).chunk(chunk)
    south, north = (with_sea(nothing, ((9, row),)).compute().to_numpy() for row in (44, 45))
    assert np.isnan(south[:60]).all()
    assert (south[60:] == 0).all()
    np.testing.assert_array_equal(np.isnan(north), ~np.isnan(south))


@pytest.mark.parametrize(
    ("latitude", "spacing_s"), [(49.9, 1.0), (50.1, 1.5), (-60.1, 2.0), (70.1, 3.0), (80.1, 5.0), (85.1, 10.0)]
)
def test_columns_lie_farther_apart_towards_the_poles(latitude, spacing_s):
    tenth = 0.1 / 3600
    grid = GeoBox((1, 120), Affine(tenth, 0, 10 - 119.5 * tenth, 0, -tenth, latitude), "EPSG:4326")
    nothing = wrap_xr(np.full(grid.shape, np.nan, np.float32), grid).chunk(120)
    filled = with_sea(nothing, ((10, int(np.floor(latitude))),)).compute().to_numpy()
    # The last centre lies on 10 degrees; half a column west of it, less the edge itself, belongs to the tile.
    assert np.isfinite(filled).sum() == pytest.approx(1 + 5 * spacing_s, abs=1)


def test_radar_over_sea_without_elevation_is_observed(tmp_path):
    """Level sea under one pass: the part without a tile comes out as if its height had been given as 0."""
    flown = Pass(
        platform="S1A", direction=OrbitDirection.DESCENDING, incidence_deg=38.0, relative_orbit=66, datatake=1,
        abeam=datetime(2025, 3, 1, 5, tzinfo=timezone.utc), absolute_orbit=58000,
    )  # fmt: skip
    level = np.zeros(EAST.shape, np.float32)
    gamma0 = {"vv": np.full(EAST.shape, 0.02, np.float32)}
    write_safe(tmp_path / "sea.SAFE", flown, gamma0, ellipsoidal_heights(level, EAST), EAST)
    given = level.copy()
    given[:, :78] = np.nan
    maps = {}
    for name, dem in (("given", level), ("absent", given)):
        lazy = wrap_xr(dem, EAST).chunk(64)
        heights = with_sea(lazy, ((8, 45),)) if name == "absent" else lazy
        product = open_grd(str(tmp_path / "sea.SAFE"))
        scene = scene_of((product,), Grid.of_geobox(EAST), heights, CalibrateOptions(chunk=80))
        maps[name] = scene.vv.compute(scheduler="synchronous").to_numpy()
    assert np.isfinite(maps["absent"][20:-20, 20:-20]).all()
    np.testing.assert_array_equal(maps["absent"], maps["given"])
