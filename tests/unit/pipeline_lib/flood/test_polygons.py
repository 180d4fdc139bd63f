"""Polygons: area conserved, windows without seams, topology valid, antimeridian safe."""

import numpy as np
import pytest
import shapely
import xarray as xr
from pyproj import Transformer
from rasterio.features import rasterize
from rasterio.transform import from_origin
from scipy.ndimage import gaussian_filter, label

from pipeline_lib.flood.polygons import cut_at_antimeridian, flood_polygons, smoothed, to_longitude_latitude

TRANSFORM = from_origin(500_000, 4_900_000, 10, 10)


def blobs(shape=(230, 260), seed=0):
    return gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 4) > 0.03


def dataset(mask, transform=TRANSFORM, **layers):
    rows, columns = mask.shape
    return xr.Dataset(
        {"flood_extent": (("y", "x"), mask.astype(np.uint8)), **{k: (("y", "x"), v) for k, v in layers.items()}},
        {
            "y": transform.f + transform.e * (np.arange(rows) + 0.5),
            "x": transform.c + transform.a * (np.arange(columns) + 0.5),
        },
    )


def test_area_is_that_of_the_pixels_and_outlines_burn_back_to_them():
    mask = blobs()
    found = flood_polygons(dataset(mask), TRANSFORM)
    assert found["area_km2"].sum() == pytest.approx(mask.sum() * 1e-4)
    np.testing.assert_allclose(found.geometry.area / 1e6, found["area_km2"], atol=1e-9)
    assert (rasterize(found.geometry, mask.shape, transform=TRANSFORM) == mask).all()
    assert len(found) == label(mask)[1]


@pytest.mark.parametrize("size", [37, 64, 101])
def test_windows_leave_no_seam(size):
    mask = blobs(seed=size)
    layers = {
        "likelihood": np.random.default_rng(1).integers(0, 101, mask.shape).astype(np.uint8),
        "first_seen": np.arange(mask.size).reshape(mask.shape).astype(np.uint16),
    }
    whole = flood_polygons(dataset(mask, **layers), TRANSFORM)
    cut = flood_polygons(dataset(mask, **layers), TRANSFORM, block_px=size)
    assert len(cut) == len(whole)
    columns = ["area_km2", "likelihood", "first_seen_h"]
    order = ["area_km2", "first_seen_h"]
    np.testing.assert_allclose(cut[columns].sort_values(order), whole[columns].sort_values(order))
    assert shapely.union_all(cut.geometry).symmetric_difference(
        shapely.union_all(whole.geometry)
    ).area == pytest.approx(0)


@pytest.mark.parametrize("share", [0.35, 0.6, 0.85])
def test_outlines_are_the_unions_of_their_pixels_and_valid_where_pixels_touch_in_corners(share):
    mask = np.random.default_rng(round(100 * share)).random((41, 53)) < share
    found = flood_polygons(dataset(mask), TRANSFORM)
    labels, count = label(mask)
    squares = [shapely.box(*TRANSFORM * (c, r + 1), *TRANSFORM * (c + 1, r)) for r, c in np.argwhere(mask)]
    owner = labels[mask]
    literal = {
        shapely.union_all([s for s, o in zip(squares, owner, strict=True) if o == k]) for k in range(1, count + 1)
    }
    assert found.geometry.is_valid.all()
    assert {shapely.normalize(one).wkb for one in shapely.simplify(list(literal), 0)} == {
        shapely.normalize(one).wkb for one in shapely.simplify(found.geometry.to_numpy(), 0)
    }


def test_smoothing_keeps_topology_and_about_the_area():
    found = flood_polygons(dataset(blobs()), TRANSFORM)
    smooth = smoothed(found, 15.0)
    assert smooth.geometry.is_valid.all()
    assert (~smooth.geometry.is_empty).all()
    assert smooth.geometry.area.sum() == pytest.approx(found.geometry.area.sum(), rel=0.05)
    assert (
        shapely.get_num_coordinates(smooth.geometry.to_numpy()).sum()
        < 0.6 * shapely.get_num_coordinates(found.geometry.to_numpy()).sum()
    )
    overlap = smooth.geometry.area.sum() - shapely.union_all(smooth.geometry).area
    assert overlap == pytest.approx(0, abs=1e-3)


def test_small_and_surplus_objects_are_counted_not_hidden():
    mask = blobs()
    everything = flood_polygons(dataset(mask), TRANSFORM)
    large = flood_polygons(dataset(mask), TRANSFORM, min_area_m2=5000, max_polygons=3)
    assert len(large) == 3
    assert large.attrs["left_out"] == len(everything) - 3
    assert large["area_km2"].is_monotonic_decreasing


def test_no_flood_gives_an_empty_table():
    found = flood_polygons(dataset(np.zeros((20, 20), bool)), TRANSFORM)
    assert found.empty
    assert to_longitude_latitude(smoothed(found, 15), "EPSG:32631", 3.0).crs.to_epsg() == 4326


def test_over_the_antimeridian_no_ring_runs_around_the_earth():
    mask = blobs((400, 400), 3)
    middle, _ = Transformer.from_crs("EPSG:4326", "EPSG:32760", always_xy=True).transform(180, -18.1)
    across = from_origin(middle - 2000, 8_000_000, 10, 10)
    found = flood_polygons(dataset(mask, across), across)
    placed = to_longitude_latitude(found, "EPSG:32760", 180.0)
    bounds = placed.bounds
    assert bounds.minx.min() < -179.9
    assert bounds.maxx.max() > 179.9
    for outline in placed.geometry:
        for part in getattr(outline, "geoms", [outline]):
            west, _, east, _ = part.bounds
            assert east - west < 1
            assert -180 <= west <= east <= 180
    square = shapely.Polygon([(179.5, 0), (-179.5, 0), (-179.5, 1), (179.5, 1)])
    cut = cut_at_antimeridian(square, 180)
    assert cut.area == pytest.approx(1.0)
    assert len(cut.geoms) == 2
