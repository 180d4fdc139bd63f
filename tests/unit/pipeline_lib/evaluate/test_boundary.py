"""Edge scores against a loop over every pair of edge pixels."""

import numpy as np
import pytest

from pipeline_lib.errors import GridMismatchError
from pipeline_lib.evaluate import boundary_counts


def random_maps(seed, size=28):
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    base = gaussian_filter(rng.normal(size=(size, size)), 3)
    predicted = (base + gaussian_filter(rng.normal(size=base.shape), 2) * 0.3 > 0).astype(np.uint8)
    truth = (base > 0).astype(np.uint8)
    truth[:4] = 255
    predicted[:, -3:] = 255
    return predicted, truth


def loop_edge(codes, other):
    edge = []
    height, width = codes.shape
    valid = (codes <= 1) & (other <= 1)
    for r in range(height):
        for c in range(width):
            if valid[r, c] and codes[r, c] == 1:
                near = [(r + dr, c + dc) for dr, dc in ((0, 1), (1, 0), (0, -1), (-1, 0))]
                if any(0 <= a < height and 0 <= b < width and valid[a, b] and codes[a, b] == 0 for a, b in near):
                    edge.append((r, c))
    return edge


@pytest.mark.parametrize("seed", range(4))
def test_counts_equal_the_loop(seed):
    predicted, truth = random_maps(seed)
    mapped, labelled = loop_edge(predicted, truth), loop_edge(truth, predicted)
    matched = lambda ones, others: sum(  # noqa: E731
        any((r - a) ** 2 + (c - b) ** 2 <= 4 for a, b in others) for r, c in ones
    )
    got = boundary_counts(predicted, truth)
    assert (got.mapped_edge_pixels, got.labelled_edge_pixels) == (len(mapped), len(labelled))
    assert got.mapped_edge_matched == matched(mapped, labelled)
    assert got.labelled_edge_matched == matched(labelled, mapped)
    tally = dict.fromkeys([(1, 1), (1, 0), (0, 1), (0, 0)], 0)
    for r in range(truth.shape[0]):
        for c in range(truth.shape[1]):
            near = any((r - a) ** 2 + (c - b) ** 2 <= 25 for a, b in labelled)
            if near and predicted[r, c] <= 1 and truth[r, c] <= 1:
                tally[(int(predicted[r, c]), int(truth[r, c]))] += 1
    band = got.band
    assert (band.true_positive, band.false_positive, band.false_negative, band.true_negative) == tuple(tally.values())


def test_a_map_equal_to_its_label_is_perfect_and_far_noise_does_not_touch_the_band():
    truth = np.zeros((60, 60), np.uint8)
    truth[20:40, 20:40] = 1
    assert boundary_counts(truth, truth).f1 == 1.0
    noisy = truth.copy()
    noisy[0, 0] = 1
    assert boundary_counts(noisy, truth).band == boundary_counts(truth, truth).band
    assert boundary_counts(noisy, truth).f1 < 1.0


def test_without_an_edge_there_is_no_score():
    dry = np.zeros((5, 5), np.uint8)
    got = boundary_counts(dry, dry)
    assert got.f1 is None
    assert got.band.true_negative == 0


def test_edge_of_the_label_is_no_shore():
    truth = np.full((10, 10), 255, np.uint8)
    truth[3:7, 3:7] = 1
    assert boundary_counts(truth, truth).labelled_edge_pixels == 0


def test_two_chips_add():
    one, two = boundary_counts(*random_maps(1)), boundary_counts(*random_maps(2))
    assert (one + two).mapped_edge_pixels == one.mapped_edge_pixels + two.mapped_edge_pixels
    assert (one + two).band.true_positive == one.band.true_positive + two.band.true_positive


def test_shapes():
    with pytest.raises(GridMismatchError):
        boundary_counts(np.zeros((2, 2), np.uint8), np.zeros((3, 2), np.uint8))
