"""The range-Doppler equations between a point on the ground and a sample of a GRD image, both ways.

A point is imaged at the time the satellite passes abeam of it (zero Doppler): ``(P - S(t)) . S'(t) = 0``. The time
gives the line, the distance ``|P - S(t)|`` gives the pixel through the slant-to-ground-range polynomials.

References:
    Small & Schubert (2008), Guide to ASAR Geocoding, RSL-ASAR-GC-AD, eq. 2-4 (backward geocoding).
    Sentinel-1 Product Specification, coordinateConversion.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.sar.annotation import Floats, GrdAnnotation
from pipeline_lib.sar.compiled import compiled
from pipeline_lib.sar.orbit import OrbitPolynomial, fit_orbit

SEMI_MAJOR_M = 6378137.0
ECCENTRICITY2 = 6.69437999014e-3
SPEED_OF_LIGHT = 299792458.0


@dataclass(frozen=True, kw_only=True)
class RadarGeometry:
    """All that the equations need, as plain arrays that compiled code takes."""

    orbit: OrbitPolynomial
    record_time_s: Floats
    slant_origin_m: Floats
    slant_to_ground: Floats
    ground_origin_m: Floats
    ground_to_slant: Floats
    line_interval_s: float
    range_pixel_m: float
    lines: int
    samples: int

    @classmethod
    def of(cls, annotation: GrdAnnotation) -> "RadarGeometry":
        """Take the geometry of one annotation."""
        image, ground = annotation.image, annotation.ground_range
        duration = (image.lines - 1) * image.line_interval_s
        return cls(
            orbit=fit_orbit(annotation.orbit, start_s=0.0, stop_s=duration),
            record_time_s=ground.time_s,
            slant_origin_m=ground.slant_origin_m,
            slant_to_ground=ground.slant_to_ground,
            ground_origin_m=ground.ground_origin_m,
            ground_to_slant=ground.ground_to_slant,
            line_interval_s=image.line_interval_s,
            range_pixel_m=image.range_pixel_m,
            lines=image.lines,
            samples=image.samples,
        )


def ecef(longitude_deg: Floats, latitude_deg: Floats, height_m: Floats) -> Floats:
    """Earth-fixed coordinates (..., 3) of geographic ones on WGS 84, metres."""
    lon, lat = np.radians(longitude_deg), np.radians(latitude_deg)
    sin_lat, cos_lat = np.sin(lat), np.cos(lat)
    normal = SEMI_MAJOR_M / np.sqrt(1 - ECCENTRICITY2 * sin_lat**2)
    return np.stack(
        [
            (normal + height_m) * cos_lat * np.cos(lon),
            (normal + height_m) * cos_lat * np.sin(lon),
            (normal * (1 - ECCENTRICITY2) + height_m) * sin_lat,
        ],
        axis=-1,
    )


def to_radar(geometry: RadarGeometry, points_m: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Where points are in the image.

    Args:
        geometry: of the image.
        points_m: (..., 3) Earth-fixed coordinates, metres.

    Returns:
        line, pixel (zero-based, at sample centres, also beyond the image's edges), slant range (m), unit vectors
        (..., 3) from the point to the satellite. NaN where the satellite does not pass abeam of the point, to
        its right, within the time the orbit is known for.
    """
    flat = np.ascontiguousarray(points_m.reshape(-1, 3), dtype=np.float64)
    out = np.empty((flat.shape[0], 6))
    orbit = geometry.orbit
    _to_radar(
        flat,
        orbit.coefficients,
        np.array([orbit.middle_s, orbit.half_s, orbit.first_s, orbit.last_s]),
        geometry.record_time_s,
        geometry.slant_origin_m,
        geometry.slant_to_ground,
        np.array([geometry.line_interval_s, geometry.range_pixel_m]),
        out,
    )
    shape = points_m.shape[:-1]
    return (
        out[:, 0].reshape(shape),
        out[:, 1].reshape(shape),
        out[:, 2].reshape(shape),
        out[:, 3:].reshape(*shape, 3),
    )


@compiled
def _state(coefficients, u, out):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Position, first and second derivative by u, by Horner's scheme; ``out`` (3, 3)."""
    for axis in range(3):
        p = 0.0
        v = 0.0
        a = 0.0
        for k in range(coefficients.shape[1] - 1, -1, -1):
            a = a * u + 2.0 * v
            v = v * u + p
            p = p * u + coefficients[axis, k]
        out[0, axis] = p
        out[1, axis] = v
        out[2, axis] = a


@compiled
def _abeam(point, coefficients, state):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Scaled time at which the satellite is abeam of a point, by Newton from the middle; NaN where it never is."""
    u = 0.0
    step = 1.0
    for _ in range(12):
        _state(coefficients, u, state)
        f = 0.0
        slope = 0.0
        for axis in range(3):
            d = point[axis] - state[0, axis]
            f += d * state[1, axis]
            slope += d * state[2, axis] - state[1, axis] * state[1, axis]
        step = f / slope
        u -= step
        if not abs(u) < 10.0:
            return np.nan
        if abs(step) < 1e-13:
            break
    return u if abs(step) < 1e-9 else np.nan


@compiled
def _sight(point, state, out):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Distance to the satellite and, in ``out``, the unit vector to it; NaN for ground that it cannot see.

    Abeam to the left, or on the far side of the Earth, is the same range and not in this image.
    """
    distance = 0.0
    for axis in range(3):
        out[axis] = state[0, axis] - point[axis]
        distance += out[axis] * out[axis]
    distance = np.sqrt(distance)
    upward = 0.0
    rightward = 0.0
    for axis in range(3):
        out[axis] /= distance
        upward += out[axis] * point[axis]
        k = (axis + 1) % 3
        m = (axis + 2) % 3
        rightward -= out[axis] * (state[1, k] * state[0, m] - state[1, m] * state[0, k])
    return distance if upward > 0.0 and rightward > 0.0 else np.nan


@compiled
def _to_radar(points, coefficients, span, record_time, origin, polynomial, spacing, out):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Each point by itself: the result depends on the point alone, not on its neighbours."""
    state = np.empty((3, 3))
    for n in range(points.shape[0]):
        u = _abeam(points[n], coefficients, state)
        t = span[0] + u * span[1]
        if not (span[2] - 30.0 <= t <= span[3] + 30.0):
            out[n, :] = np.nan
            continue
        _state(coefficients, u, state)
        distance = _sight(points[n], state, out[n, 3:])
        if not np.isfinite(distance):
            out[n, :] = np.nan
            continue
        out[n, 0] = t / spacing[0]
        out[n, 1] = _convert(t, distance, record_time, origin, polynomial) / spacing[1]
        out[n, 2] = distance


@compiled
def _convert(t, value, record_time, origin, polynomial):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Evaluate the polynomials of the two records around ``t`` and interpolate between them linearly."""
    count = record_time.shape[0]
    i = min(max(np.searchsorted(record_time, t) - 1, 0), max(count - 2, 0))
    j = min(i + 1, count - 1)
    w = 0.0
    if j > i:
        w = (t - record_time[i]) / (record_time[j] - record_time[i])
    first = 0.0
    second = 0.0
    for k in range(polynomial.shape[1] - 1, -1, -1):
        first = first * (value - origin[i]) + polynomial[i, k]
        second = second * (value - origin[j]) + polynomial[j, k]
    return first * (1.0 - w) + second * w


def slant_range(geometry: RadarGeometry, line: Floats, pixel: Floats) -> Floats:
    """Slant range (m) of image positions, from the ground-to-slant polynomials; same shape as ``line``."""
    line, pixel = np.broadcast_arrays(np.asarray(line, dtype=np.float64), np.asarray(pixel, dtype=np.float64))
    out = np.empty(line.size)
    _slant_ranges(
        line.ravel() * geometry.line_interval_s,
        pixel.ravel() * geometry.range_pixel_m,
        geometry.record_time_s,
        geometry.ground_origin_m,
        geometry.ground_to_slant,
        out,
    )
    return out.reshape(line.shape)


@compiled
def _slant_ranges(time, ground, record_time, origin, polynomial, out):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    for n in range(time.shape[0]):
        out[n] = _convert(time[n], ground[n], record_time, origin, polynomial)


def to_ground(geometry: RadarGeometry, line: Floats, pixel: Floats, height_m: Floats) -> NDArray[np.float64]:
    """Earth-fixed point (..., 3) seen at an image position if it lies at a given ellipsoidal height.

    Solves range, zero Doppler and height together (Newton from the sub-satellite point, looking right): the forward
    problem. The surface of height h is taken as the ellipsoid with both axes longer by h, which is off the true
    parallel surface by less than 2 cm up to 5 km.

    ``line`` and ``pixel`` are fractional and broadcast with ``height_m`` (metres); the result is in metres.

    References:
        Small & Schubert (2008), eq. 5 (forward geocoding).
    """
    line, pixel, height_m = np.broadcast_arrays(line, pixel, height_m)
    out = np.empty((line.size, 3))
    orbit = geometry.orbit
    _to_ground(
        np.ascontiguousarray(line.ravel() * geometry.line_interval_s),
        slant_range(geometry, line.ravel(), pixel.ravel()),
        np.ascontiguousarray(height_m.ravel(), dtype=np.float64),
        orbit.coefficients,
        np.array([orbit.middle_s, orbit.half_s]),
        out,
    )
    return out.reshape(*line.shape, 3)


@compiled
def _to_ground(time, distance, height, coefficients, span, out):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Per position: Newton on the three equations, with the height's ellipsoid scaled by the axes."""
    state = np.empty((3, 3))
    for n in range(time.shape[0]):
        _state(coefficients, (time[n] - span[0]) / span[1], state)
        s = state[0].copy()
        v = state[1].copy()
        a2 = (SEMI_MAJOR_M + height[n]) ** 2
        b2 = (SEMI_MAJOR_M * np.sqrt(1 - ECCENTRICITY2) + height[n]) ** 2
        down = -s / np.sqrt((s * s).sum())
        along = v / np.sqrt((v * v).sum())
        right = np.cross(along, -down)
        p = s + distance[n] * (0.75 * down + 0.66 * right)
        for _ in range(20):
            d = p - s
            jacobian = np.empty((3, 3))
            rest = np.empty(3)
            rest[0] = (d * d).sum() - distance[n] ** 2
            rest[1] = (d * along).sum()
            rest[2] = (p[0] ** 2 + p[1] ** 2) / a2 + p[2] ** 2 / b2 - 1.0
            jacobian[0] = 2.0 * d
            jacobian[1] = along
            jacobian[2, 0] = 2 * p[0] / a2
            jacobian[2, 1] = 2 * p[1] / a2
            jacobian[2, 2] = 2 * p[2] / b2
            step = np.linalg.solve(jacobian, rest)
            p = p - step
            if np.abs(step).max() < 1e-7:
                break
        out[n] = p
