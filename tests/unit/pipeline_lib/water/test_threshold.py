import numpy as np
import pytest
import xarray as xr
from scipy.stats import norm
from skimage.filters import threshold_otsu

from pipeline_lib.errors import UnseparableHistogramError
from pipeline_lib.options.detect import TileChoice
from pipeline_lib.water.classes import (
    CO_POLARISED,
    CROSS_POLARISED,
    classes_by_polarisation,
    classes_of,
    gamma0_over_sigma0_db,
    physics_of,
)
from pipeline_lib.water.histogram import BINS, CENTRES_DB, STEP_DB, TileHistograms
from pipeline_lib.water.threshold import fit_two_normals, kittler_illingworth, otsu


def mixture(share, dark, bright):
    """Exact histogram of two normals."""
    edges = np.append(CENTRES_DB - STEP_DB / 2, CENTRES_DB[-1] + STEP_DB / 2)
    return 1e6 * (share * np.diff(norm.cdf(edges, *dark)) + (1 - share) * np.diff(norm.cdf(edges, *bright)))


def test_otsu_is_that_of_scikit_image():
    counts = mixture(0.3, (-20, 2), (-10, 2.5))
    found, explained = otsu(counts, CENTRES_DB)
    assert found == pytest.approx(threshold_otsu(hist=(counts, CENTRES_DB)), abs=STEP_DB)
    assert 0.7 < explained < 1


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.8])
def test_kittler_illingworth_is_the_literal_minimum_of_its_criterion(share):
    counts = mixture(share, (-20, 2), (-10, 2.5))
    best = (np.inf, None)
    for cut in range(1, BINS):
        weights = counts[:cut].sum() / counts.sum(), counts[cut:].sum() / counts.sum()
        if min(weights) <= 1e-3:
            continue
        cost = 1.0
        for part, weight in ((slice(0, cut), weights[0]), (slice(cut, BINS), weights[1])):
            mean = np.average(CENTRES_DB[part], weights=counts[part])
            spread = np.sqrt(max(np.average((CENTRES_DB[part] - mean) ** 2, weights=counts[part]), STEP_DB**2 / 12))
            cost += 2 * weight * (np.log(spread) - np.log(weight))
        best = min(best, (cost, CENTRES_DB[cut] - STEP_DB / 2))
    assert kittler_illingworth(counts, CENTRES_DB) == pytest.approx(best[1])


def test_kittler_illingworth_finds_rare_water_where_otsu_does_not():
    counts = mixture(0.01, (-22, 1.2), (-10, 2.5))
    assert -20 < kittler_illingworth(counts, CENTRES_DB) < -16
    assert otsu(counts, CENTRES_DB)[0] > -15


def test_a_fitted_mixture_is_the_one_that_was_drawn():
    fitted = fit_two_normals(mixture(0.3, (-20, 2), (-10, 2.5)), CENTRES_DB)
    assert (fitted.dark.mean, fitted.bright.mean) == pytest.approx((-20, -10), abs=0.15)
    assert (fitted.dark.spread, fitted.bright.spread) == pytest.approx((2, 2.5), abs=0.15)
    assert fitted.dark_share == pytest.approx(0.3, abs=0.01)
    assert fitted.fit > 0.999
    assert fitted.ashman_d == pytest.approx(np.sqrt(2) * 10 / np.hypot(2, 2.5), abs=0.3)
    lead = 0.3 * norm.pdf(fitted.crossing, -20, 2) - 0.7 * norm.pdf(fitted.crossing, -10, 2.5)
    assert abs(lead) < 2e-3


@pytest.mark.parametrize("method", [otsu, kittler_illingworth, fit_two_normals])
@pytest.mark.parametrize("filled", [0, 1])
def test_a_histogram_of_one_value_is_not_thresholded(method, filled):
    counts = np.zeros(BINS)
    counts[50 : 50 + filled] = 1000
    with pytest.raises(UnseparableHistogramError):
        method(counts, CENTRES_DB)


PUBLISHED = {"vv": CO_POLARISED, "vh": CROSS_POLARISED}


def tiles(*histograms):
    counts = np.stack([np.round(h * 4096 / h.sum()) for h in histograms]).astype(np.uint32)
    return TileHistograms(counts[None])


def test_a_single_mode_is_recognised_and_the_published_classes_stand():
    land = mixture(0.0, (-20, 2), (-10, 2))
    found = classes_of(tiles(land, land, land), CO_POLARISED, TileChoice())
    assert not found.separable
    assert found.water == CO_POLARISED.water
    assert found.land.mean == pytest.approx(-10, abs=0.3)


def test_a_dark_mode_too_bright_for_water_is_not_water():
    fields = mixture(0.4, (-12.5, 0.7), (-7, 1.2))
    assert not classes_of(tiles(fields, fields), CO_POLARISED, TileChoice()).separable


def test_bare_fields_beside_forest_are_not_water_unless_vh_shows_water():
    fields = mixture(0.3, (-14.3, 1.4), (-9.8, 1.8))
    forest, shore = mixture(0.0, (-26, 2), (-16, 2)), mixture(0.3, (-25.5, 1.6), (-16, 2))
    shown = {
        name: classes_by_polarisation({"vv": tiles(fields), "vh": tiles(cross)}, PUBLISHED, TileChoice())
        for name, cross in (("forest", forest), ("shore", shore))
    }
    assert not shown["forest"]["vv"].separable
    assert not classes_by_polarisation({"vv": tiles(fields)}, PUBLISHED, TileChoice())["vv"].separable
    assert not shown["shore"]["vv"].separable
    windy = mixture(0.3, (-15.6, 1.3), (-9.8, 1.6))
    windy_shore = classes_by_polarisation({"vv": tiles(windy), "vh": tiles(shore)}, PUBLISHED, TileChoice())
    assert list(windy_shore) == ["vv", "vh"]
    assert windy_shore["vv"].water.mean == pytest.approx(-15.6, abs=0.4)
    assert not classes_by_polarisation({"vv": tiles(windy), "vh": tiles(forest)}, PUBLISHED, TileChoice())[
        "vv"
    ].separable


def test_bimodal_tiles_tell_the_classes_of_the_scene():
    land, shore = mixture(0.0, (-20, 2), (-10, 2)), mixture(0.4, (-19, 1.6), (-10, 2))
    found = classes_of(tiles(land, shore, land, land), CO_POLARISED, TileChoice())
    assert found.separable
    assert found.water.mean == pytest.approx(-19, abs=0.4)
    assert found.land.mean == pytest.approx(-10, abs=0.4)
    assert found.share == pytest.approx(0.1, abs=0.03)


def test_evidence_falls_with_backscatter():
    shore = mixture(0.4, (-19, 2.8), (-10, 1.6))
    ratio = classes_of(tiles(shore), CO_POLARISED, TileChoice()).log_ratio(np.linspace(-45, 10, 500))
    assert (np.diff(ratio) <= 0).all()
    assert ratio[0] > 0 > ratio[-1]


@pytest.mark.parametrize("name", ["vv", "vh"])
@pytest.mark.parametrize("angle", [None, 30.0, 45.0])
def test_published_values_are_of_the_scene_own_kind_of_backscatter(name, angle):
    layers = {} if angle is None else {"local_incidence_angle": (("y", "x"), np.full((32, 32), angle, np.float32))}
    of = {kind: physics_of(name, xr.Dataset(layers, attrs={"backscatter": kind})) for kind in ("sigma0", "gamma0")}
    ratio = gamma0_over_sigma0_db(angle or 39.0)
    assert ratio == pytest.approx(-10 * np.log10(np.cos(np.radians(angle or 39.0))))
    for value in ("darkest_threshold", "brightest_threshold"):
        assert getattr(of["gamma0"], value) - getattr(of["sigma0"], value) == pytest.approx(ratio)
        assert getattr(of["gamma0"], value) == getattr(PUBLISHED[name], value)  # OPERA reads gamma0
    for value in ("water", "land"):
        assert getattr(of["gamma0"], value).mean - getattr(of["sigma0"], value).mean == pytest.approx(ratio)
    assert of["sigma0"].land == PUBLISHED[name].land
    assert (of["sigma0"].water.mean == PUBLISHED[name].water.mean) is (angle is None)


SEA, WINDY_SEA, GALE = {"vv": -21, "vh": -27}, {"vv": -13.5, "vh": -25}, {"vv": -8, "vh": -24}
FOREST, ARID = {"vv": -8, "vh": -14}, {"vv": -13.4, "vh": -17.9}


@pytest.mark.parametrize(
    ("levels", "expected"), [(SEA, True), (WINDY_SEA, True), (GALE, True), (FOREST, False), (ARID, False)]
)
def test_a_scene_of_one_class_is_told_by_published_levels(levels, expected):
    scene = {name: tiles(*[mixture(0.0, (-30, 2), (level, 1.5))] * 4) for name, level in levels.items()}
    found = classes_by_polarisation(scene, PUBLISHED, TileChoice())
    for name, known in found.items():
        assert not known.separable
        assert known.all_water is expected
        assert (known.water if expected else known.land).mean == pytest.approx(levels[name], abs=0.3)
        if expected:
            assert known.share > 0.9
            assert known.land.mean > known.water.mean + 2.0
