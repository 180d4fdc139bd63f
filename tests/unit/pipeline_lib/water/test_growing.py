import dask.array as da
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, label

from pipeline_lib.water.blocks import BlockGrid
from pipeline_lib.water.growing import GrowingRule, grow, region_sizes

EIGHT = np.ones((3, 3))


def oracle(values, rule):
    """SciPy's labels of the whole array at once."""
    labels, number = label(np.nan_to_num(values, nan=-np.inf) >= rule.tolerance, EIGHT)
    kept = np.zeros(number + 1, dtype=bool)
    for region in range(1, number + 1):
        inside = labels == region
        kept[region] = inside.sum() >= rule.min_pixels and (values[inside] >= rule.seed).any()
    return kept[labels]


def field(seed, shape, sigma=1.0):
    values = gaussian_filter(np.random.default_rng(seed).normal(size=shape), sigma).astype(np.float32)
    return values / max(values.std(), np.float32(1e-3))


@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    block=st.integers(2, 20),
    min_pixels=st.integers(1, 12),
)
def test_any_blocks_give_what_the_whole_array_gives(seed, rows, columns, block, min_pixels):
    values = field(seed, (rows, columns), 0.7)
    values[np.random.default_rng(seed).random(values.shape) < 0.05] = np.nan
    rule = GrowingRule(seed=1.2, tolerance=0.2, min_pixels=min_pixels)
    found = grow(BlockGrid(values.shape, block).blocked(values), rule).compute()
    np.testing.assert_array_equal(found, oracle(values, rule))


def test_a_seed_at_one_end_keeps_a_region_that_winds_through_every_block():
    values = np.zeros((64, 64), dtype=np.float32)
    values[::8] = 0.6
    values[:, 0] = 0.0
    for turn in range(0, 56, 8):
        values[turn : turn + 9, 63 if (turn // 8) % 2 == 0 else 1] = 0.6
    values[0, 1] = 0.9
    found = grow(BlockGrid(values.shape, 16).blocked(values), GrowingRule(seed=0.8, tolerance=0.5)).compute()
    np.testing.assert_array_equal(found, values >= 0.5)


@pytest.mark.parametrize("flip", [False, True])
def test_regions_that_touch_at_the_corner_of_four_blocks_are_one(flip):
    values = np.zeros((8, 8), dtype=np.float32)
    values[3, 3], values[4, 4] = 0.9, 0.6
    values = values[:, ::-1].copy() if flip else values
    found = grow(BlockGrid((8, 8), 4).blocked(values), GrowingRule(seed=0.8, tolerance=0.5)).compute()
    assert found.sum() == 2


def test_sizes_are_those_of_the_whole_regions():
    values = field(3, (90, 70), 2.0)
    labels, number = label(values >= 0.5, EIGHT)
    expected = np.append(0, np.bincount(labels.ravel(), minlength=number + 1)[1:])[labels]
    found = region_sizes(da.from_array(values, chunks=(17, 23)), 0.5).compute()
    np.testing.assert_array_equal(found, expected)


def test_no_block_waits_for_what_another_waits_for():
    """A task that all blocks need comes last in Dask's order, and what else they need is kept in memory until then."""
    values = da.from_array(field(3, (64, 64)), chunks=16).persist()
    needs = grow(values, GrowingRule(seed=1.0, tolerance=0.2)).__dask_graph__().get_all_dependencies()
    needed = [one for each in needs.values() for one in each]
    assert len(needed) >= 2 * 16
    assert len(set(needed)) == len(needed)
