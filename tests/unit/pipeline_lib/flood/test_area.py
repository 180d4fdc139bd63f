"""Area of a pixel, exact on a plane and against the ellipsoid on the Earth; which pixels an area of interest holds."""

import numpy as np
import pytest
import rioxarray  # noqa: F401 - the accessor
import shapely
import xarray as xr
from pyproj import Geod, Transformer

from pipeline_lib.errors import ContractError
from pipeline_lib.flood.area import column_areas, inside_area, project_area
from pipeline_lib.model import Grid


def layer(y, x, crs=None):
    values = xr.DataArray(np.zeros((len(y), len(x))), dims=("y", "x"), coords={"y": y, "x": x})
    return values if crs is None else values.rio.write_crs(crs)


@pytest.mark.parametrize(("rows", "columns"), [(2, 2), (5, 7)])
def test_without_a_crs_it_is_the_spacing_of_both_axes(rows, columns):
    y, x = 4_900_000.0 - 30 * np.arange(rows), 500_000.0 + 20 * np.arange(columns)
    np.testing.assert_allclose(column_areas(layer(y, x)), np.full(columns, 600.0))


def test_without_coordinates_no_area_is_guessed():
    with pytest.raises(ContractError, match="pixel size"):
        column_areas(xr.DataArray(np.zeros((3, 4)), dims=("y", "x")))


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


def box_of(*parts):
    return shapely.geometry.mapping(
        shapely.MultiPolygon([shapely.box(*part) for part in parts]) if len(parts) > 1 else shapely.box(*parts[0])
    )


def empty_layer(grid):
    coordinates = grid.geobox.coordinates
    coords = {"y": coordinates["y"].values, "x": coordinates["x"].values}
    return xr.DataArray(np.zeros(grid.shape, np.uint8), dims=("y", "x"), coords=coords)


@pytest.mark.parametrize(
    ("crs", "origin", "shape", "parts"),
    [
        # Two degrees along a parallel: a straight edge in metres would leave it by 480 m.
        ("EPSG:32632", (560_000.0, 5_010_000.0), (150, 1700), [(10.0, 45.1, 12.0, 45.2)]),
        ("EPSG:32601", (150_000.0, 1_903_000.0), (160, 800), [(179.8, 17.07, 180.0, 17.15), (-180.0, 17.07, -179.6, 17.15)]),
        ("EPSG:32660", (790_000.0, 1_903_000.0), (160, 800), [(179.8, 17.07, 180.0, 17.15), (-180.0, 17.07, -179.6, 17.15)]),
    ],
)  # fmt: skip
def test_a_pixel_is_inside_where_its_centre_lies_in_the_area(crs, origin, shape, parts):
    grid = Grid(crs=crs, transform=(100.0, 0.0, origin[0], 0.0, -100.0, origin[1]), shape=shape)
    canvas = empty_layer(grid)
    found = inside_area(box_of(*parts), canvas, grid, block_px=200)
    x, y = np.meshgrid(canvas["x"].values, canvas["y"].values)
    longitude, latitude = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y)
    east = np.mod(longitude, 360) if len(parts) > 1 else longitude
    west_end, east_end = parts[0][0], parts[-1][2] % 360
    expected = (east > west_end) & (east < east_end) & (latitude > parts[0][1]) & (latitude < parts[0][3])
    assert found.dtype == np.uint8
    assert 10_000 < expected.sum() < 0.9 * expected.size, "the area ends inside the grid"
    # A centre within a metre of the edge may fall on either side.
    assert (found.values != expected).sum() < 3e-3 * shape[1]


def test_the_parts_beyond_the_antimeridian_become_one_area():
    area = box_of((179.8, 17.0, 180.0, 17.1), (-180.0, 17.0, -179.6, 17.1))
    one = shapely.geometry.shape(project_area(area, "EPSG:32660"))
    assert one.geom_type == "Polygon"
    assert one.bounds[2] - one.bounds[0] == pytest.approx(0.6 * 106_500, rel=1e-2)
