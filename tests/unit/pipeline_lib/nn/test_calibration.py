"""Calibration."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.evaluate import calibrate_scores, reliability
from pipeline_lib.nn.calibration import Calibration, fit_calibration
from pipeline_lib.nn.odds import sigmoid


@given(st.floats(0.3, 3), st.floats(-2, 2))
def test_scale_and_bias_are_recovered(scale: float, bias: float) -> None:
    rng = np.random.default_rng(0)
    odds = rng.normal(0, 2, 40_000).astype(np.float32)
    truth = (rng.random(odds.shape) < sigmoid(scale * odds + bias)).astype(np.uint8)
    found = fit_calibration(odds, truth)
    assert found.scale == pytest.approx(scale, rel=0.1, abs=0.02)
    assert found.bias == pytest.approx(bias, abs=0.1)
    assert calibrate_scores([reliability(found.apply(odds), truth)]).ece_pooled < 0.015


def test_class_balancing_is_undone_by_the_bias() -> None:
    """A net trained at half water and used where water is rare is over-confident by the log-odds of the priors."""
    rng = np.random.default_rng(1)
    truth = (rng.random(200_000) < 0.05).astype(np.uint8)
    odds = rng.normal(np.where(truth == 1, 2, -2), 2).astype(np.float32)  # exact log-odds for equal priors
    found = fit_calibration(odds, truth)
    assert found.scale == pytest.approx(1, abs=0.05)
    assert found.bias == pytest.approx(np.log(0.05 / 0.95), abs=0.15)


def test_nothing_to_fit_leaves_the_identity() -> None:
    odds = np.linspace(-3, 3, 50, dtype=np.float32)
    assert fit_calibration(odds, np.zeros(50, np.uint8)) == Calibration()
    assert fit_calibration(odds, np.full(50, 255, np.uint8)) == Calibration()
    backwards = fit_calibration(odds, (odds < 0).astype(np.uint8))
    assert backwards == Calibration()


def test_nan_stays_nan() -> None:
    assert np.isnan(Calibration(2, 1).apply(np.array([np.nan], np.float32))).all()


@pytest.mark.parametrize("truth", [[0, 0, 1, 1], [0, 1, 0, 1], [1, 0, 1, 1, 0, 0, 1, 1]])
def test_the_fit_is_the_minimum_of_its_definition(truth: list[int]) -> None:
    """Also where classes are apart, and nothing but the ridge keeps the fit finite."""
    odds = np.linspace(-2, 2, len(truth)).astype(np.float32)
    y = np.array(truth)

    def objective(weights: np.ndarray) -> float:
        z = weights[0] * odds.astype(float) + weights[1]
        return float(np.mean(np.logaddexp(0, z) - y * z) + 0.5e-6 * ((weights - [1, 0]) ** 2).sum())

    found = fit_calibration(odds, y.astype(np.uint8))
    here = np.array([found.scale, found.bias])
    for step in ([1e-2, 0], [-1e-2, 0], [0, 1e-2], [0, -1e-2]):
        assert objective(here) <= objective(here * (1 + np.array(step)) + np.array(step))


def test_only_so_many_pixels_are_fitted() -> None:
    rng = np.random.default_rng(5)
    odds = rng.normal(0, 2, 3000).astype(np.float32)
    truth = (rng.random(odds.shape) < sigmoid(odds)).astype(np.uint8)
    assert fit_calibration(odds, truth, most=3000) == fit_calibration(odds, truth)
    assert fit_calibration(odds, truth, most=500, seed=1) == fit_calibration(odds, truth, most=500, seed=1)
    assert fit_calibration(odds, truth, most=500) != fit_calibration(odds, truth)


def test_what_is_unknown_is_left_out_of_the_fit() -> None:
    rng = np.random.default_rng(6)
    odds = rng.normal(0, 2, 500).astype(np.float32)
    truth = (rng.random(odds.shape) < sigmoid(2 * odds)).astype(np.uint8)
    more_odds = np.concatenate([odds, np.full(50, np.nan, np.float32), np.full(50, 9, np.float32)])
    more_truth = np.concatenate([truth, np.ones(50, np.uint8), np.full(50, 255, np.uint8)])
    assert fit_calibration(more_odds, more_truth) == fit_calibration(odds, truth)
