"""Speckle has the distribution that methods of detection assume."""

import numpy as np
import pytest
from scipy.special import digamma, polygamma
from scipy.stats import gamma, kstest

from pipeline_lib.options.world import RadarOptions
from pipeline_lib.world.speckle import speckle


@pytest.mark.parametrize(("looks", "bias_db", "sd_db"), [(1.0, -2.51, 5.57), (4.4, -0.51, 2.19), (10.0, -0.22, 1.41)])
def test_moments_are_those_of_the_gamma_distribution(looks, bias_db, sd_db):
    values = speckle((1000, 1000), np.random.default_rng(1), looks=looks, correlation_px=0.6).astype(float)
    # Correlated neighbours leave about a sixth of the pixels independent.
    assert values.mean() == pytest.approx(1, abs=4 / np.sqrt(looks * values.size / 6))
    assert values.mean() ** 2 / values.var() == pytest.approx(looks, rel=0.015)
    decibels = 10 * np.log10(values)
    assert decibels.mean() == pytest.approx(bias_db, abs=0.006 + 4 * sd_db / np.sqrt(values.size / 6))
    assert decibels.std() == pytest.approx(sd_db, rel=0.01)
    assert bias_db == pytest.approx(10 / np.log(10) * (digamma(looks) - np.log(looks)), abs=0.01)
    assert sd_db == pytest.approx(10 / np.log(10) * np.sqrt(polygamma(1, looks)), abs=0.01)


def test_marginal_is_gamma_whatever_the_correlation():
    for correlation in (0.0, 0.6, 1.5):
        values = speckle((600, 600), np.random.default_rng(2), looks=4.4, correlation_px=correlation)[::13, ::13]
        assert kstest(values.ravel(), gamma(4.4, scale=1 / 4.4).cdf).pvalue > 0.001


def test_neighbours_correlate_and_distant_pixels_do_not():
    values = speckle((800, 800), np.random.default_rng(3), looks=4.4, correlation_px=RadarOptions().correlation_px)
    along = [np.corrcoef(values[:, :-lag].ravel(), values[:, lag:].ravel())[0, 1] for lag in (1, 2, 3, 6)]
    assert along[0] == pytest.approx(0.64, abs=0.04)
    assert along[0] > along[1] > along[2]
    assert along[1] == pytest.approx(0.18, abs=0.04)
    assert abs(along[3]) < 0.01
    alone = speckle((400, 400), np.random.default_rng(3), looks=4.4, correlation_px=0)
    assert abs(np.corrcoef(alone[:, :-1].ravel(), alone[:, 1:].ravel())[0, 1]) < 0.01
