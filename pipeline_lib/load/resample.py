"""Resampling of one source window onto pixels of the grid: aware of NaN, the same for any chunking.

GDAL's warper approximates coordinates per call (up to 0.125 px) and scales its kernel per call, so that the same pixel
differs between chunkings; and it knows one no-data value only. This one interpolates coordinates on a lattice that is
fixed to the grid, and takes NaN as "not observed".
"""

import math
from enum import IntEnum
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer

from pipeline_lib.errors import UnknownNameError

LATTICE = 32
"""Pixels between nodes at which coordinates are transformed exactly: bilinear between them errs by < 1e-3 px in UTM."""


class Kernel(IntEnum):
    """How a value is taken from its neighbours."""

    NEAREST = 0
    BILINEAR = 1
    CUBIC = 2
    """Catmull-Rom (a = -0.5)."""


def kernel_named(name: str) -> Kernel:
    """Return the kernel of this name.

    Raises:
        UnknownNameError: there is none.
    """
    try:
        return Kernel[name.upper()]
    except KeyError:
        raise UnknownNameError("resampling", name, tuple(kernel.name.lower() for kernel in Kernel)) from None


class Locator:
    """Where the pixels of a grid lie in a source raster."""

    def __init__(self, grid: GeoBox, crs: str, transform: tuple[float, ...]) -> None:
        """Prepare for one grid and one source.

        Args:
            grid: the whole grid; its origin fixes the lattice.
            crs: of the source, anything pyproj reads.
            transform: affine coefficients a, b, c, d, e, f of the source (pixel corners).
        """
        self._grid = grid.affine
        self._inverse = ~type(grid.affine)(*transform[:6])
        source = CRS.from_user_input(crs)
        wanted = CRS.from_user_input(str(grid.crs))
        self._transformer = None if source == wanted else Transformer.from_crs(wanted, source, always_xy=True)
        self._centre_deg = transform[2] if source.is_geographic else None

    def nodes(self, rows: range, columns: range) -> tuple[NDArray[np.float64], tuple[int, int]]:
        """Source coordinates at the lattice nodes around a block of the grid.

        Returns:
            (2, node row, node column): fractional source row and column, pixel centres at whole numbers; and the grid
            row and column of the first node.
        """
        first_row = (rows.start - 1) // LATTICE * LATTICE  # samples within a pixel reach half a pixel before it
        first_column = (columns.start - 1) // LATTICE * LATTICE
        grid_y = np.arange(first_row, rows.stop + LATTICE, LATTICE, dtype="f8")
        grid_x = np.arange(first_column, columns.stop + LATTICE, LATTICE, dtype="f8")
        x, y = _apply(self._grid, *np.meshgrid(grid_x + 0.5, grid_y + 0.5))
        if self._transformer is not None:
            x, y = self._transformer.transform(x, y)
        if self._centre_deg is not None:  # one side of the antimeridian, whichever way the projection wrapped
            x = self._centre_deg + (x - self._centre_deg + 180.0) % 360.0 - 180.0
        column, row = _apply(self._inverse, x, y)
        places = np.stack([row - 0.5, column - 0.5])
        places[:, ~np.isfinite(places).all(axis=0)] = np.nan  # beyond the source's projection
        return places, (first_row, first_column)

    def pixel_ratio(self, shape: tuple[int, int]) -> float:
        """Size of a grid pixel in source pixels, at the middle of the grid; the larger of both axes."""
        row, column = shape[0] // 2, shape[1] // 2
        nodes, _ = self.nodes(range(row, row + 1), range(column, column + 1))
        steps = np.abs(np.diff(nodes[:, :2, :2], axis=1)).max(), np.abs(np.diff(nodes[:, :2, :2], axis=2)).max()
        return float(max(steps)) / LATTICE


def _apply(affine: Any, x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    a, b, c, d, e, f, *_ = affine
    return a * x + b * y + c, d * x + e * y + f


def resample(
    source: NDArray[np.float32],
    nodes: NDArray[np.float64],
    offset: tuple[int, int],
    shape: tuple[int, int],
    kernel: Kernel,
    ratio: float = 1.0,
    *,
    reach: bool = False,
) -> NDArray[np.float32]:
    """Values of a source window at the pixels of a block.

    A pixel is NaN where the source pixel it falls into is NaN or outside; NaN among the other neighbours is left out
    and the weights are normalised over the rest, so that no-data never bleeds into data and edges do not shrink. Where
    the grid is coarser than the source (``ratio`` >= 1.5), bilinear and cubic average samples spread evenly over the
    pixel, about one for each source pixel in it: noise is averaged, and a ramp stays that ramp.

    Args:
        source: (y, x) float32, NaN = not observed.
        nodes: of `Locator.nodes`, relative to the window's first pixel.
        offset: rows and columns from the first node to the block's first pixel.
        shape: rows, columns of the block.
        kernel: how to interpolate.
        ratio: of `Locator.pixel_ratio`.
        reach: answer also for pixels that fall beyond the data, from what lies within one and a half source pixels.
    """
    out = np.empty(shape, np.float32)
    samples = 1 if kernel == Kernel.NEAREST else max(1, round(ratio))
    _resample(source, nodes, offset[0], offset[1], int(kernel), samples, reach, out)
    return out


@njit(cache=True, nogil=True)
def _weight(distance: Any, mode: Any) -> Any:  # pragma: no cover - compiled
    d = abs(distance)
    if mode == 1:
        return max(0.0, 1.0 - d)
    if d < 1.0:
        return (1.5 * d - 2.5) * d * d + 1.0
    if d < 2.0:
        return ((-0.5 * d + 2.5) * d - 4.0) * d + 2.0
    return 0.0


@njit(cache=True, nogil=True)
def _between(nodes: Any, row: Any, column: Any, places: Any) -> None:  # pragma: no cover - compiled
    """Interpolate the nodes at one row and every whole step from ``column``, into ``places``."""
    i = int(row // LATTICE)
    v = row / LATTICE - i
    done = 0
    while done < places.size:
        j = int((column + done) // LATTICE)
        left = nodes[i, j] * (1 - v) + nodes[i + 1, j] * v
        right = nodes[i, j + 1] * (1 - v) + nodes[i + 1, j + 1] * v
        last = min(places.size, math.ceil((j + 1) * LATTICE - column))
        for k in range(done, last):
            u = (column + k) / LATTICE - j
            # A grid on the source's own lattice hits pixel centres.
            places[k] = math.floor((left * (1 - u) + right * u) * 1e5 + 0.5) / 1e5
        done = last


@njit(cache=True, nogil=True)
def _bilinear(source: Any, y: Any, x: Any) -> Any:  # pragma: no cover - compiled
    """Value between four pixels; NaN where one of them is NaN or outside, or the place is."""
    if not (y >= 0.0 and x >= 0.0 and y < source.shape[0] - 1 and x < source.shape[1] - 1):
        return np.nan
    p, q = int(y), int(x)
    v, u = y - p, x - q
    top = source[p, q] * (1 - u) + source[p, q + 1] * u
    low = source[p + 1, q] * (1 - u) + source[p + 1, q + 1] * u
    return top * (1 - v) + low * v


@njit(cache=True, nogil=True)
def _bicubic(source: Any, y: Any, x: Any) -> Any:  # pragma: no cover - compiled
    """Value among sixteen pixels; NaN where one of them is NaN or outside, or the place is."""
    if not (y >= 1.0 and x >= 1.0 and y < source.shape[0] - 2 and x < source.shape[1] - 2):
        return np.nan
    p, q = int(y), int(x)
    v, u = y - p, x - q
    across = _weight(1 + u, 2), _weight(u, 2), _weight(1 - u, 2), _weight(2 - u, 2)
    down = _weight(1 + v, 2), _weight(v, 2), _weight(1 - v, 2), _weight(2 - v, 2)
    total = 0.0
    for k in range(4):
        line = source[p - 1 + k]
        total += down[k] * (
            across[0] * line[q - 1] + across[1] * line[q] + across[2] * line[q + 1] + across[3] * line[q + 2]
        )
    return total


@njit(cache=True, nogil=True)
def _whole(source: Any, y: Any, x: Any, mode: Any, values: Any) -> None:  # pragma: no cover - compiled
    """Values where nothing is missing around a place, which is nearly everywhere; NaN elsewhere."""
    if mode == 1:
        for j in range(values.size):
            values[j] = _bilinear(source, y[j], x[j])
    elif mode == 2:
        for j in range(values.size):
            values[j] = _bicubic(source, y[j], x[j])
    else:
        values[:] = np.nan


@njit(cache=True, nogil=True)
def _sample(source: Any, y: Any, x: Any, mode: Any, reach: Any) -> Any:  # pragma: no cover - compiled
    if not (y > -1.0 and x > -1.0):  # outside, or NaN beyond the source's projection
        return np.nan
    near_y, near_x = math.floor(y + 0.5), math.floor(x + 0.5)
    inside = 0 <= near_y < source.shape[0] and 0 <= near_x < source.shape[1] and not np.isnan(source[near_y, near_x])
    if not inside:
        return _neighbours(source, y, x) if reach else np.nan
    if mode == 0:
        return float(source[near_y, near_x])
    first_y, first_x = math.floor(y) + 1 - mode, math.floor(x) + 1 - mode
    total = weights = 0.0
    for p in range(max(0, first_y), min(source.shape[0], first_y + 2 * mode)):
        weight_y = _weight(y - p, mode)
        for q in range(max(0, first_x), min(source.shape[1], first_x + 2 * mode)):
            value = source[p, q]
            if not np.isnan(value):
                w = weight_y * _weight(x - q, mode)
                total += w * value
                weights += w
    return total / weights if weights > 0.1 else float(source[near_y, near_x])


@njit(cache=True, nogil=True)
def _neighbours(source: Any, y: Any, x: Any) -> Any:  # pragma: no cover - compiled
    near_y, near_x = math.floor(y + 0.5), math.floor(x + 0.5)
    total = weights = 0.0
    for p in range(max(0, near_y - 1), min(source.shape[0], near_y + 2)):
        for q in range(max(0, near_x - 1), min(source.shape[1], near_x + 2)):
            w = max(0.0, 1.5 - abs(y - p)) * max(0.0, 1.5 - abs(x - q))
            if w > 0.0 and not np.isnan(source[p, q]):
                total += w * source[p, q]
                weights += w
    return total / weights if weights > 0.0 else np.nan


@njit(cache=True, nogil=True)
def _resample(
    source: Any, nodes: Any, row0: Any, column0: Any, mode: Any, samples: Any, reach: Any, out: Any
) -> None:  # pragma: no cover - compiled
    width = out.shape[1]
    y, x, values = np.empty(width), np.empty(width), np.empty(width)
    total, count = np.empty(width), np.empty(width, np.int64)
    for i in range(out.shape[0]):
        total[:], count[:] = 0.0, 0
        for s in range(samples):
            row = row0 + i + (s + 0.5) / samples - 0.5
            for t in range(samples):
                column = column0 + (t + 0.5) / samples - 0.5
                _between(nodes[0], row, column, y)
                _between(nodes[1], row, column, x)
                _whole(source, y, x, mode, values)
                for j in range(width):
                    if np.isnan(values[j]):
                        values[j] = _sample(source, y[j], x[j], mode, reach)
                    if not np.isnan(values[j]):
                        total[j] += values[j]
                        count[j] += 1
        for j in range(width):
            out[i, j] = total[j] / count[j] if 2 * count[j] >= samples * samples else np.nan
