"""What the satellite sees of the terrain: local incidence angles, shadow and layover, on the map grid.

References:
    Small (2011), doi:10.1109/TGRS.2011.2120616 (local incidence); Kropatsch & Strobl (1990), The generation of SAR
    layover and shadow maps from digital elevation models, doi:10.1109/36.45752.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.sar.annotation import Floats
from pipeline_lib.sar.compiled import compiled
from pipeline_lib.sar.lattice import LOOK, SCALE, UPPER_M, Lattice, blend_row

SHADOW = 1
LAYOVER = 2
"""Bits, the same as `pipeline_lib.model.Exclusion`."""
EARTH_RADIUS_M = 6371000.0
BLOCK = 16
RINGS = (1, 4, 16, 64)
"""Blocks around a pixel's own whose extremes bound the search, ring by ring."""


def viewing_of(
    lattice: Lattice, height: NDArray[np.float32], *, origin: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Local and projected local incidence angle (row, column), degrees; NaN beside unknown heights and at the rim.

    The local incidence angle lies between the line of sight and the surface normal; the projected one is its part in
    the plane of the line of sight and the vertical, negative where the slope leans over towards the satellite
    (active layover).

    ``height`` is in metres above the ellipsoid, NaN = unknown; ``origin`` is the grid row and column of its first
    pixel.
    """
    local, projected = np.full(height.shape, np.nan, np.float32), np.full(height.shape, np.nan, np.float32)
    _incidence(
        lattice.nodes,
        lattice.first_row,
        lattice.first_column,
        lattice.step,
        height,
        origin[0],
        origin[1],
        local,
        projected,
    )
    return local, projected


@compiled
def look_at(blend, first_column, step, column, height, out):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
    """Unit vector to the satellite (grid east, north, up) and the true pixel width and height, of one pixel."""
    c = column - first_column
    n = min(max(c // step, 0), blend.shape[0] - 2)
    w = (c - n * step) / step
    z = height / UPPER_M
    for axis in range(3):
        f = LOOK + 2 * axis
        lower = blend[n, f] * (1.0 - w) + blend[n + 1, f] * w
        change = blend[n, f + 1] * (1.0 - w) + blend[n + 1, f + 1] * w
        out[axis] = lower + z * change
    for axis in range(2):
        out[3 + axis] = blend[n, SCALE + axis] * (1.0 - w) + blend[n + 1, SCALE + axis] * w


@compiled
def _incidence(nodes, first_row, first_column, step, height, row0, column0, local, projected):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202, PLR0913
    """Central differences of the heights against the line of sight."""
    blend = np.empty((nodes.shape[1], nodes.shape[2]))
    look = np.empty(5)
    for i in range(1, height.shape[0] - 1):
        blend_row(nodes, first_row, step, row0 + i, blend)
        for j in range(1, height.shape[1] - 1):
            look_at(blend, first_column, step, column0 + j, height[i, j], look)
            p = (height[i, j + 1] - height[i, j - 1]) / (2.0 * look[3])
            q = (height[i - 1, j] - height[i + 1, j]) / (2.0 * look[4])
            cosine = (look[2] - p * look[0] - q * look[1]) / np.sqrt(1.0 + p * p + q * q)
            local[i, j] = np.degrees(np.arccos(min(max(cosine, -1.0), 1.0)))
            level = np.sqrt(max(look[0] * look[0] + look[1] * look[1], 1e-12))
            rise = -(p * look[0] + q * look[1]) / level
            projected[i, j] = np.degrees(np.arctan2(level, look[2]) - np.arctan(rise))


def layover_shadow(lattice: Lattice, height: NDArray[np.float32], *, origin: tuple[int, int]) -> NDArray[np.uint8]:
    """Bits `SHADOW` and `LAYOVER` (row, column) of a window; 0 where the height is unknown.

    A pixel is in shadow where ground towards the satellite rises above its line of sight. It is in layover where other
    ground at the same azimuth has the same slant range: further ground that is higher by at least d tan(incidence), or
    nearer ground that is lower by as much, d apart. Ground outside the window is not seen: give a window with the
    margin that `pipeline_lib.sar.elevation.margin_m` asks for.

    ``height`` and ``origin`` as in `viewing_of`.
    """
    out = np.zeros(height.shape, np.uint8)
    filled_high = np.where(np.isfinite(height), height, -np.inf)
    filled_low = np.where(np.isfinite(height), height, np.inf)
    highest = np.stack([_around(_blocks(filled_high, np.max), ring, np.maximum) for ring in RINGS])
    lowest = np.stack([_around(_blocks(filled_low, np.min), ring, np.minimum) for ring in RINGS])
    _march(
        lattice.nodes, lattice.first_row, lattice.first_column, lattice.step, height, origin[0], origin[1],
        highest, lowest, np.array(RINGS, dtype=np.int64) * BLOCK, out,
    )  # fmt: skip
    return out


def _blocks(values: Floats, reduce) -> Floats:  # type: ignore[no-untyped-def] # noqa: ANN001
    """Extremes per block of `BLOCK` x `BLOCK` pixels."""
    rows, columns = values.shape
    padded = np.pad(values, ((0, -rows % BLOCK), (0, -columns % BLOCK)), mode="edge")
    out: Floats = reduce(padded.reshape(padded.shape[0] // BLOCK, BLOCK, -1, BLOCK), axis=(1, 3))
    return out


def _around(blocks: Floats, ring: int, extreme) -> Floats:  # type: ignore[no-untyped-def] # noqa: ANN001
    """Extremes over the blocks up to ``ring`` away, one axis after the other, by doubling."""
    out = blocks
    for axis in (0, 1):
        done = 0
        while done < ring:
            shift = min(max(done, 1), ring - done)
            width = [(0, 0), (0, 0)]
            width[axis] = (shift, shift)
            padded = np.pad(out, width, mode="edge")
            size = out.shape[axis]
            parts = [np.take(padded, np.arange(k, k + size), axis=axis) for k in (0, shift, 2 * shift)]
            out = extreme(extreme(parts[0], parts[1]), parts[2])
            done += shift
    return out


@compiled
def _march(nodes, first_row, first_column, step, height, row0, column0, highest, lowest, radii, out):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202, PLR0913
    """From every pixel along its range direction, no further than the terrain around could matter."""
    blend = np.empty((nodes.shape[1], nodes.shape[2]))
    look = np.empty(5)
    for i in range(height.shape[0]):
        blend_row(nodes, first_row, step, row0 + i, blend)
        for j in range(height.shape[1]):
            here = height[i, j]
            if not np.isfinite(here):
                continue
            look_at(blend, first_column, step, column0 + j, here, look)
            level = np.sqrt(look[0] * look[0] + look[1] * look[1])
            # One step is one pixel along the longer axis, towards the satellite.
            dj = look[0] / look[3]
            di = -look[1] / look[4]
            unit = max(abs(di), abs(dj))
            di /= unit
            dj /= unit
            step_m = level / unit
            cot = look[2] / level
            code = 0
            if _blocked(height, i, j, di, dj, step_m, here, cot, 1.0, highest, radii):
                code |= SHADOW
            if _blocked(height, i, j, -di, -dj, step_m, here, 1.0 / cot, 1.0, highest, radii) or _blocked(
                height, i, j, di, dj, step_m, here, 1.0 / cot, -1.0, lowest, radii
            ):
                code |= LAYOVER
            out[i, j] = code


@compiled
def _blocked(height, i, j, di, dj, step_m, here, slope, sign, extreme, radii):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202, PLR0913
    """Whether somewhere on the way terrain differs from here by ``slope`` times the distance (sign -1: is lower)."""
    k = 1
    bi = i // BLOCK
    bj = j // BLOCK
    for ring in range(radii.shape[0]):
        most = sign * (extreme[ring, bi, bj] - here) / slope / step_m
        last = int(min(most, float(radii[ring])))
        while k <= last:
            y = i + k * di
            x = j + k * dj
            r = int(np.floor(y))
            c = int(np.floor(x))
            if r < 0 or c < 0 or r + 1 >= height.shape[0] or c + 1 >= height.shape[1]:
                return False
            fy = y - r
            fx = x - c
            there = (height[r, c] * (1 - fx) + height[r, c + 1] * fx) * (1 - fy) + (
                height[r + 1, c] * (1 - fx) + height[r + 1, c + 1] * fx
            ) * fy
            d = k * step_m
            if sign * (there - d * d / (2 * EARTH_RADIUS_M) - here) >= slope * d:
                return True
            k += 1
        k = max(k, 1)
        if k <= radii[ring]:
            k = int(radii[ring]) + 1
    return False
