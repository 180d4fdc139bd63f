"""Sampling the image: exact where it can be, never beyond its neighbours, no data where there is none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import map_coordinates

from pipeline_lib.sar.resample import sample_image


def at(image, line, pixel, origin=(0, 0)):
    return sample_image(image, np.array([[line]], dtype=float), np.array([[pixel]], dtype=float), origin=origin)[0, 0]


@given(line=st.floats(2, 6), pixel=st.floats(2, 9))
def test_planes_are_reproduced(line, pixel):
    y, x = np.indices((9, 12))
    image = (3 * y - 2 * x + 50).astype(np.float32)
    assert at(image, line, pixel) == pytest.approx(3 * line - 2 * pixel + 50, rel=1e-5)


@given(
    image=arrays(np.float32, (7, 8), elements=st.floats(2**-10, 128, width=32)),
    line=st.floats(0, 6),
    pixel=st.floats(0, 7),
)
def test_never_beyond_the_four_neighbours(image, line, pixel):
    k, m = int(line), int(pixel)
    around = image[k : k + 2, m : m + 2]
    assert around.min() * 0.999999 <= at(image, line, pixel) <= around.max() * 1.000001


@given(line=st.floats(0, 6), pixel=st.floats(0, 7))
def test_the_window_may_lie_anywhere(line, pixel):
    image = np.random.default_rng(0).gamma(4, 0.1, (7, 8)).astype(np.float32)
    assert at(image, line, pixel) == pytest.approx(at(image, line + 5000, pixel + 9000, origin=(5000, 9000)), rel=1e-6)


def test_sharper_than_bilinear_at_an_edge():
    y, x = np.indices((40, 40))
    edge = lambda s: 1 / (1 + np.exp(-(s - 20.3) / 0.8))  # noqa: E731
    image = edge(x).astype(np.float32)
    column = np.linspace(10.5, 29.5, 39)
    line = np.full((1, 39), 20.0)
    cubic = sample_image(image, line, column[None], origin=(0, 0))[0]
    linear = map_coordinates(image, [line[0], column], order=1)
    assert np.abs(cubic - edge(column)).max() < 0.6 * np.abs(linear - edge(column)).max()
    assert y.shape == image.shape


def test_means_over_cells_become_the_ground_at_a_point(monkeypatch):
    """Cells hold means, here exact, of a shore of 12 dB; twice as close to the shore itself as without the correction."""
    shore = lambda s: 0.01 + 0.15 / (1 + np.exp(-(s - 20.3) / 0.8))  # noqa: E731
    whole = lambda s: 0.01 * s + 0.15 * 0.8 * np.logaddexp(0, (s - 20.3) / 0.8)  # noqa: E731
    image = np.tile(np.diff(whole(np.arange(41) - 0.5)).astype(np.float32), (20, 1))
    pixel = np.linspace(14, 27, 257)[None]
    line = np.full_like(pixel, 9.4)

    def rms_db():
        sampled = sample_image(image, line, pixel, origin=(0, 0))
        return np.sqrt(np.mean((10 * np.log10(sampled / shore(pixel))) ** 2))

    corrected = rms_db()
    monkeypatch.setattr("pipeline_lib.sar.resample.SHARPEN", 0.0)
    assert corrected < 0.55 * rms_db()


def test_speckle_keeps_its_mean():
    """Limits and sharpening are symmetric enough that homogeneous ground keeps its power to 0.02 dB."""
    speckle = np.random.default_rng(3).gamma(4.4, 1 / 4.4, (500, 500)).astype(np.float32)
    line, pixel = np.meshgrid(np.arange(5, 490) * 1.007, np.arange(5, 490) * 0.993, indexing="ij")
    sampled = sample_image(speckle, line, pixel, origin=(0, 0))
    assert abs(10 * np.log10(sampled.mean() / speckle[5:490, 5:490].mean())) < 0.02


def test_no_data_in_no_data_out():
    image = np.ones((8, 8), np.float32)
    image[4, 4] = np.nan
    assert np.isnan(at(image, 3.5, 4.2))
    assert np.isnan(at(image, 4.0, 4.0))
    assert at(image, 3.0, 4.0) == 1  # on a cell: needs no other
    assert at(image, 5.5, 5.5) == 1  # the wider neighbourhood is incomplete: bilinear
    for line, pixel in ((-0.1, 3), (3, 7.1), (np.nan, 2), (7.5, 7)):
        assert np.isnan(at(image, line, pixel))
