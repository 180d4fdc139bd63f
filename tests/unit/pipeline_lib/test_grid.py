"""The event's grid: holds the area, snaps to whole pixels, picks the right zone, refuses what cannot be one grid."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geom import Geometry
from shapely.geometry import shape

from pipeline_lib.errors import AreaError
from pipeline_lib.grid import choose_grid
from pipeline_lib.model.area import area_of_bbox


@given(
    st.floats(-179, 178.5),
    st.floats(-79, 83),
    st.floats(0.01, 0.4),
    st.floats(0.01, 0.4),
    st.sampled_from([10.0, 20.0, 30.0]),
)
def test_grid_holds_the_area_and_no_more_than_a_pixel(west, south, width, height, pixel_m):
    area = area_of_bbox(west, south, west + width, south + height)
    grid = choose_grid(area, pixel_m=pixel_m)
    inside = Geometry(shape(area), "EPSG:4326").to_crs(grid.crs, resolution=0.01).boundingbox
    box = grid.geobox.boundingbox
    slack = 0.01 * pixel_m + 1.0
    assert box.left <= inside.left + slack
    assert box.right >= inside.right - slack
    assert inside.left - box.left < pixel_m + 60
    assert box.right - inside.right < pixel_m + 60
    assert grid.transform[2] % pixel_m == 0
    assert grid.transform[5] % pixel_m == 0


@pytest.mark.parametrize(
    ("bbox", "crs"),
    [
        ((11.0, 45.0, 11.5, 45.5), "EPSG:32632"),
        ((11.8, 45.0, 12.1, 45.5), "EPSG:32632"),
        ((11.9, 45.0, 12.6, 45.5), "EPSG:32633"),
        ((-60.5, -3.5, -60.0, -3.0), "EPSG:32720"),
        ((179.9, -17.0, -179.7, -16.5), "EPSG:32701"),
        ((179.4, -17.0, -179.9, -16.5), "EPSG:32760"),
    ],
)
def test_zone_is_that_of_the_centre(bbox, crs):
    grid = choose_grid(area_of_bbox(*bbox))
    assert grid.crs == crs
    assert grid.shape[1] * 10 < 200_000


def test_area_in_two_zones_is_one_grid():
    grid = choose_grid(area_of_bbox(11.5, 45.0, 12.5, 45.3))
    west, _, east, _ = grid.geobox.extent.to_crs("EPSG:4326").boundingbox.bbox
    assert west <= 11.5
    assert east >= 12.5


def test_beyond_utm_and_too_large_are_refused():
    with pytest.raises(AreaError, match="beyond UTM"):
        choose_grid(area_of_bbox(10, 85, 11, 86))
    with pytest.raises(AreaError, match="pixels"):
        choose_grid(area_of_bbox(0, 40, 10, 50), pixel_m=10)
