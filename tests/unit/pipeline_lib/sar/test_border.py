"""Border noise: what is cut off, what is kept, and that the cut does not depend on the window."""

import numpy as np
import pytest

from pipeline_lib.sar.border import LEAST_DN, REACH, WINDOW, border_of, needs_border_mask


@pytest.fixture
def image():
    rng = np.random.default_rng(5)
    numbers = rng.integers(60, 400, (300, 500)).astype(np.uint16)
    numbers[:, :37] = rng.integers(0, 12, (300, 37))
    numbers[:, 470:] = 0
    numbers[:21] = rng.integers(0, 9, (21, 500))
    numbers[120:160, 200:260] = 20  # a calm lake in the middle
    return numbers


ALL = (True, True, True, True)


def test_noise_along_the_edges_goes_and_water_inside_stays(image):
    border = border_of(image, edges=ALL)
    assert border[:, :37].all()
    assert border[:, 470:].all()
    assert border[:21].all()
    assert not border[120:160, 200:260].any()
    assert not border[60:280, 60:440].any()


def test_rows_are_walked_as_the_definition_says():
    """Inwards until a sample is signal and at least half of the window about it, as far as it lies in the image, is."""
    rng = np.random.default_rng(9)
    share = np.linspace(0.1, 0.9, 40)[:, None]
    numbers = np.where(rng.random((40, 90)) < share, LEAST_DN, LEAST_DN - 1).astype(np.uint16)
    expected = np.zeros(numbers.shape, bool)
    for row, line in enumerate(numbers >= LEAST_DN):
        for column in range(min(REACH, line.size)):
            window = line[max(column - WINDOW // 2, 0) : column + WINDOW // 2 + 1]
            if line[column] and window.mean() >= 0.5:
                break
            expected[row, column] = True
    assert 0.1 < expected.mean() < 0.9
    np.testing.assert_array_equal(border_of(numbers, edges=(False, False, True, False)), expected)


def test_nothing_is_cut_where_the_block_touches_no_edge(image):
    assert not border_of(image, edges=(False, False, False, False)).any()


def test_single_bright_samples_in_the_noise_do_not_stop_it(image):
    image[50:250, 10] = 90
    assert border_of(image, edges=ALL)[50:250, :37].all()


def test_a_clean_image_loses_nothing():
    numbers = np.random.default_rng(6).integers(60, 400, (80, 90)).astype(np.uint16)
    assert not border_of(numbers, edges=ALL).any()


def test_mirror_images_have_mirror_borders(image):
    np.testing.assert_array_equal(
        border_of(image, edges=(False, False, True, False)),
        border_of(image[:, ::-1], edges=(False, False, False, True))[:, ::-1],
    )
    np.testing.assert_array_equal(
        border_of(image, edges=(True, False, False, False)),
        border_of(image[::-1], edges=(False, True, False, False))[::-1],
    )


@pytest.mark.parametrize(("version", "needed"), [((2, 72), True), ((2, 90), False), ((3, 71), False), (None, True)])
def test_only_old_processors_need_it(version, needed):
    assert needs_border_mask(version) is needed
