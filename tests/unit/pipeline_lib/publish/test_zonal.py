"""Zonal numbers against arithmetic that can be done by hand."""

import geopandas
import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from shapely.geometry import LineString, Point, box

from pipeline_lib.errors import InputError
from pipeline_lib.publish.zonal import GEOD, area_by_zone, exposure

CRS, LEFT, TOP = "EPSG:32631", 500_000.0, 4_900_000.0


@pytest.fixture
def classes(tmp_path):
    """100 x 100 pixels of 10 m: the left half open flood, a strip of town, the last ten columns not observed."""
    values = np.zeros((100, 100), np.uint8)
    values[:, :50], values[:20, :50], values[:, 90:] = 2, 4, 255
    return write(tmp_path / "flood_class.tif", values, 10.0, 255)


def write(path, values, pixel, nodata=None):
    with rasterio.open(
        path, "w", driver="GTiff", width=values.shape[1], height=values.shape[0], count=1, dtype=values.dtype,
        crs=CRS, transform=from_origin(LEFT, TOP, pixel, pixel), nodata=nodata,
    ) as raster:  # fmt: skip
        raster.write(values, 1)
    return path


def frame(geometries, **columns):
    return geopandas.GeoDataFrame(columns, geometry=geometries, crs=CRS)


def test_area_by_zone_counts_parts_of_pixels(classes, tmp_path):
    units = frame(
        [box(LEFT, TOP - 1000, LEFT + 255, TOP), box(LEFT + 500, TOP - 1000, LEFT + 1000, TOP), box(0, 0, 10, 10)],
        name=["west", "east", "away"],
    )
    units.to_file(tmp_path / "units.gpkg")
    rows = area_by_zone(classes, str(tmp_path / "units.gpkg"))
    assert [row.name for row in rows] == ["west", "east"]
    true = abs(GEOD.geometry_area_perimeter(units.to_crs(4326).geometry[0])[0]) / 1e6
    assert rows[0].flooded_km2 == pytest.approx(true, rel=1e-3)
    assert rows[0].flooded_town == pytest.approx(true / 5, rel=1e-3)
    assert rows[0].observed_share == pytest.approx(1, abs=1e-3)
    assert rows[1].flooded_km2 == 0
    assert rows[1].observed_share == pytest.approx(0.8, abs=1e-3)


def test_people_are_shared_by_covered_area(tmp_path):
    people = write(tmp_path / "people.tif", np.full((10, 10), 100.0, np.float32), 100.0)
    flood = frame([box(LEFT, TOP - 1000, LEFT + 250, TOP)]).to_crs(4326)
    (row,) = exposure(flood, {"people": str(people)})
    assert row.amount == pytest.approx(2500, rel=1e-3)


def test_classes_are_measured(tmp_path):
    cover = write(
        tmp_path / "cover.tif", np.repeat(np.array([[10, 20]], np.uint8), 2, axis=0).repeat(5, 0).repeat(5, 1), 100.0
    )
    flood = frame([box(LEFT, TOP - 1000, LEFT + 1000, TOP)]).to_crs(4326)
    rows = exposure(flood, {"cover": f"{cover}#class"})
    assert [row.what for row in rows] == ["cover, class 10", "cover, class 20"]
    assert rows[0].amount == pytest.approx(0.5, rel=2e-3)


def test_vectors_are_counted_and_measured(tmp_path):
    flood = frame([box(LEFT, TOP - 1000, LEFT + 500, TOP)]).to_crs(4326)
    frame([LineString([(LEFT, TOP - 500), (LEFT + 1000, TOP - 500)])]).to_file(tmp_path / "roads.geojson")
    frame([Point(LEFT + 10, TOP - 10), Point(LEFT + 900, TOP - 10)]).to_file(tmp_path / "wells.fgb")
    frame([box(LEFT + 400, TOP - 200, LEFT + 600, TOP - 100)]).to_parquet(tmp_path / "buildings.parquet")
    rows = exposure(
        flood,
        {name.split(".")[0]: str(tmp_path / name) for name in ("roads.geojson", "wells.fgb", "buildings.parquet")},
    )
    told = {(row.what, row.unit): row.amount for row in rows}
    assert told["roads", "km"] == pytest.approx(0.5, rel=2e-3)
    assert told["wells", "features"] == 1
    assert told["buildings", "km2"] == pytest.approx(0.01, rel=2e-3)


def test_a_source_that_does_not_reach_the_flood_is_unknown_not_zero(tmp_path):
    people = write(tmp_path / "people.tif", np.full((10, 10), 100.0, np.float32), 100.0)
    far = frame([box(LEFT + 90_000, TOP, LEFT + 90_100, TOP + 100)]).to_crs(4326)
    assert exposure(far, {"people": str(people)})[0].amount is None


def test_bad_files_are_named(classes, tmp_path):
    (tmp_path / "x.txt").write_text("no map")
    with pytest.raises(InputError, match=r"x\.txt"):
        exposure(frame([box(LEFT, TOP - 10, LEFT + 10, TOP)]).to_crs(4326), {"x": str(tmp_path / "x.txt")})
    frame([Point(LEFT, TOP)]).to_file(tmp_path / "points.gpkg")
    with pytest.raises(InputError, match="not polygons"):
        area_by_zone(classes, str(tmp_path / "points.gpkg"))
