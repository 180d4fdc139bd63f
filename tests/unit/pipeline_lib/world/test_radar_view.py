"""Incidence, layover and shadow against trigonometry and a literal march."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from pipeline_lib.model.acquisition import OrbitDirection
from pipeline_lib.options.world import RadarOptions, WorldOptions
from pipeline_lib.world.calendar import radar_passes
from pipeline_lib.world.radar_geometry import flight_vector, footprint, look_vector, view

ASCENDING, DESCENDING = OrbitDirection.ASCENDING, OrbitDirection.DESCENDING


def options(incidence=38.0):
    return WorldOptions(
        size=128, radar=RadarOptions(ascending_incidence_deg=incidence, descending_incidence_deg=incidence)
    )


def test_the_radar_looks_to_the_right_of_the_flight():
    for direction, east in ((ASCENDING, 1), (DESCENDING, -1)):
        (lx, ly), (fx, fy) = look_vector(direction), flight_vector(direction)
        assert lx * east > 0.9
        assert lx * fx + ly * fy == pytest.approx(0, abs=1e-12)
        # Right hand of the flight on a map whose rows run down.
        assert fx * ly - fy * lx == pytest.approx(1)


def test_incidence_grows_with_range_and_is_the_option_in_the_middle():
    flat = np.zeros((128, 128), np.float32)
    for direction in OrbitDirection:
        incidence = view(options(38), flat, direction).incidence_deg
        assert incidence[63:65, 63:65].mean() == pytest.approx(38, abs=0.01)
    assert (
        view(options(), flat, ASCENDING).incidence_deg[64, -1] > view(options(), flat, ASCENDING).incidence_deg[64, 0]
    )
    assert (
        view(options(), flat, DESCENDING).incidence_deg[64, -1] < view(options(), flat, DESCENDING).incidence_deg[64, 0]
    )


@pytest.mark.parametrize("tilt_deg", [-25.0, -10.0, 0.0, 10.0, 25.0])
def test_local_incidence_of_a_plane_is_incidence_less_its_tilt(tilt_deg):
    rows, columns = np.indices((128, 128))
    lx, ly = look_vector(ASCENDING)
    plane = (np.tan(np.radians(tilt_deg)) * 10 * (columns * lx + rows * ly)).astype(np.float32)
    seen = view(options(), plane, ASCENDING)
    # Ground that rises away from the radar faces it.
    assert np.allclose((seen.incidence_deg - seen.local_incidence_deg)[2:-2, 2:-2], tilt_deg, atol=0.02)


def test_flat_land_has_neither_layover_nor_shadow_and_a_cliff_has_both_where_trigonometry_says():
    assert not view(options(), np.zeros((128, 128), np.float32), ASCENDING).layover_shadow.any()
    height, incidence = 80.0, 40.0
    wall = np.zeros((128, 128), np.float32)
    wall[:, 40:60] = height
    codes = view(options(incidence), wall, ASCENDING).layover_shadow[64]
    shadow, layover = np.flatnonzero(codes & 1), np.flatnonzero(codes & 2)
    along = abs(look_vector(ASCENDING)[0])
    assert shadow.min() >= 59
    # The march goes in whole pixels and the edge lies between two, so up to a pixel and a half is missed.
    assert shadow.size * 10 == pytest.approx(height * np.tan(np.radians(incidence)) * along - 5, abs=11)
    reach = height / np.tan(np.radians(incidence)) * along / 10
    assert layover.min() == pytest.approx(39.5 - reach, abs=2)
    assert layover.max() == pytest.approx(39.5 + reach, abs=2)


@settings(max_examples=5)
@given(st.integers(0, 2**31), st.sampled_from([ASCENDING, DESCENDING]))
def test_layover_and_shadow_equal_a_literal_march(seed, direction):
    rng = np.random.default_rng(seed)
    relief = np.zeros((128, 128), np.float32)
    relief[40:80, 40:80] = rng.uniform(0, 60, (5, 5)).repeat(8, 0).repeat(8, 1)
    incidence = 38.0
    found = view(options(incidence), relief, direction).layover_shadow
    (lx, ly), slope = look_vector(direction), np.radians(incidence)
    rows, columns = np.indices(relief.shape).astype(float)
    shadow, layover = np.zeros(relief.shape, bool), np.zeros(relief.shape, bool)
    for step in range(1, 20):
        for way in (-1, 1):
            there = map_coordinates(
                relief, [rows + way * step * ly, columns + way * step * lx], order=1, mode="nearest", prefilter=False
            )
            rise = there - relief
            shadow |= (way < 0) & (rise > step * 10 / np.tan(slope))
            slant = way * step * 10 * np.sin(slope) - rise * np.cos(slope)
            layover |= way * slant <= 0
    inner = (slice(25, 103), slice(25, 103))
    assert ((found & 1) > 0)[inner].sum() == pytest.approx(shadow[inner].sum(), abs=2)
    assert np.mean(((found & 1) > 0)[inner] != shadow[inner]) < 1e-3
    assert np.mean(((found & 2) > 0)[inner] != layover[inner]) < 1e-3


def test_slices_part_the_pass_and_the_narrow_pass_sees_a_part():
    for radar_pass in radar_passes(options()):
        whole = footprint(options(), radar_pass)
        parts = [footprint(options(), radar_pass, part.share) for part in radar_pass.slices]
        assert np.array_equal(np.sum(parts, axis=0), whole.astype(int))
        assert whole.all() == (radar_pass.swath == (0.0, 1.0))
