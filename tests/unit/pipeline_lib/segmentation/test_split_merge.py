"""The definition of a segmentation itself, checked on every result; statistics against simulation and SciPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.special import digamma, polygamma

from pipeline_lib.errors import ContractError
from pipeline_lib.options.segmentation import SplitMergeOptions
from pipeline_lib.segmentation import split_and_merge
from pipeline_lib.segmentation.predicate import _psi_gap, _trigamma, holds, homogeneity, merging_cost
from pipeline_lib.segmentation.split_merge import split

LOOKS = 4.4


def lake(seed, *, size=96, bands=1, contrast_db=9.0):
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:size, :size]
    water = (row - size / 2) ** 2 + (column - size / 3) ** 2 < (size / 4) ** 2
    mean = np.where(water, 10 ** (-(10 + contrast_db) / 10), 0.1)
    return np.stack([mean * rng.gamma(LOOKS, 1 / LOOKS, mean.shape) for _ in range(bands)]), water


def holes(image, seed, share=0.05):
    rng = np.random.default_rng(seed)
    image = image.copy()
    image[:, rng.uniform(size=image.shape[1:]) < share] = np.nan
    return image


def sums_of(image, inside, predicate):
    values = image[:, inside]
    return float(inside.sum()), predicate.first(values).sum(axis=1), predicate.transform(values).sum(axis=1)


def check_definition(image, options):
    """Cover, disjoint (by construction of a label image), connected, P of each, not P of any adjacent two."""
    result = split_and_merge(image, options)
    predicate = homogeneity(options, image.shape[0])
    labels = result.labels
    seen = np.isfinite(image).all(axis=0)
    np.testing.assert_array_equal(labels > 0, seen)
    assert sorted(np.unique(labels[seen])) == list(range(1, len(result.pixels) + 1))
    table = []
    for region in range(1, len(result.pixels) + 1):
        inside = labels == region
        assert ndimage.label(inside)[1] == 1, f"region {region} is not connected"
        n, s1, s2 = sums_of(image, inside, predicate)
        assert holds(predicate.kind, predicate.constants, n, s1, s2), f"region {region} breaks the predicate"
        assert result.pixels[region - 1] == n
        np.testing.assert_allclose(result.mean[region - 1], s1 / n)
        table.append((n, s1, s2))
    if not table:
        return result
    n, s1, s2 = (np.array(column, float) for column in zip(*table, strict=True))
    for a, b in ((labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])):
        touching = (a != b) & (a > 0) & (b > 0)
        for i, j in set(zip(a[touching].tolist(), b[touching].tolist(), strict=True)):
            assert merging_cost(predicate.kind, predicate.constants, n, s1, s2, i - 1, j - 1) < 0, (i, j)
    return result


@settings(max_examples=12)
@given(st.integers(0, 10_000), st.sampled_from([1, 2]), st.sampled_from([0.0, 0.3]), st.booleans())
def test_speckle_segmentations_are_segmentations(seed, bands, texture, gaps):
    image, _ = lake(seed, size=40, bands=bands)
    check_definition(holes(image, seed) if gaps else image, SplitMergeOptions(looks=LOOKS, texture_cv=texture))


@settings(max_examples=12)
@given(st.integers(0, 10_000), st.integers(1, 37), st.integers(1, 23))
def test_optical_segmentations_are_segmentations(seed, rows, columns):
    rng = np.random.default_rng(seed)
    image = rng.choice([0.05, 0.1, 0.3], size=(3, rows, columns)) + rng.normal(0, 0.01, (3, rows, columns))
    check_definition(image, SplitMergeOptions(homogeneity="spread"))


def test_a_lake_becomes_one_region_with_clean_borders():
    image, water = lake(1, bands=2)
    result = check_definition(image, SplitMergeOptions(looks=LOOKS, texture_cv=0))
    largest = np.argsort(result.pixels)[::-1][:2]
    dark = largest[np.argmin(result.mean[largest, 0])] + 1
    found = result.labels == dark
    assert (found & water).sum() / (found | water).sum() > 0.9


def test_homogeneous_speckle_is_one_region_and_so_is_a_constant_image():
    rng = np.random.default_rng(3)
    speckle = 0.1 * rng.gamma(LOOKS, 1 / LOOKS, (1, 128, 128))
    result = split_and_merge(speckle, SplitMergeOptions(looks=LOOKS, texture_cv=0, significance=0.001))
    assert result.pixels.max() > 0.98 * speckle.size
    assert len(split_and_merge(np.full((2, 33, 17), 0.2)).pixels) == 1


def test_extremes():
    nothing = split_and_merge(np.full((1, 8, 8), np.nan))
    assert len(nothing.pixels) == 0
    assert not nothing.labels.any()
    assert len(split_and_merge(np.array([[[0.3]]])).pixels) == 1
    zeros = split_and_merge(np.zeros((1, 4, 4)))
    assert len(zeros.pixels) == 1
    with pytest.raises(ContractError, match="band, y, x"):
        split_and_merge(np.zeros((4, 4)))


def test_islands_of_data_stay_apart():
    image = np.full((1, 9, 9), np.nan)
    image[0, 1:3, 1:3] = image[0, 6:8, 6:8] = 0.1
    assert len(check_definition(image, SplitMergeOptions()).pixels) == 2


def test_split_takes_the_largest_homogeneous_blocks():
    image = np.full((1, 64, 64), 0.1)
    image[0, :32, :32] = 0.01
    leaves, count = split(image, homogeneity(SplitMergeOptions(), 1))
    assert count == 4
    assert len(np.unique(leaves[:32, :32])) == 1


@pytest.mark.parametrize("n", [2, 5, 30, 400])
def test_moments_of_the_statistic_are_those_of_simulated_speckle(n):
    rng = np.random.default_rng(n)
    sample = rng.gamma(LOOKS, 1 / LOOKS, (40_000, n))
    v = np.log(sample.mean(axis=1)) - np.log(sample).mean(axis=1)
    expected = _psi_gap(LOOKS) - _psi_gap(n * LOOKS)
    variance = _trigamma(LOOKS) / n - _trigamma(n * LOOKS)
    assert v.mean() == pytest.approx(expected, abs=4 * v.std() / 200)
    assert v.var() == pytest.approx(variance, rel=0.08)


@given(st.floats(0.3, 1e7))
def test_series_equal_scipy(x):
    assert _psi_gap(x) == pytest.approx(np.log(x) - digamma(x), rel=1e-6, abs=1e-9)
    assert _trigamma(x) == pytest.approx(polygamma(1, x), rel=1e-7)


def test_false_splits_are_as_rare_as_asked():
    rng = np.random.default_rng(5)
    options = SplitMergeOptions(looks=LOOKS, texture_cv=0, significance=0.01, min_step_db=0)
    predicate = homogeneity(options, 1)
    apart = 0
    for _ in range(2000):
        one, two = rng.gamma(LOOKS, 1 / LOOKS, 60), rng.gamma(LOOKS, 1 / LOOKS, 90)
        n, s1 = np.array([60.0, 90.0]), np.array([[one.sum()], [two.sum()]])
        s2 = np.array([[np.log(one).sum()], [np.log(two).sum()]])
        apart += merging_cost(predicate.kind, predicate.constants, n, s1, s2, 0, 1) < 0
    # Two tests at 1 % each: the means' ratio, and the union's spread.
    assert 0.005 < apart / 2000 < 0.04
