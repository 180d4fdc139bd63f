"""Area of a pixel: exact on a plane, against the ellipsoid on the Earth."""

import numpy as np
import pytest
import rioxarray  # noqa: F401 - the accessor
import xarray as xr
from pyproj import Geod, Transformer

from pipeline_lib.flood.area import column_areas


def layer(y, x, crs=None):
    values = xr.DataArray(np.zeros((len(y), len(x))), dims=("y", "x"), coords={"y": y, "x": x})
    return values if crs is None else values.rio.write_crs(crs)


@pytest.mark.parametrize(("rows", "columns"), [(2, 2), (5, 7)])
def test_without_a_crs_it_is_the_spacing_of_both_axes(rows, columns):
    y, x = 4_900_000.0 - 30 * np.arange(rows), 500_000.0 + 20 * np.arange(columns)
    np.testing.assert_allclose(column_areas(layer(y, x)), np.full(columns, 600.0))


def test_without_coordinates_or_neighbours_a_pixel_is_ten_metres():
    bare = xr.DataArray(np.zeros((3, 4)), dims=("y", "x"))
    np.testing.assert_array_equal(column_areas(bare), np.full(4, 100.0))
    np.testing.assert_array_equal(column_areas(layer(np.array([1.0, 2.0]), np.array([5.0]))), [100.0])
    np.testing.assert_array_equal(column_areas(layer(np.array([1.0]), np.array([5.0, 6.0]))), [100.0, 100.0])


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32632"])
def test_on_the_earth_it_is_that_of_the_ellipsoid(crs):
    degrees = crs == "EPSG:4326"
    step = 0.25 if degrees else 20.0
    y = (50.0 if degrees else 5_000_000.0) - step * np.arange(41)
    x = (9.0 if degrees else 640_000.0) + step * np.arange(5)
    middle = y[20]
    to_degrees = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    corners = [
        to_degrees.transform(x[2] + i * step / 2, middle + j * step / 2)
        for i, j in ((-1, -1), (1, -1), (1, 1), (-1, 1))
    ]
    area, _ = Geod(ellps="WGS84").polygon_area_perimeter(*zip(*corners, strict=True))
    # The sphere of equal area is 0.4 % off at 45 degrees.
    assert column_areas(layer(y, x, crs))[2] == pytest.approx(abs(area), rel=5e-3 if degrees else 1e-6)
