"""The size of a pixel against distances on the WGS 84 ellipsoid."""

import numpy as np
import odc.geo.xr  # noqa: F401 - registers .odc
import pytest
import rasterio.crs
import xarray as xr
from pyproj import Geod

from pipeline_lib.errors import ContractError
from pipeline_lib.pixel import ground_size_m, pixel_size_m


@pytest.mark.parametrize("latitude", [-60.0, 0.0, 45.0, 71.0])
def test_degrees_are_what_the_ellipsoid_has_within_a_percent(latitude):
    found = ground_size_m(-0.001, 0.001, "EPSG:4326", latitude)
    geod = Geod(ellps="WGS84")
    north = geod.inv(10, latitude - 0.0005, 10, latitude + 0.0005)[2]
    east = geod.inv(10, latitude, 10.001, latitude)[2]
    assert found == pytest.approx((north, east), rel=0.01)
    assert found[0] == pytest.approx(np.pi / 180 * 6371 * 1000 * 0.001, rel=1e-6), "on the sphere of 6371 km"


@pytest.mark.parametrize(
    ("crs", "metres"), [("EPSG:32632", 1.0), ("EPSG:2263", 12 / 39.37), (rasterio.crs.CRS.from_epsg(3035), 1.0)]
)
def test_lengths_are_in_the_unit_of_the_crs(crs, metres):
    assert ground_size_m(-10, 20, crs, latitude_deg=90.0) == pytest.approx((10 * metres, 20 * metres), rel=1e-6)


def raster(y, x, crs=None):
    values = xr.DataArray(np.zeros((len(y), len(x))), dims=("y", "x"), coords={"y": y, "x": x})
    return values if crs is None else values.odc.assign_crs(crs)


def test_of_a_raster_it_is_the_spacing_of_its_coordinates():
    y, x = 6_000_000 - 30.0 * np.arange(3), 600_000 + 25.0 * np.arange(7)
    assert pixel_size_m(raster(y, x)) == pixel_size_m(raster(y, x, "EPSG:32632")) == (30.0, 25.0)
    degrees = raster(60.0 - 0.1 * np.arange(5), 9 + 0.1 * np.arange(4), "EPSG:4326")
    assert pixel_size_m(degrees) == pytest.approx(ground_size_m(0.1, 0.1, "EPSG:4326", 59.8))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (raster([1.0, 2.0], [5.0]), "two 'x' coordinates"),
        (raster([1.0], [5.0, 6.0]), "two 'y' coordinates"),
        (xr.DataArray(np.zeros((3, 4)), dims=("y", "x")), "two 'y' coordinates"),
        (raster([1.0, 2.0, 4.0], [5.0, 6.0]), "not evenly spaced"),
    ],
)
def test_where_nothing_tells_it_nothing_is_guessed(bad, message):
    with pytest.raises(ContractError, match=message):
        pixel_size_m(bad)
