"""Runs of a mask, labelled and summed, against SciPy on the pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from pipeline_lib.flood.runs import NO_CLASSES, edge_labels, extremes, runs_of, sum_areas, sum_runs

masks = st.builds(
    lambda seed, rows, columns, share: np.random.default_rng(seed).random((rows, columns)) < share,
    st.integers(0, 10_000),
    st.integers(1, 24),
    st.integers(1, 24),
    st.sampled_from([0.0, 0.2, 0.5, 0.6, 0.8, 1.0]),
)


def painted(runs, shape) -> np.ndarray:
    """Label + 1 of each pixel, 0 where none is set."""
    out = np.zeros(shape, np.int64)
    for row in range(shape[0]):
        for run in range(runs.offsets[row], runs.offsets[row + 1]):
            assert (out[row, runs.start[run] : runs.stop[run]] == 0).all(), "runs do not overlap"
            out[row, runs.start[run] : runs.stop[run]] = runs.label[run] + 1
    return out


@given(masks)
def test_runs_are_the_objects_of_the_mask(mask):
    runs = runs_of(mask)
    labels, count = ndimage.label(mask)  # 4-connected, numbered by the first pixel met, as runs are
    assert runs.objects == count
    np.testing.assert_array_equal(painted(runs, mask.shape), labels)
    assert runs.offsets[0] == 0
    assert runs.offsets.size == mask.shape[0] + 1
    assert runs.start.size == (np.diff(mask.astype(int), axis=1, prepend=0) == 1).sum(), "no run is split"


def test_corners_do_not_join_and_a_late_meeting_does():
    corners = np.array([[1, 0], [0, 1]], bool)
    assert runs_of(corners).objects == 2
    horseshoe = np.array([[1, 0, 1, 0, 1], [1, 0, 1, 0, 1], [1, 1, 1, 1, 1]], bool)
    assert runs_of(horseshoe).objects == 1
    assert runs_of(horseshoe).label.tolist() == [0] * 7


@given(masks, st.integers(0, 99))
def test_sums_and_extremes_are_those_of_the_pixels(mask, seed):
    rng = np.random.default_rng(seed)
    values, classes = rng.integers(0, 65_000, mask.shape).astype(np.uint16), rng.integers(2, 5, mask.shape).astype("u1")
    areas = rng.uniform(50, 150, mask.shape[1])
    runs = runs_of(mask)
    labels, count = ndimage.label(mask)
    index = np.arange(1, count + 1)
    np.testing.assert_allclose(sum_runs(runs, values), ndimage.sum_labels(values, labels, index))
    ground = np.broadcast_to(areas, mask.shape)
    np.testing.assert_allclose(sum_areas(runs, areas, NO_CLASSES, -1), ndimage.sum_labels(ground, labels, index))
    for code in (2, 3, 4):
        expected = ndimage.sum_labels(np.where(classes == code, ground, 0), labels, index)
        np.testing.assert_allclose(sum_areas(runs, areas, classes, code), expected)
    low, high = extremes(runs, values)
    if count:
        np.testing.assert_array_equal(low, ndimage.minimum(values, labels, index))
        np.testing.assert_array_equal(high, ndimage.maximum(values, labels, index))


@given(masks)
def test_edges_are_those_of_the_labelled_plane(mask):
    runs = runs_of(mask)
    labels = painted(runs, mask.shape)
    for side, line in {"top": labels[0], "bottom": labels[-1], "left": labels[:, 0], "right": labels[:, -1]}.items():
        np.testing.assert_array_equal(edge_labels(runs, mask.shape, side), line)


@pytest.mark.parametrize("dtype", [bool, np.uint8])
def test_a_mask_may_be_bool_or_bytes(dtype):
    assert runs_of(np.eye(3, dtype=dtype)).objects == 3
