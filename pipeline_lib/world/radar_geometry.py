"""How a side-looking radar sees the relief: incidence, layover and shadow, footprints."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.model.acquisition import OrbitDirection
from pipeline_lib.model.dataset import Exclusion
from pipeline_lib.options.world import WorldOptions
from pipeline_lib.world.calendar import HEADING_DEG, RadarPass
from pipeline_lib.world.noise import Field
from pipeline_lib.world.relief import PIXEL_M, Mask

SLANT_HEIGHT_M = 693_000.0
"""Height of the satellite above the ground."""


@dataclass(frozen=True)
class RadarGeometry:
    """View of one relative orbit; every array (y, x)."""

    incidence_deg: Field
    """Incidence angle on the ellipsoid."""
    local_incidence_deg: Field
    """Angle between the view and the normal of the ground."""
    layover_shadow: NDArray[np.uint8]
    """Bits of `Exclusion`: SHADOW, LAYOVER."""


def look_vector(direction: OrbitDirection) -> tuple[float, float]:
    """Unit vector away from the radar over ground, as (columns right, rows down): right of the flight."""
    azimuth = np.radians(HEADING_DEG[direction] + 90)
    return float(np.sin(azimuth)), float(-np.cos(azimuth))


def flight_vector(direction: OrbitDirection) -> tuple[float, float]:
    """Unit vector of the flight, as (columns right, rows down)."""
    azimuth = np.radians(HEADING_DEG[direction])
    return float(np.sin(azimuth)), float(-np.cos(azimuth))


def view(options: WorldOptions, elevation_m: Field, direction: OrbitDirection) -> RadarGeometry:
    """Geometry of the ground seen on an orbit.

    References:
        Small 2011, Flattening Gamma, IEEE TGRS 49(8), section II (layover and shadow in RTC).
    """
    middle = {
        OrbitDirection.ASCENDING: options.radar.ascending_incidence_deg,
        OrbitDirection.DESCENDING: options.radar.descending_incidence_deg,
    }[direction]
    look = look_vector(direction)
    ground_range = _project(elevation_m.shape, look) * PIXEL_M
    slant = SLANT_HEIGHT_M * np.tan(np.radians(middle))
    incidence = np.degrees(np.arctan((slant + ground_range) / SLANT_HEIGHT_M)).astype(np.float32)
    down, right = np.gradient(elevation_m, PIXEL_M)
    towards = -(right * look[0] + down * look[1])
    steep = np.radians(incidence)
    normal = np.sqrt(1 + right**2 + down**2)
    cosine = (np.cos(steep) + towards * np.sin(steep)) / normal
    return RadarGeometry(
        incidence_deg=incidence,
        local_incidence_deg=np.degrees(np.arccos(np.clip(cosine, -1, 1))).astype(np.float32),
        layover_shadow=_layover_shadow(elevation_m, look, float(np.radians(middle))),
    )


def footprint(options: WorldOptions, radar_pass: RadarPass, part: tuple[float, float] = (0.0, 1.0)) -> Mask:
    """Pixels that a pass sees, and of them the ``part`` along the flight, (y, x)."""
    shape = (options.size, options.size)
    across = _share(_project(shape, look_vector(radar_pass.direction)))
    along = _share(_project(shape, flight_vector(radar_pass.direction)))
    near, far = radar_pass.swath
    first, last = part
    seen = (across >= near) & ((across < far) | (far >= 1)) & (along >= first) & ((along < last) | (last >= 1))
    return np.asarray(seen)


def _project(shape: tuple[int, int], vector: tuple[float, float]) -> Field:
    """Pixels from the middle of the world along a vector."""
    rows, columns = np.indices(shape, dtype=np.float32)
    return np.asarray(
        (columns - (shape[1] - 1) / 2) * np.float32(vector[0]) + (rows - (shape[0] - 1) / 2) * np.float32(vector[1])
    )


def _share(distance: Field) -> Field:
    """Rescale to 0 at the least and 1 at the greatest."""
    return np.asarray((distance - distance.min()) / (distance.max() - distance.min()))


def _layover_shadow(elevation_m: Field, look: tuple[float, float], incidence: float) -> NDArray[np.uint8]:
    """March along the line of sight in steps of one pixel and compare slant ranges and sight lines.

    A place is in shadow when ground nearer to the radar rises above its line of sight, and in layover when ground
    farther (nearer) over the map has a shorter (longer) slant range.
    """
    shadow, layover = np.zeros(elevation_m.shape, bool), np.zeros(elevation_m.shape, bool)
    relief = float(elevation_m.max() - elevation_m.min())
    reach = relief * max(float(np.tan(incidence)), 1 / float(np.tan(incidence)))
    for step in range(1, min(int(reach / PIXEL_M) + 2, 120)):
        nearer = _moved(elevation_m, look, -step) - elevation_m
        farther = _moved(elevation_m, look, step) - elevation_m
        distance = step * PIXEL_M
        shadow |= nearer > distance / np.tan(incidence)
        # Slant range grows by d sin(incidence) - dz cos(incidence); folding means that it shrinks.
        layover |= farther * np.cos(incidence) >= distance * np.sin(incidence)
        layover |= -nearer * np.cos(incidence) >= distance * np.sin(incidence)
    return (shadow * np.uint8(Exclusion.SHADOW) + layover * np.uint8(Exclusion.LAYOVER)).astype(np.uint8)


def _moved(field: Field, look: tuple[float, float], step: int) -> Field:
    """The field's values ``step`` pixels along the look direction, edges repeated, bilinear."""
    rows, columns = field.shape
    return _bilinear(field, np.arange(rows) + step * look[1], np.arange(columns) + step * look[0])


def _bilinear(field: Field, rows: NDArray[np.floating], columns: NDArray[np.floating]) -> Field:
    """Sample on a shifted lattice; separable, since every row and column moves by the same fraction."""
    row, column = np.clip(rows, 0, field.shape[0] - 1), np.clip(columns, 0, field.shape[1] - 1)
    top, left = np.floor(row).astype(int), np.floor(column).astype(int)
    down, right = (row - top).astype(np.float32)[:, None], (column - left).astype(np.float32)[None, :]
    below, beside = np.minimum(top + 1, field.shape[0] - 1), np.minimum(left + 1, field.shape[1] - 1)
    upper = field[top] * (1 - down) + field[below] * down
    return np.asarray(upper[:, left] * (1 - right) + upper[:, beside] * right, dtype=np.float32)
