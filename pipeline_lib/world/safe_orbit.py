"""An orbit past the simulated place, and the image frame of one slice: the inverse of what the reader reads.

The satellite flies a circular orbit of Sentinel-1's height and inclination; node and phase are solved so that the place
is abeam, to the right, under a given incidence angle.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import fsolve

from pipeline_lib.errors import InputError
from pipeline_lib.model.acquisition import OrbitDirection
from pipeline_lib.sar.annotation import GroundRange, Orbit
from pipeline_lib.sar.orbit import fit_orbit
from pipeline_lib.sar.range_doppler import RadarGeometry, ecef, to_ground

RADIUS_M = 7_071_000.0
INCLINATION = np.radians(98.18)
MEAN_MOTION = np.sqrt(3.986004418e14 / RADIUS_M**3)
EARTH_RATE = 7.2921150e-5
LINE_INTERVAL_S = 1.4965699962e-3
"""As of a real IW GRDH product: 10 m on the ground."""
RANGE_PIXEL_M = 10.0
DEGREE = 8
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Flight:
    """A circular orbit in the Earth-fixed frame; time 0 is abeam of the place."""

    phase: float
    """Argument of latitude at time 0, radians."""
    node: float
    """Longitude of the ascending node at time 0, radians."""

    def state(self, time_s: Floats) -> tuple[Floats, Floats]:
        """Position and velocity (n, 3) at times (n,), metres and metres per second."""
        u = self.phase + MEAN_MOTION * time_s
        turn = self.node - EARTH_RATE * time_s
        cos_u, sin_u, cos_i, sin_i = np.cos(u), np.sin(u), np.cos(INCLINATION), np.sin(INCLINATION)
        along = RADIUS_M * np.stack([cos_u, sin_u * cos_i, sin_u * sin_i])
        rate = RADIUS_M * MEAN_MOTION * np.stack([-sin_u, cos_u * cos_i, cos_u * sin_i])
        position, velocity = _turned(along, turn), _turned(rate, turn)
        velocity[:, 0] += EARTH_RATE * position[:, 1]
        velocity[:, 1] -= EARTH_RATE * position[:, 0]
        return position, velocity


def _turned(vector: Floats, angle: Floats) -> Floats:
    """Rotate (3, n) about the pole by angles (n,), as (n, 3)."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([cos * vector[0] - sin * vector[1], sin * vector[0] + cos * vector[1], vector[2]], axis=1)


def fly_past(longitude_deg: float, latitude_deg: float, incidence_deg: float, direction: OrbitDirection) -> Flight:
    """Solve the orbit that sees a place abeam to its right under an ellipsoidal incidence angle.

    Raises:
        InputError: no such orbit reaches the place (beyond 80 degrees of latitude).
    """
    place = ecef(np.array(longitude_deg), np.array(latitude_deg), np.array(0.0))
    lon, lat = np.radians([longitude_deg, latitude_deg])
    up = np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    theta = np.radians(incidence_deg)
    apart = theta - np.arcsin(np.sin(theta) * 6371e3 / RADIUS_M)
    if abs(latitude_deg) > 80:
        raise InputError(f"Latitude {latitude_deg:g} is beyond the orbit of Sentinel-1; expected -80 to 80.")
    rising = np.arcsin(np.clip(np.sin(lat) / np.sin(INCLINATION), -1, 1))
    ascending = direction is OrbitDirection.ASCENDING
    phase = rising if ascending else np.pi - rising
    abeam = lon - (apart if ascending else -apart) / np.cos(lat)
    node = abeam - np.arctan2(np.cos(INCLINATION) * np.sin(phase), np.cos(phase))

    def miss(unknown: Floats) -> list[float]:
        """Off abeam, and off the angle."""
        position, velocity = Flight(float(unknown[0]), float(unknown[1])).state(np.zeros(1))
        sight = position[0] - place
        distance = np.linalg.norm(sight)
        doppler = float(sight @ velocity[0] / (distance * np.linalg.norm(velocity[0])))
        return [doppler, float(sight @ up / distance - np.cos(theta))]

    solved, _, status, message = fsolve(miss, np.array([phase, node]), xtol=1e-13, full_output=True)
    if status != 1 and max(np.abs(miss(solved))) > 1e-9:
        raise InputError(f"No orbit sees {longitude_deg:g}, {latitude_deg:g} at {incidence_deg:g} degrees: {message}")
    return Flight(float(solved[0]), float(solved[1]))


def state_vectors(flight: Flight, start_s: float, stop_s: float) -> Orbit:
    """State vectors every ten seconds, from 70 s before the first line; times count from the first line."""
    time = np.arange(-70.0, stop_s - start_s + 80.0, 10.0)
    position, velocity = flight.state(time + start_s)
    return Orbit(time_s=time, position_m=position, velocity_m_s=velocity, source="simulated")


def identity_frame(flight: Flight, start_s: float, stop_s: float) -> RadarGeometry:
    """A frame that counts lines in seconds and pixels in metres of slant range: to find a slice's extent."""
    flat = np.array([[0.0, 1.0], [0.0, 1.0]])
    return RadarGeometry(
        orbit=fit_orbit(state_vectors(flight, start_s, stop_s), start_s=0.0, stop_s=stop_s - start_s),
        record_time_s=np.array([0.0, 1.0]),
        slant_origin_m=np.zeros(2),
        slant_to_ground=flat,
        ground_origin_m=np.zeros(2),
        ground_to_slant=flat,
        line_interval_s=1.0,
        range_pixel_m=1.0,
        lines=1,
        samples=1,
    )


def ground_range_records(frame: RadarGeometry, near_m: float, far_m: float, duration_s: float) -> GroundRange:
    """Slant-to-ground-range polynomials on the ellipsoid, a record a second from before to after the image.

    Ground range counts along the ellipsoid from where the near slant range meets it.
    """
    times = np.arange(-1.0, duration_s + 2.0, 1.0)
    slant = near_m + (far_m - near_m) * (1 - np.cos(np.linspace(0, np.pi, 160))) / 2
    forward, backward = [], []
    for time in times:
        points = to_ground(frame, np.full(slant.shape, time), slant, np.zeros(slant.shape))
        ground = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
        forward.append(_raw_polynomial(slant - near_m, ground))
        backward.append(_raw_polynomial(ground, slant))
    count = len(times)
    return GroundRange(
        time_s=times,
        slant_origin_m=np.full(count, near_m),
        slant_to_ground=np.stack(forward),
        ground_origin_m=np.zeros(count),
        ground_to_slant=np.stack(backward),
    )


def _raw_polynomial(x: Floats, y: Floats) -> Floats:
    """Coefficients of plain powers, fitted in a scaled variable."""
    fitted = np.polynomial.Polynomial.fit(x, y, DEGREE).convert().coef
    return np.pad(fitted, (0, DEGREE + 1 - fitted.size))
