"""Calibration scores against scikit-learn, a literal loop, and simulated truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, log_loss

from pipeline_lib.errors import ContractError, GridMismatchError
from pipeline_lib.evaluate import calibrate_scores, reliability


def simulated(seed, *, sharpen=1.0, size=(200, 300)):
    """Labels drawn from the true probability; ``sharpen`` > 1 makes the stated one overconfident."""
    rng = np.random.default_rng(seed)
    true = rng.beta(0.4, 1.2, size)
    truth = (rng.uniform(size=size) < true).astype(np.uint8)
    odds = np.log(np.clip(true, 1e-9, 1) / np.clip(1 - true, 1e-9, 1)) * sharpen
    return (1 / (1 + np.exp(-odds))).astype(np.float32), truth


def loop_ece(likelihood, truth, bins=15):
    p, y = likelihood.astype(float).ravel(), truth.ravel()
    gap = 0.0
    for index in range(bins):
        inside = (p >= index / bins) & ((p < (index + 1) / bins) | (index == bins - 1))
        if inside.any():
            gap += inside.sum() * abs(y[inside].mean() - p[inside].mean())
    return gap / p.size


@pytest.mark.parametrize("sharpen", [0.5, 1.0, 3.0])
def test_ece_equals_the_definition(sharpen):
    likelihood, truth = simulated(1, sharpen=sharpen)
    scores = calibrate_scores([reliability(likelihood, truth)])
    assert scores.ece_pooled == pytest.approx(loop_ece(likelihood, truth), abs=2e-5)
    middle = (likelihood >= 0.05) & (likelihood < 0.95)
    assert scores.uncertain_share == pytest.approx(middle.mean())
    # Bins at the ends are cut by 0.05 and 0.95: the loop over the middle pixels alone does the same.
    assert scores.ece_uncertain_pooled == pytest.approx(loop_ece(likelihood[middle], truth[middle]), abs=2e-5)


def test_brier_and_log_loss_equal_scikit_learn():
    likelihood, truth = simulated(2)
    scores = calibrate_scores([reliability(likelihood, truth)])
    p = np.clip(likelihood.ravel().astype(float), 1e-6, 1 - 1e-6)
    assert scores.brier_pooled == pytest.approx(brier_score_loss(truth.ravel(), p), rel=1e-6)
    assert scores.nll_pooled == pytest.approx(log_loss(truth.ravel(), p), rel=1e-6)


def test_what_is_calibrated_scores_so_and_overconfidence_shows():
    honest = calibrate_scores([reliability(*simulated(3))])
    boasting = calibrate_scores([reliability(*simulated(3, sharpen=4))])
    assert honest.ece_pooled < 0.01
    assert honest.ece_adaptive_pooled < 0.01
    assert boasting.ece_pooled > 0.1
    assert boasting.nll_pooled > honest.nll_pooled


def test_chips_add_up_to_the_whole():
    likelihood, truth = simulated(4)
    parts = [reliability(likelihood[rows], truth[rows]) for rows in (np.s_[:70], np.s_[70:])]
    added, whole = (calibrate_scores(some).model_dump() for some in (parts, [reliability(likelihood, truth)]))
    tables = [[tuple(row.values()) for row in scores.pop("table")] for scores in (added, whole)]
    assert added == pytest.approx(whole)
    assert np.array(tables[0], float) == pytest.approx(np.array(tables[1], float), nan_ok=True)


def test_the_table_has_fifteen_bins_side_by_side_that_hold_every_pixel():
    likelihood, truth = simulated(6)
    table = calibrate_scores([reliability(likelihood, truth)]).table
    assert [row.low for row in table] == pytest.approx([k / 15 for k in range(15)])
    assert [row.high for row in table] == pytest.approx([(k + 1) / 15 for k in range(15)])
    for row in table:
        inside = (likelihood >= row.low) & ((likelihood < row.high) | (row.high == 1))
        assert row.pixels == pytest.approx(inside.sum(), abs=2)
        assert row.water_share == pytest.approx(truth[inside].mean(), abs=0.01)


def test_adaptive_bins_hold_equal_numbers():
    likelihood, truth = simulated(5)
    p, y = likelihood.ravel().astype(float), truth.ravel()
    order = np.argsort(p)
    gap = sum(len(part) * abs(p[part].mean() - y[part].mean()) for part in np.array_split(order, 15)) / p.size
    assert calibrate_scores([reliability(likelihood, truth)]).ece_adaptive_pooled == pytest.approx(gap, abs=2e-3)


def test_no_data_and_no_label_are_left_out():
    likelihood = np.array([[np.nan, 0.9, 0.9]], np.float32)
    truth = np.array([[1, 255, 1]], np.uint8)
    scores = calibrate_scores([reliability(likelihood, truth)])
    assert scores.pixels == 1
    assert scores.ece_pooled == pytest.approx(0.1)


@given(st.floats(0, 1), st.booleans())
def test_one_pixel(chance, water):
    scores = calibrate_scores([reliability(np.array([[chance]]), np.array([[water]], np.uint8))])
    assert scores.ece_pooled == pytest.approx(abs(chance - water))
    assert scores.brier_pooled == pytest.approx((chance - water) ** 2)
    assert sum(row.pixels for row in scores.table) == 1


def test_percent_is_refused():
    with pytest.raises(ContractError, match="not percent"):
        reliability(np.array([[70.0]]), np.array([[1]], np.uint8))


def test_shapes_and_emptiness():
    with pytest.raises(GridMismatchError):
        reliability(np.zeros((2, 2)), np.zeros((2, 3), np.uint8))
    with pytest.raises(ContractError, match="No pixel"):
        calibrate_scores([reliability(np.full((2, 2), np.nan), np.zeros((2, 2), np.uint8))])


def test_fifteen_equal_groups_are_fifteen_adaptive_bins():
    chances = np.repeat(np.linspace(0.03, 0.97, 15), 100)
    shares = np.clip(np.linspace(0.03, 0.97, 15) + np.where(np.arange(15) % 2, 0.03, -0.03), 0, 1)
    truth = np.concatenate([np.arange(100) < round(100 * share) for share in shares]).astype(np.uint8)
    gaps = np.abs(chances.reshape(15, 100).mean(axis=1) - truth.reshape(15, 100).mean(axis=1))
    found = calibrate_scores([reliability(chances, truth)])
    assert found.ece_adaptive_pooled == pytest.approx(gaps.mean())


@pytest.mark.parametrize("code", [2, 254, 255])
def test_codes_that_are_no_answer_are_not_dry(code):
    chances, truth = np.array([0.9, 0.1, 0.8]), np.array([1, 0, code], np.uint8)
    assert calibrate_scores([reliability(chances, truth)]).pixels == 2


def test_the_surest_answer_costs_the_clip_and_no_more():
    right, wrong = (calibrate_scores([reliability(np.ones((1, 1)), np.full((1, 1), k, np.uint8))]) for k in (1, 0))
    assert right.nll_pooled == pytest.approx(-np.log1p(-1e-6), rel=1e-6)
    assert wrong.nll_pooled == pytest.approx(-np.log(1e-6), rel=1e-6)


def test_equal_likelihoods_share_the_adaptive_bin_of_their_middle():
    """Of 30 pixels, 2 a bin: the middle of the first three lies in the first bin, the fourth in the second."""
    chances, truth = np.array([0.1] * 3 + [0.2] + [1.0] * 26), np.array([0] * 3 + [1] + [1] * 26, np.uint8)
    found = calibrate_scores([reliability(chances, truth)]).ece_adaptive_pooled
    assert found == pytest.approx((3 * 0.1 + 0.8) / 30)
