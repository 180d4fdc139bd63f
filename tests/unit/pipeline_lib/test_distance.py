"""Distances up to a reach are SciPy's."""

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from pipeline_lib.distance import square_distance


@pytest.mark.parametrize("reach_px", [1, 8, 50])
@pytest.mark.parametrize("share", [0.0005, 0.01, 0.5, 1.0])
@pytest.mark.parametrize("shape", [(1, 200), (200, 1), (160, 173)])
def test_distances_are_scipys_up_to_the_reach(share, shape, reach_px):
    mask = np.random.default_rng(int(1e4 * share)).uniform(size=shape) < share
    mask[0, 0] = True
    expected = np.minimum(np.rint(distance_transform_edt(~mask) ** 2), reach_px**2)
    np.testing.assert_array_equal(square_distance(mask, reach_px), expected)


def test_an_empty_mask_is_nowhere_near():
    assert (square_distance(np.zeros((7, 9), bool), 5) == 25).all()
