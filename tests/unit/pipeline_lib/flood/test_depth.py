"""Depth: exact in a plain valley, unknown where it cannot be told, never zero."""

import numpy as np
import xarray as xr

from pipeline_lib.flood.depth import UNKNOWN_CM, water_depth


def layer(values):
    return xr.DataArray(
        values,
        dims=("y", "x"),
        coords={"y": -10.0 * np.arange(values.shape[0]), "x": 10.0 * np.arange(values.shape[1])},
    )


def valley(level=4.0):
    """A V-shaped valley along y, 0.1 m a pixel; flooded to ``level`` metres."""
    ground = np.abs(np.arange(161) - 80)[None, :] * 0.1 + np.zeros((90, 1))
    return (ground < level).astype(np.uint8), ground.astype(np.float32)


def test_depth_in_a_valley_is_level_less_ground():
    flood, ground = valley()
    depth = water_depth(layer(flood), layer(flood), layer(ground)).values
    wet = (flood == 1) & (ground < 3.85)
    np.testing.assert_allclose(depth[wet] / 100, 3.9 - ground[wet], atol=0.006)
    assert (depth[flood == 0] == UNKNOWN_CM).all()
    assert (depth != 0).all()


def test_no_edge_no_elevation_no_depth():
    flood, ground = valley()
    assert (
        water_depth(layer(np.ones_like(flood)), layer(np.ones_like(flood)), layer(ground)).values == UNKNOWN_CM
    ).all()
    assert (water_depth(layer(flood), layer(flood), layer(np.full_like(ground, np.nan))).values == UNKNOWN_CM).all()
    unseen = np.where(flood == 0, 255, flood).astype(np.uint8)
    assert (water_depth(layer(unseen), layer(unseen), layer(ground)).values == UNKNOWN_CM).all(), (
        "the edge of what was seen is no shore"
    )


def test_beyond_reach_is_unknown():
    flood, ground = valley()
    depth = water_depth(layer(flood), layer(flood), layer(ground), reach_px=10).values
    assert (depth[:, 80] == UNKNOWN_CM).all()
    assert (depth[:, 45] != UNKNOWN_CM).all()


def test_windows_leave_no_seam():
    flood, ground = valley()
    ground = ground + np.random.default_rng(0).normal(0, 0.3, ground.shape).astype(np.float32)
    layers = layer(flood), layer(flood), layer(ground)
    whole = water_depth(*layers, reach_px=12).values.astype(int)
    found = water_depth(*layers, reach_px=12, block_px=8).values
    assert np.abs(found - whole).max() <= 1, "a rounding of a centimetre apart"


def test_the_surface_is_the_mean_of_those_of_five_by_five_pixels():
    flood = np.ones((7, 20), np.uint8)
    flood[:, 0] = 0
    ground = np.zeros((7, 20), np.float32)
    ground[:3, :2], ground[3:, :2] = 2.0, 3.0  # the shore of rows 0 to 2 is a metre lower
    depth = water_depth(layer(flood), layer(flood), layer(ground)).values
    assert depth[:, 10].tolist() == [200, 225, 240, 260, 280, 300, 300]  # beyond the map there is nothing to count


def test_a_rivers_bank_is_no_shore():
    water, ground = valley()
    flood = water.copy()
    flood[:, 75:86] = 0
    depth = water_depth(layer(flood), layer(water), layer(ground)).values
    inner = (flood == 1) & (ground < 3.3)
    np.testing.assert_allclose(depth[inner] / 100, 3.9 - ground[inner], atol=0.06)


def test_one_centimetre_is_a_depth_and_none_is_not():
    flood, ground = valley()
    ground[40, 80], ground[40, 82], ground[40, 84] = 3.89, 3.9, 3.95
    depth = water_depth(layer(flood), layer(flood), layer(ground)).values
    assert depth[40, [80, 82, 84]].tolist() == [1, UNKNOWN_CM, UNKNOWN_CM]


def test_the_shore_tells_the_surface_a_hundred_pixels_inwards():
    flood = np.ones((7, 130), np.uint8)
    flood[:, 0] = 0
    depth = water_depth(layer(flood), layer(flood), layer(np.where(flood == 1, np.float32(0.0), np.float32(1.0))))
    assert (depth.values == UNKNOWN_CM).all(), "the shore lies as low as the bed"
    ground = np.where(np.arange(130) <= 1, np.float32(2.0), np.float32(0.0))[None, :] * np.ones((7, 1), np.float32)
    depth = water_depth(layer(flood), layer(flood), layer(ground)).values[3]
    assert depth[101] == 200
    assert depth[102] == UNKNOWN_CM
