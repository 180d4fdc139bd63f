"""Slope against planes, whose slope is known, and against Horn's formula written out."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from pipeline_lib.errors import ContractError
from pipeline_lib.terrain import slope, terrain_of


def raster(values: np.ndarray, pixel=10.0) -> xr.DataArray:
    y = 5_000_000 - pixel * (np.arange(values.shape[0]) + 0.5)
    x = 500_000 + pixel * (np.arange(values.shape[1]) + 0.5)
    return xr.DataArray(values.astype("f4"), dims=("y", "x"), coords={"y": y, "x": x})


def plane(east: float, south: float, shape=(30, 40), pixel=10.0) -> np.ndarray:
    i, j = np.indices(shape)
    return (100 + pixel * (east * j + south * i)).astype("f4")


@given(east=st.floats(-2, 2), south=st.floats(-2, 2), holes=st.integers(0, 40), seed=st.integers(0, 99))
def test_a_plane_has_its_slope_everywhere_both_gradients_counted(east, south, holes, seed):
    values = plane(east, south)
    expected = np.degrees(np.arctan(np.hypot(east, south)))
    assert np.allclose(slope(raster(values)), expected, atol=0.02)
    generator = np.random.default_rng(seed)
    values[generator.integers(3, 27, holes), generator.integers(3, 37, holes)] = np.nan
    got = slope(raster(values)).to_numpy()
    assert np.array_equal(np.isnan(got), np.isnan(values))
    assert np.nanmax(got) < expected + 0.02


def test_north_facing_and_east_facing_slopes_are_the_same():
    assert np.allclose(slope(raster(plane(0.3, 0))), slope(raster(plane(0, 0.3))), atol=1e-3)


def test_horns_formula_written_out():
    rough = ndimage.gaussian_filter(np.random.default_rng(1).normal(0, 60, (50, 60)), 2)
    kernel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 80
    dx, dy = ndimage.correlate(rough, kernel), ndimage.correlate(rough, kernel.T)
    expected = np.degrees(np.arctan(np.hypot(dx, dy)))[1:-1, 1:-1]
    assert np.allclose(slope(raster(rough))[1:-1, 1:-1], expected, atol=1e-3)


@given(rows=st.integers(7, 40), columns=st.integers(7, 50))
def test_chunks_do_not_matter(rows, columns):
    rough = np.random.default_rng(2).normal(0, 5, (40, 50))
    rough[10:14, 20:30] = np.nan
    lazy = raster(rough).copy(data=da.from_array(rough.astype("f4"), chunks=(rows, columns)))
    assert np.array_equal(slope(lazy).compute(), slope(raster(rough)), equal_nan=True)


def test_degrees_are_converted_to_metres():
    values = plane(0, 0.1, pixel=30.0)
    geographic = raster(values).assign_coords(
        y=60 - (np.arange(30) + 0.5) * 30 / 111_195, x=25 + (np.arange(40) + 0.5) * 30 / 111_195 / 0.5
    )
    geographic = geographic.odc.assign_crs("EPSG:4326")
    assert np.allclose(slope(geographic), np.degrees(np.arctan(0.1)), atol=0.02)


def test_uneven_coordinates_are_refused():
    uneven = raster(plane(0, 0)).assign_coords(x=np.arange(40.0) ** 2)
    with pytest.raises(ContractError, match="evenly spaced"):
        slope(uneven)
    with pytest.raises(ContractError, match="at least two 'x'"):
        slope(raster(plane(0, 0)).drop_vars("x"))


@given(east=st.floats(-1, 1), south=st.floats(-1, 1), reach=st.integers(1, 4))
def test_a_plane_has_its_slope_at_any_reach(east, south, reach):
    got = slope(raster(plane(east, south)), reach_px=reach)
    assert np.allclose(got, np.degrees(np.arctan(np.hypot(east, south))), atol=0.02)


def test_errors_of_a_coarse_source_do_not_become_slopes():
    coarse = np.random.default_rng(3).normal(100, 0.5, (40, 40))
    fine = raster(ndimage.zoom(coarse, 3, order=3)).assign_attrs(native_pixel_m=30.9)
    assert float(terrain_of(fine)["slope_deg"].quantile(0.99)) < 0.6 * float(slope(fine).quantile(0.99))


def test_reach_and_chunks():
    rough = np.random.default_rng(2).normal(0, 5, (40, 50)).astype("f4")
    lazy = raster(rough).copy(data=da.from_array(rough, chunks=(13, 17)))
    assert np.array_equal(slope(lazy, reach_px=3).compute(), slope(raster(rough), reach_px=3))
