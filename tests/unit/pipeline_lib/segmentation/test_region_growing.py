"""Region growing against scikit-image and a literal twin, and what it must leave alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from skimage.filters import apply_hysteresis_threshold
from skimage.segmentation import flood

from pipeline_lib.errors import ContractError, GridMismatchError
from pipeline_lib.segmentation import grow, hysteresis, seeds_below


def field(seed, shape=(40, 50)):
    return gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2) * 20


@given(st.integers(0, 10_000), st.floats(-5, 0), st.floats(0, 4))
def test_hysteresis_is_scikit_images(seed, low, gap):
    image = field(seed)
    ours = hysteresis(image, seed=low, tolerance=low + gap, connectivity=4)
    # "At or below" is scikit-image's "above" of the negative, a hair lower.
    theirs = apply_hysteresis_threshold(-image, np.nextafter(-low - gap, -np.inf), np.nextafter(-low, -np.inf))
    np.testing.assert_array_equal(ours, theirs)


def test_hysteresis_never_grows_over_no_data_and_says_when_it_cannot_grow():
    image = np.array([[-9.0, np.nan, -5.0]])
    np.testing.assert_array_equal(hysteresis(image, seed=-8, tolerance=-4), [[True, False, False]])
    with pytest.raises(ContractError, match="below the seed"):
        hysteresis(image, seed=-4, tolerance=-8)


def twin(image, seeds, tolerance, connectivity):
    """The definition in plain Python: of all free neighbours of all regions, the first queued of least difference."""
    labels = np.where(np.isfinite(image), seeds, 0)
    members = {k: list(image[labels == k]) for k in np.unique(labels) if k}
    waiting = []
    steps = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if (a or b) and (connectivity == 8 or not (a and b))]

    def offer(y, x):
        region = labels[y, x]
        mean = np.sum(members[region]) / len(members[region])
        for a, b in steps:
            v, u = y + a, x + b
            if 0 <= v < image.shape[0] and 0 <= u < image.shape[1] and not labels[v, u] and np.isfinite(image[v, u]):
                waiting.append((abs(image[v, u] - mean), v, u, region))

    for y, x in np.argwhere(labels):
        offer(y, x)
    while waiting:
        entry = min(waiting)
        waiting.remove(entry)
        _, y, x, region = entry
        if not labels[y, x] and abs(image[y, x] - np.sum(members[region]) / len(members[region])) <= tolerance:
            labels[y, x] = region
            members[region].append(image[y, x])
            offer(y, x)
    return labels


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.sampled_from([4, 8]), st.floats(0.5, 6))
def test_growing_is_its_literal_twin(seed, connectivity, tolerance):
    image = field(seed, (12, 14))
    image[np.random.default_rng(seed).uniform(size=image.shape) < 0.05] = np.nan
    seeds = np.zeros(image.shape, np.int32)
    seeds[2, 3], seeds[9, 11], seeds[2, 4] = 1, 2, 1
    ours = grow(image, seeds, tolerance=tolerance, connectivity=connectivity)
    np.testing.assert_array_equal(ours, twin(image, seeds, tolerance, connectivity))


def test_a_flat_region_is_a_flood_fill():
    image = np.where(field(3) > 0, 0.0, 10.0)
    place = tuple(np.argwhere(image == 0)[0])
    seeds = np.zeros(image.shape, np.int32)
    seeds[place] = 1
    np.testing.assert_array_equal(grow(image, seeds, tolerance=1) == 1, flood(image, place, connectivity=2))


def test_turning_the_image_turns_the_regions():
    image = field(7)
    seeds = seeds_below(image, np.percentile(image, 5))
    grown = grow(image, seeds, tolerance=2.0)
    turned = grow(np.rot90(image), np.rot90(seeds), tolerance=2.0)
    assert (np.rot90(grown, 1) == turned).mean() > 0.999


def test_seeds_on_no_data_are_dropped_and_nothing_grows_from_nothing():
    image = np.array([[np.nan, 1.0], [1.0, 1.0]])
    seeds = np.array([[1, 0], [0, 0]], np.int32)
    assert not grow(image, seeds, tolerance=5).any()
    assert not grow(np.full((3, 3), np.nan), np.zeros((3, 3), np.int32), tolerance=1).any()


def test_mistakes_are_named():
    image = np.zeros((3, 3))
    with pytest.raises(GridMismatchError):
        grow(image, np.zeros((2, 3), np.int32), tolerance=1)
    with pytest.raises(ContractError):
        grow(image, np.zeros((3, 3), np.int32), tolerance=-1)
    with pytest.raises(ContractError):
        grow(image, np.zeros((3, 3), np.int32), tolerance=1, connectivity=6)
