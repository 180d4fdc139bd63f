import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.water.blocks import BlockGrid, map_with_halo
from pipeline_lib.water.filtering import boxcar, decibel, look_up, power_of, smooth, table_of
from pipeline_lib.water.histogram import BINS, LOWEST_DB, STEP_DB, TILE_PX, tile_histograms


def literal_mean(values, radius):
    out = np.full(values.shape, np.nan)
    for y, x in np.ndindex(values.shape):
        around = values[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1]
        if np.isfinite(values[y, x]):
            out[y, x] = np.maximum(around[np.isfinite(around)], 0).mean()
    return out


def speckle(seed, shape, *, gaps=True):
    rng = np.random.default_rng(seed)
    power = rng.gamma(4.4, 0.02, shape).astype(np.float32)
    if not gaps:
        return power
    power[rng.random(shape) < 0.1] = np.nan
    power[rng.random(shape) < 0.02] = np.inf
    power[rng.random(shape) < 0.02] = -0.001
    return power


@given(
    seed=st.integers(0, 1000),
    rows=st.integers(1, 12),
    columns=st.integers(1, 12),
    radius=st.integers(0, 3),
    gaps=st.booleans(),
)
def test_boxcar_is_the_mean_of_what_is_observed(seed, rows, columns, radius, gaps):
    power = speckle(seed, (rows, columns), gaps=gaps)
    np.testing.assert_allclose(boxcar(power, radius), literal_mean(power, radius), rtol=1e-5)


def test_smooth_keeps_signs_and_gaps():
    values = np.array([[1.0, -3.0, np.nan], [2.0, 0.0, 5.0]], dtype=np.float32)
    found = smooth(values, 1)
    assert found[0, 0] == pytest.approx(0.0)
    assert np.isnan(found[0, 2])
    assert found[1, 2] == pytest.approx((-3 + 0 + 5) / 3)


def test_a_gap_far_away_changes_no_bit():
    power = speckle(3, (20, 30), gaps=False)
    whole = smooth(power, 1)
    power[15, 25] = np.nan
    np.testing.assert_array_equal(smooth(power, 1)[:14], whole[:14])


def test_decibel_is_the_logarithm_to_the_last_digits_of_float32():
    power = np.geomspace(1e-6, 1e4, 20_000, dtype=np.float32)[None]
    np.testing.assert_allclose(decibel(power), 10 * np.log10(power.astype(np.float64)), atol=8e-6)
    assert np.isnan(decibel(np.array([[np.inf, -np.inf]], dtype=np.float32))).all()


def test_a_table_is_its_function_within_a_hundredth_of_a_decibel():
    power = np.geomspace(1e-5, 100, 5000, dtype=np.float32)[None]
    found = look_up(power, table_of(lambda value: value))
    np.testing.assert_allclose(found, 10 * np.log10(power.astype(np.float64)), atol=0.01)


def test_tables_know_no_data_zero_and_infinity():
    power = np.array([[np.nan, 0.0, np.inf, -np.nan]], dtype=np.float32)
    found = look_up(power, table_of(lambda value: value))
    assert np.isnan(found[0, [0, 2, 3]]).all()
    assert found[0, 1] == -60


def test_decibel_and_back():
    power = np.array([[0.1, 1e-9, 0.0, np.nan]], dtype=np.float32)
    np.testing.assert_allclose(decibel(power), [[-10, -60, -60, np.nan]], rtol=1e-5)
    np.testing.assert_allclose(power_of(np.array([[-10.0]], dtype=np.float32)), [[0.1]], rtol=1e-5)


@pytest.mark.parametrize("block", [64, 128, 192, 1024])
def test_histograms_do_not_depend_on_the_blocks(block):
    power = speckle(1, (300, 400))
    found = tile_histograms({"vv": BlockGrid(power.shape, block).blocked(power)}, radius=1)["vv"]
    value = 10 * np.log10(literal_mean(power, 1)[TILE_PX : 2 * TILE_PX, :TILE_PX])
    bins = np.clip(np.floor((value - LOWEST_DB) / STEP_DB), 0, BINS - 1)
    expected = np.bincount(bins[np.isfinite(bins)].astype(int), minlength=BINS)
    assert found.counts.shape == (5, 7, BINS)
    moved = np.abs(found.counts[1, 0].astype(int) - expected.astype(int)).sum() / 2
    assert moved < 0.02 * expected.sum()  # a table of 0.017 dB meets bins of 0.25 dB
    assert found.scene.sum() == np.isfinite(power).sum()
    assert found.coarsened(4).scene.sum() == found.scene.sum()


@given(block=st.integers(8, 60), halo=st.integers(0, 4))
def test_a_halo_makes_blocks_invisible(block, halo):
    values = np.random.default_rng(0).normal(size=(61, 83)).astype(np.float32)
    grid = BlockGrid(values.shape, block)
    found = map_with_halo(
        smooth, {"values": grid.blocked(values)}, halo_px=halo, dtype=np.float32, arguments={"radius": halo}
    )
    assert found.chunks == grid.chunks
    np.testing.assert_array_equal(found.compute(), smooth(values, halo))
