"""A pass delivered in two UTM zones is one picture on the event's grid: no gap, no step, no area counted twice."""

from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from pyproj import Geod, Transformer

from pipeline_lib.flood.area import column_areas
from pipeline_lib.flood.polygons import flood_polygons
from pipeline_lib.grid import choose_grid
from pipeline_lib.load.asset import assets_of
from pipeline_lib.load.mosaic import load_band
from pipeline_lib.model import CatalogItem
from pipeline_lib.model.area import area_of_bbox

WEST, SOUTH, EAST, NORTH = BOX = (11.93, 44.55, 12.07, 44.62)
"""Over 12 E, the border of zones 32 and 33."""
NOW = datetime(2024, 5, 11, tzinfo=timezone.utc)


def level(longitude, latitude):
    """A landscape: waves of some 600 m, between 0.02 and 0.18."""
    return 0.1 + 0.08 * np.sin(longitude * 900) * np.cos(latitude * 900)


def seam(latitude):
    """Longitude of the slanted line at which one slice ends and the next begins."""
    return 12.0 + 0.3 * (latitude - 44.585)


def slice_in(folder: Path, zone: int, west: bool) -> CatalogItem:
    """One slice on the lattice of its own zone: only pixels on its own side of the seam."""
    grid = choose_grid(area_of_bbox(WEST - 0.01, SOUTH - 0.01, EAST + 0.01, NORTH + 0.01))
    if grid.crs != f"EPSG:326{zone}":
        to = Transformer.from_crs(grid.crs, f"EPSG:326{zone}", always_xy=True)
        left, _, right, top = to.transform_bounds(*grid.geobox.boundingbox.bbox)
        corner, shape = (left + 3.7, top - 1.3), (grid.shape[0] + 60, round((right - left) / 10))
    else:
        corner, shape = (grid.transform[2], grid.transform[5]), grid.shape
    x = corner[0] + 10 * (np.arange(shape[1]) + 0.5)
    y = corner[1] - 10 * (np.arange(shape[0]) + 0.5)
    longitude, latitude = Transformer.from_crs(f"EPSG:326{zone}", "EPSG:4326", always_xy=True).transform(
        *np.meshgrid(x, y)
    )
    own = (longitude < seam(latitude)) == west
    path = folder / f"zone{zone}.tif"
    values = np.where(own, level(longitude, latitude), np.nan).astype("f4")
    profile = {"driver": "GTiff", "count": 1, "dtype": "float32", "height": shape[0], "width": shape[1]}
    with rasterio.open(
        path, "w", crs=f"EPSG:326{zone}", transform=rasterio.Affine(10, 0, corner[0], 0, -10, corner[1]), **profile
    ) as target:
        target.write(values, 1)
    footprint = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
    return CatalogItem(
        item_id=path.stem, collection="c", start=NOW, end=NOW, footprint=footprint, assets={"vv": str(path)}
    )


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Both slices on the event's grid, the truth there, and how many pixels each lies from the seam."""
    folder = tmp_path_factory.mktemp("zones")
    grid = choose_grid(area_of_bbox(*BOX))
    assets = assets_of((slice_in(folder, 32, west=True), slice_in(folder, 33, west=False)), "vv", sign=str)
    layer = load_band(assets, grid).compute()
    back = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
    longitude, latitude = back.transform(*np.meshgrid(layer["x"].values, layer["y"].values))
    away = np.abs(longitude - seam(latitude)) * 79_000 / 10
    return grid, layer, level(longitude, latitude), away, longitude, latitude


def test_no_pixel_is_lost_and_none_steps_at_the_seam(read):
    _, layer, truth, away, *_ = read
    assert np.isfinite(layer.values).all()
    error = np.abs(layer.values - truth)
    steepest = max(np.abs(np.diff(truth, axis=axis)).max() for axis in (0, 1))
    assert error[away > 3].max() < 0.05 * steepest
    assert error[away < 3].max() < 0.6 * steepest  # as if displaced by half a pixel: one-sided at the very edge
    assert np.sqrt((error[away < 3] ** 2).mean()) < 0.1 * steepest


def test_water_over_the_seam_is_one_object_and_its_area_that_of_the_ellipsoid(read):
    grid, layer, *_ = read
    flood = (layer < 0.07).astype("uint8").to_dataset(name="flood_extent")
    found = flood_polygons(flood, grid.geobox.affine)
    areas = column_areas(flood["flood_extent"])
    assert found["area_km2"].sum() * 1e6 == pytest.approx((flood["flood_extent"].values @ areas).sum(), rel=1e-6)
    assert found.geometry.is_valid.all()
    back = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
    whole = shapely.transform(
        shapely.union_all(found.geometry.to_numpy()), lambda xy: np.column_stack(back.transform(*xy.T))
    )
    area, _ = Geod(ellps="WGS84").geometry_area_perimeter(whole)
    assert abs(area) == pytest.approx(found["area_km2"].sum() * 1e6, rel=2e-5)
