"""Border noise: what is cut off, what is kept, and that the cut does not depend on the window."""

import numpy as np
import pytest

from pipeline_lib.sar.border import border_of, needs_border_mask


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
