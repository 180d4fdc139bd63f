import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.water.fuzzy import Limits, composite, likelihood_of_degree, s_membership, z_membership
from pipeline_lib.water.histogram import CENTRES_DB
from pipeline_lib.water.hydrosar import em_threshold


@given(low=st.floats(-30, 30), width=st.floats(0.1, 50))
def test_membership_rises_from_nought_over_a_half_to_one(low, width):
    high = low + width
    value = np.linspace(low - width, high + width, 300, dtype=np.float32)
    grade = s_membership(value, low, high)
    assert (np.diff(grade) >= 0).all()
    assert grade[0] == 0
    assert grade[-1] == 1
    assert s_membership(np.array([(low + high) / 2]), low, high).item() == pytest.approx(0.5, abs=1e-3)
    np.testing.assert_allclose(grade + z_membership(value, low, high), 1, atol=1e-6)


LIMITS = Limits(backscatter_db=(-20, -14), hand_m=(2, 12), slope_deg=(0, 15), size_px=(3, 10))


def degree(decibel=-20.0, size=50, hand=1.0, slope=0.0):
    one = np.array([[10 ** (decibel / 10)]], dtype=np.float32)
    planes = [None if value is None else np.array([[value]], dtype=np.float32) for value in (hand, slope)]
    return composite(one, LIMITS, size=np.array([[size]]), hand=planes[0], slope=planes[1]).item()


def test_one_element_of_nought_decides():
    assert degree() == 1
    assert degree(hand=20) == degree(slope=20) == degree(size=2) == degree(decibel=-13) == 0


def test_what_is_unknown_does_not_count():
    assert degree(hand=None, slope=None) == 1
    assert degree(hand=np.nan) == 1
    assert degree(decibel=-17) == pytest.approx((0.5 + 3) / 4, abs=0.01)
    assert degree(decibel=-17, hand=None, slope=None) == pytest.approx((0.5 + 1) / 2, abs=0.01)
    assert np.isnan(degree(decibel=np.nan))


def test_the_tolerance_becomes_one_half():
    found = likelihood_of_degree(np.array([0, 0.45, 0.6, 1.0], dtype=np.float32), 0.45)
    np.testing.assert_allclose(found, [0, 0.5, 0.5 + 0.5 * 0.15 / 0.55, 1.0], rtol=1e-5)


def test_three_classes_are_parted_between_the_two_darkest():
    counts = sum(
        1000 * share * np.exp(-0.5 * ((CENTRES_DB - mean) / spread) ** 2) / spread
        for share, mean, spread in ((0.3, -22, 1.2), (0.4, -12, 1.5), (0.3, -6, 1.5))
    )
    between = np.linspace(-22, -12, 1001)
    dark, next_dark = (
        share / spread * np.exp(-0.5 * ((between - mean) / spread) ** 2)
        for share, mean, spread in ((0.3, -22, 1.2), (0.4, -12, 1.5))
    )
    assert em_threshold(counts) == pytest.approx(between[np.argmin(np.abs(dark - next_dark))], abs=0.3)
