"""Geolocation against ESA's own annotation, against an orbit interpolated another way, and there and back."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer
from scipy.interpolate import CubicHermiteSpline
from scipy.optimize import brentq

from pipeline_lib.errors import AssetError
from pipeline_lib.sar.orbit import fit_orbit
from pipeline_lib.sar.range_doppler import SPEED_OF_LIGHT, RadarGeometry, ecef, slant_range, to_ground, to_radar


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


def test_annotation_grid_with_point_heights_is_met_within_a_fifth_of_a_pixel(rome, rome_geometry):
    tie = rome.geolocation
    line, pixel, distance, _ = to_radar(rome_geometry, ecef(tie.longitude_deg, tie.latitude_deg, tie.height_m))
    assert tie.line.size == 210
    assert rms(line - tie.line) <= 0.2
    assert rms(pixel - tie.pixel) <= 0.2
    assert rms(distance - tie.slant_range_time_s * SPEED_OF_LIGHT / 2) < 1e-4
    # The annotation's times hold more digits than its line numbers.
    assert rms(line * rome.image.line_interval_s - tie.time_s) < 0.005 * rome.image.line_interval_s


def test_heights_are_what_makes_it_right(rome, rome_geometry):
    tie = rome.geolocation
    _, pixel, *_ = to_radar(rome_geometry, ecef(tie.longitude_deg, tie.latitude_deg, np.zeros(210)))
    assert rms(pixel - tie.pixel) > 50


def test_annotated_incidence_angles_are_met(rome, rome_geometry):
    tie = rome.geolocation
    points = ecef(tie.longitude_deg, tie.latitude_deg, tie.height_m)
    *_, look = to_radar(rome_geometry, points)
    lon, lat = np.radians(tie.longitude_deg), np.radians(tie.latitude_deg)
    up = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
    angle = np.degrees(np.arccos((look * up).sum(-1)))
    assert np.abs(angle - tie.incidence_deg).max() < 0.05


def test_zero_doppler_against_hermite_orbit_and_bisection(rome, rome_geometry):
    spline = CubicHermiteSpline(rome.orbit.time_s, rome.orbit.position_m, rome.orbit.velocity_m_s)
    velocity = spline.derivative()
    tie = rome.geolocation
    points = ecef(tie.longitude_deg, tie.latitude_deg, tie.height_m)[::23]
    line, _, distance, _ = to_radar(rome_geometry, points)
    for point, found, far in zip(points, line, distance, strict=True):
        time = brentq(lambda t, p=point: (p - spline(t)) @ velocity(t), -20, 45, xtol=1e-12)
        # A cubic between vectors 10 s apart is itself off by some centimetres.
        assert found * rome.image.line_interval_s == pytest.approx(time, abs=2e-5)
        assert far == pytest.approx(np.linalg.norm(point - spline(time)), abs=0.2)


@given(line=st.floats(0, 16704), pixel=st.floats(0, 26101), height=st.floats(-400, 5000))
def test_there_and_back(rome_geometry, line, pixel, height):
    point = to_ground(rome_geometry, np.array([line]), np.array([pixel]), np.array([height]))
    found_line, found_pixel, distance, _ = to_radar(rome_geometry, point)
    assert found_line[0] == pytest.approx(line, abs=1e-6)
    # srgr and grsr polynomials of the product agree to a hundredth of a pixel.
    assert found_pixel[0] == pytest.approx(pixel, abs=0.02)
    assert distance[0] == pytest.approx(slant_range(rome_geometry, np.array([line]), np.array([pixel]))[0], abs=1e-4)
    *_, up = Transformer.from_crs("EPSG:4978", "EPSG:4979", always_xy=True).transform(*point[0])
    assert up == pytest.approx(height, abs=0.05)


def test_ground_lies_to_the_right_of_the_flight(rome, rome_geometry):
    near, far = to_ground(rome_geometry, np.zeros(2), np.array([0.0, 26101.0]), np.zeros(2))
    along = rome.orbit.velocity_m_s[6]
    up = rome.orbit.position_m[6]
    assert (far - near) @ np.cross(along, up) > 0


@pytest.mark.parametrize(
    ("where", "longitude", "latitude"),
    [("far side", -168.0, -42.0), ("far behind", 20.0, 75.0), ("left of the track", 26.0, 41.0)],
)
def test_point_that_is_not_in_view_is_nan(rome_geometry, where, longitude, latitude):
    line, pixel, *_ = to_radar(rome_geometry, ecef(np.array([longitude]), np.array([latitude]), np.zeros(1)))
    assert np.isnan(line[0]), where
    assert np.isnan(pixel[0]), where


def test_orbit_that_does_not_cover_the_image_is_refused(rome):
    late = replace(rome.orbit, time_s=rome.orbit.time_s + 100)
    with pytest.raises(AssetError, match="covers"):
        fit_orbit(late, start_s=0, stop_s=25)


def test_damaged_state_vector_is_refused(rome):
    position = rome.orbit.position_m.copy()
    position[7, 1] += 5000
    with pytest.raises(AssetError, match="smooth path"):
        RadarGeometry.of(replace(rome, orbit=replace(rome.orbit, position_m=position)))


def test_fit_residual_is_that_of_the_vectors_rounding(rome):
    assert fit_orbit(rome.orbit, start_s=0, stop_s=25).residual_m < 0.01
