"""How a side-looking radar sees the relief: incidence, layover and shadow, footprints."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, minimum_filter

from pipeline_lib.model.acquisition import OrbitDirection
from pipeline_lib.model.dataset import Exclusion
from pipeline_lib.options.world import WorldOptions
from pipeline_lib.world.calendar import HEADING_DEG, RadarPass
from pipeline_lib.world.noise import Field
from pipeline_lib.world.relief import PIXEL_M, Mask

SLANT_HEIGHT_M = 693_000.0
"""Height of the satellite above the ground."""
SHADOW, LAYOVER = int(Exclusion.SHADOW), int(Exclusion.LAYOVER)


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
    towards = right * look[0] + down * look[1]
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
    if radar_pass.swath == part == (0.0, 1.0):
        return np.ones(shape, bool)
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
    """Bits of layover and shadow for parallel rays at one incidence angle (radians)."""
    relief = float(elevation_m.max() - elevation_m.min())
    steps = min(int(relief * max(np.tan(incidence), 1 / np.tan(incidence)) / PIXEL_M) + 2, 200)
    cotangent = float(1 / np.tan(incidence))
    window = 2 * steps + 1
    ceiling = maximum_filter(elevation_m, window, mode="nearest")
    floor = minimum_filter(elevation_m, window, mode="nearest")
    return np.asarray(_march(elevation_m, ceiling, floor, (look[1], look[0]), cotangent, steps))


@njit(cache=True)
def _march(
    elevation: Field, ceiling: Field, floor: Field, look: tuple[float, float], cotangent: float, steps: int
) -> NDArray[np.uint8]:  # pragma: no cover - compiled
    """March from every pixel along the line of sight, both ways, in steps of one pixel, with bilinear heights.

    A place is in shadow when ground nearer to the radar rises above its sight line, which climbs by cot(incidence). It
    is in layover when ground farther away has no longer slant range, d sin - dz cos <= 0, or ground nearer no shorter.
    """
    rows, columns = elevation.shape
    codes = np.zeros((rows, columns), np.uint8)
    for row in range(rows):
        for column in range(columns):
            here = elevation[row, column]
            up, relief = ceiling[row, column] - here, ceiling[row, column] - floor[row, column]
            code = 0
            for step in range(1, steps):
                distance = step * PIXEL_M
                if distance * cotangent > up and distance / cotangent > relief:
                    break
                for way in (-1, 1):
                    y, x = row + way * step * look[0], column + way * step * look[1]
                    y, x = min(max(y, 0.0), rows - 1.0), min(max(x, 0.0), columns - 1.0)
                    top, left = int(y), int(x)
                    below, beside = min(top + 1, rows - 1), min(left + 1, columns - 1)
                    upper = elevation[top, left] * (1 - y + top) + elevation[below, left] * (y - top)
                    lower = elevation[top, beside] * (1 - y + top) + elevation[below, beside] * (y - top)
                    rise = upper * (1 - x + left) + lower * (x - left) - here
                    if way < 0 and rise > distance * cotangent:
                        code |= SHADOW
                    if way * rise * cotangent >= distance:
                        code |= LAYOVER
            codes[row, column] = code
    return codes
