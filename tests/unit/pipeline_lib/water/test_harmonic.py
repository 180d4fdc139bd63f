import numpy as np
import pytest
from scenes import history_of, river, scene_of
from scipy.stats import norm

from pipeline_lib.model import Exclusion
from pipeline_lib.water import Observation, detector
from pipeline_lib.water.harmonic import (
    WATER_SPREAD_DB,
    flood_posterior,
    hand_prior,
    harmonics_for,
    land_expectation,
    season_terms,
    water_mean_db,
)


def test_the_expectation_is_that_of_least_squares():
    rng = np.random.default_rng(0)
    days = np.sort(rng.uniform(1, 365, 40))
    truth = -10 + 2 * np.cos(2 * np.pi * days / 365) + 0.7 * np.sin(6 * np.pi * days / 365)
    history = (truth[:, None, None] + rng.normal(0, 0.8, (40, 3, 4))).astype(np.float32)
    history[5:9, 1, 2] = np.nan
    expected, spread = land_expectation(history, days, 200.0, harmonics=3, least=32)
    terms = season_terms(days, 3)
    for y, x in np.ndindex(3, 4):
        seen = np.isfinite(history[:, y, x])
        weights, *_ = np.linalg.lstsq(terms[seen], history[seen, y, x].astype(np.float64), rcond=None)
        residual = history[seen, y, x] - terms[seen] @ weights
        assert expected[y, x] == pytest.approx((season_terms(np.array([200.0]), 3) @ weights).item(), abs=1e-3)
        assert spread[y, x] == pytest.approx(np.sqrt((residual**2).sum() / (seen.sum() - 7)), rel=2e-3)


def test_a_pixel_seen_too_seldom_has_no_expectation():
    history = np.full((5, 1, 2), -10, dtype=np.float32)
    history[1:, 0, 1] = np.nan
    expected, _ = land_expectation(history, np.arange(5.0), 0.0, harmonics=0, least=3)
    assert expected[0, 0] == pytest.approx(-10)
    assert np.isnan(expected[0, 1])


@pytest.mark.parametrize("spread", [0.8, 1.5, 3.5])
def test_the_posterior_is_bayes_with_each_class_own_spread(spread):
    value = np.linspace(-28, -5, 40, dtype=np.float32)[None]
    angle = np.full_like(value, 39.0)
    expected, width = np.full_like(value, -10), np.full_like(value, spread)
    water = norm.pdf(value, -0.394181 * 39 - 4.142015, 2.754041)
    land = norm.pdf(value, -10, spread)
    line = water_mean_db(angle, "sigma0")
    np.testing.assert_allclose(flood_posterior(value, line, expected, width, 0.5), water / (water + land), atol=2e-5)
    swapped = norm.pdf(value, -10, WATER_SPREAD_DB)  # a public implementation gives land the spread of water
    assert np.abs(water / (water + swapped) - water / (water + land)).max() > 0.01 or spread == pytest.approx(2.754)


def test_height_above_drainage_moves_the_prior():
    prior = hand_prior(np.array([[0, 15, 40, np.nan]], dtype=np.float32), 15.0, 5.0)
    np.testing.assert_allclose(prior, [[1 / (1 + np.exp(-3)), 0.5, 1 / (1 + np.exp(5)), 0.5]], rtol=1e-5)


@pytest.mark.parametrize(("passes", "harmonics"), [(1, 0), (14, 0), (15, 1), (25, 2), (31, 2), (32, 3), (90, 3)])
def test_a_short_history_carries_fewer_harmonics(passes, harmonics):
    assert harmonics_for(passes, 3) == harmonics
    assert harmonics_for(passes, 1) == min(harmonics, 1)


def test_where_the_model_does_not_hold_it_says_so():
    water = river((80, 100))
    scene = scene_of(water)
    angle = np.full(water.shape, 39, dtype=np.float32)
    angle[:, :20] = 55
    scene["local_incidence_angle"] = (("y", "x"), angle, {"units": "degree"})
    found = detector("tuw-bayes").detect(Observation(scene=scene, history=history_of(water))).compute()
    blind = (found["excluded"].values & int(Exclusion.NO_SENSITIVITY)) > 0
    assert blind[:, :20].all()
    assert blind[:, 20:][water[:, 20:]].mean() > 0.95  # land as dark as water: the classes conflict
    assert blind[:, 20:][~water[:, 20:]].mean() < 0.05
    assert any("short" in note for note in found.attrs["notes"])


def test_water_of_gamma0_lies_above_that_of_sigma0_by_the_cosine_of_the_angle():
    angle = np.array([[30.0, 39.0, 45.0]], dtype=np.float32)
    fall = water_mean_db(angle, "gamma0", raised_db=2.0) - water_mean_db(angle, "sigma0")
    np.testing.assert_allclose(fall, 2.0 - 10 * np.log10(np.cos(np.radians(angle))), atol=1e-4)
