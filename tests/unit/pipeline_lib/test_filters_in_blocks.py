"""Every filter of a raster in blocks of 64 and of 128 pixels gives the bits of one block, beside holes, too."""

from datetime import datetime, timezone

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from pipeline_lib.optical.cloud import clear_by_scene_class
from pipeline_lib.optical.composite import best_pixel_composite
from pipeline_lib.sar.shift import ShiftEstimate, moved
from pipeline_lib.sar.speckle import FILTERS, filter_scene
from pipeline_lib.terrain import height_above_nearest_drainage, slope

SHAPE = (270, 330)
BLOCKS = pytest.mark.parametrize("block_px", [64, 128])
BEFORE = datetime(2024, 5, 1, tzinfo=timezone.utc)


def raster(values) -> xr.DataArray:
    coords = {"y": 4_900_000.0 - 10.0 * np.arange(SHAPE[0]), "x": 500_000.0 + 10.0 * np.arange(SHAPE[1])}
    dims = ("time", "y", "x")[-values.ndim :]
    return xr.DataArray(values, dims=dims, coords=coords)


def cut(layer: xr.DataArray, block_px: int) -> xr.DataArray:
    chunks = (layer.shape[0],) * (layer.ndim - 2) + (block_px, block_px)
    return layer.copy(data=da.from_array(layer.values, chunks=chunks))


def power(seed: int, passes: int | None = None) -> xr.DataArray:
    """Speckle over fields of several levels, with single holes and a hole that covers a block."""
    rng = np.random.default_rng(seed)
    shape = SHAPE if passes is None else (passes, *SHAPE)
    fields = np.repeat(np.repeat(rng.uniform(0.01, 0.5, (27, 33)), 10, axis=0), 10, axis=1)
    values = fields * rng.gamma(4.4, 1 / 4.4, shape)
    values[..., rng.random(SHAPE) < 0.02] = np.nan
    values[..., 60:130, 190:260] = np.nan
    return raster(values.astype(np.float32))


def same(found: xr.DataArray, whole: xr.DataArray, block_px: int) -> None:
    assert isinstance(found.data, da.Array)
    assert found.data.numblocks[-2:] == (-(-SHAPE[0] // block_px), -(-SHAPE[1] // block_px))
    np.testing.assert_array_equal(found.values, whole.values)


@BLOCKS
@pytest.mark.parametrize("name", [*FILTERS, "multitemporal"])
def test_speckle(name, block_px):
    stack = power(1, passes=2)
    whole, found = (
        filter_scene(xr.Dataset({"vv": one}, attrs={"backscatter": "gamma0"}), name, window=9)["vv"]
        for one in (stack, cut(stack, block_px))
    )
    assert np.isnan(whole).any()
    same(found, whole, block_px)


@BLOCKS
@pytest.mark.parametrize("shift", [(2.3, -1.6), (-0.4, 3.0)])
def test_a_pass_moved_onto_its_reference(shift, block_px):
    estimate = ShiftEstimate(
        reference="r", dy_px=shift[0], dx_px=shift[1], confidence=1, spread_px=0, correlation=1, blocks=9
    )
    scene = xr.Dataset({"vv": power(2), "flags": raster(np.random.default_rng(3).integers(0, 9, SHAPE).astype("u1"))})
    whole, found = moved(scene, estimate), moved(scene.map(cut, block_px=block_px), estimate)
    same(found["flags"], whole["flags"], block_px)
    np.testing.assert_array_equal(np.isnan(found["vv"]), np.isnan(whole["vv"]))
    # Where a row lies in its block is part of a float64 sum: the last bit of the result may differ.
    np.testing.assert_allclose(found["vv"], whole["vv"], rtol=2.5e-7)


def test_integers_move_with_the_power_and_nothing_comes_from_beyond_the_edge():
    estimate = ShiftEstimate(reference="r", dy_px=2, dx_px=-3, confidence=1, spread_px=0, correlation=1, blocks=9)
    flags = np.random.default_rng(3).integers(1, 9, SHAPE).astype("u1")
    found = moved(xr.Dataset({"vv": power(2), "flags": raster(flags)}), estimate)
    wide = np.pad(flags, ((0, 2), (3, 0)))
    np.testing.assert_array_equal(found["flags"], wide[2:, : SHAPE[1]])
    wide = np.pad(power(2).values, ((0, 2), (3, 0)), constant_values=np.nan)
    np.testing.assert_allclose(found["vv"], wide[2:, : SHAPE[1]], rtol=2.5e-7)


@BLOCKS
def test_clear_sky(block_px):
    rng = np.random.default_rng(4)
    classes = raster(rng.choice([0, 3, 4, 6, 9], SHAPE, p=[0.001, 0.002, 0.5, 0.495, 0.002]).astype("u1"))
    whole, found = (clear_by_scene_class(xr.Dataset({"SCL": one})) for one in (classes, cut(classes, block_px)))
    assert 0.2 < whole.mean() < 0.8
    same(found, whole, block_px)


@BLOCKS
def test_the_best_pixel(block_px):
    def composite(size: int | None) -> xr.Dataset:
        overpasses, clear = [], []
        for number, day in enumerate((3, 17)):
            seen = np.ones(SHAPE, bool)
            middle = (100 + 40 * number, 120 + 70 * number)
            seen[middle[0] - 5 : middle[0] + 5, middle[1] - 5 : middle[1] + 5] = False
            layers = [power(10 + number), raster(seen)]
            band, mask = layers if size is None else [cut(one, size) for one in layers]
            overpasses.append(xr.Dataset({"B03": band}, attrs={"datetime": f"2024-04-{day:02d}T10:00:00+00:00"}))
            clear.append(mask)
        return best_pixel_composite(overpasses, clear, before=BEFORE)

    whole, found = composite(None), composite(block_px)
    older = (whole["days_before"] > 20).values
    assert older[146:155, 190].mean() > 0.7, "the newer overpass loses beyond its cloud, over the edges of blocks"
    for name in whole:
        np.testing.assert_array_equal(found[name].values, whole[name].values)


@BLOCKS
@pytest.mark.parametrize("reach_px", [1, 3])
def test_slope(reach_px, block_px):
    heights = raster(np.cumsum(np.random.default_rng(5).normal(0, 3, SHAPE), axis=1).astype(np.float32))
    heights[80:90, 60:70] = np.nan
    whole, found = (slope(one, reach_px=reach_px) for one in (heights, cut(heights, block_px)))
    same(found, whole, block_px)


@BLOCKS
def test_height_above_drainage(block_px):
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    ground = 40 + 0.1 * x + 0.2 * np.abs(y - 135) + np.random.default_rng(6).normal(0, 0.3, SHAPE)
    ground[100:104, 60:68] = np.nan
    heights = raster(ground.astype(np.float32))
    whole, found = (
        height_above_nearest_drainage(one, drainage_area_km2=0.2) for one in (heights, cut(heights, block_px))
    )
    assert float(whole.max()) > 1
    np.testing.assert_array_equal(found.values, whole.values)
