"""Range-Doppler on a coarse lattice of the map grid: exact at its nodes, interpolated between them.

Where a map pixel at height h falls in the image is a smooth function of column, row and h. It is solved exactly at
nodes about 320 m apart and at four heights, and becomes a cubic in height with bilinear coefficients in between: off
the exact solution by less than 0.01 pixel, at a tenth of the cost, and independent of how the grid is cut, because
nodes sit at fixed columns and rows of the grid.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from rasterio.transform import Affine

from pipeline_lib.sar.annotation import Floats
from pipeline_lib.sar.compiled import compiled
from pipeline_lib.sar.range_doppler import RadarGeometry, ecef, to_radar

HEIGHTS_M = np.array([-600.0, 2400.0, 5600.0, 9000.0])
HEIGHT_SCALE_M = 5000.0
UPPER_M = 4500.0
"""Second height at which look vectors and areas are taken; the first is the ellipsoid."""
NODE_SPACING_M = 320.0

LINE, PIXEL, LOOK, CELLS, DEM, GEOID, SCALE = 0, 4, 8, 14, 16, 18, 19
FIELDS = 21
"""Layout of a node: 4 line and 4 pixel coefficients; look vector x, y, z each at the ellipsoid and its change over
``UPPER_M``; image cells per map pixel likewise; DEM column and row; geoid; true pixel width and height in metres."""

Geoid = Callable[[Floats, Floats], Floats]
"""Undulation (m) of longitudes and latitudes in degrees."""


@dataclass(frozen=True)
class MapFrame:
    """The map grid and the elevation grid, as the lattice needs them."""

    crs: str
    transform: Affine
    dem_crs: str
    dem_transform: Affine
    geoid: Geoid
    pixel_m: float
    """Approximate pixel size, metres: sets the node spacing."""

    @property
    def step(self) -> int:
        """Grid pixels between two nodes."""
        return max(2, round(NODE_SPACING_M / self.pixel_m))


@dataclass(frozen=True)
class Lattice:
    """Nodes that enclose a window of the grid."""

    nodes: Floats
    """(node row, node column, FIELDS)."""
    first_row: int
    """Grid row of the first node."""
    first_column: int
    step: int

    def position(self, name: int) -> Floats:
        """One field at the nodes."""
        return self.nodes[..., name]

    @property
    def incidence_rad(self) -> tuple[float, float]:
        """Smallest and largest ellipsoidal incidence angle over the window; NaN where nothing is in view."""
        up = np.clip(self.position(LOOK + 4), -1.0, 1.0)
        if not np.isfinite(up).any():
            return float("nan"), float("nan")
        return float(np.arccos(np.nanmax(up))), float(np.arccos(np.nanmin(up)))


@lru_cache(maxsize=64)
def transformer(source: str, target: str) -> Transformer:
    """A cached coordinate transformation, x before y."""
    return Transformer.from_crs(source, target, always_xy=True)


@lru_cache(maxsize=16)
def is_geographic(crs: str) -> bool:
    """Whether a CRS counts in degrees."""
    return bool(CRS.from_user_input(crs).is_geographic)


def build_lattice(
    geometry: RadarGeometry, frame: MapFrame, *, rows: tuple[int, int], columns: tuple[int, int]
) -> Lattice:
    """Solve the nodes that enclose the half-open window ``rows`` x ``columns`` of the grid (it may leave the grid)."""
    step = frame.step
    node_rows = np.arange(rows[0] // step - 1, -(-rows[1] // step) + 2) * step
    node_columns = np.arange(columns[0] // step - 1, -(-columns[1] // step) + 2) * step
    # Node n is the centre of grid pixel n: a pixel's own index needs no half-pixel shift inside the lattice.
    column, row = np.meshgrid(node_columns.astype(np.float64), node_rows.astype(np.float64))
    x, y = frame.transform * (column + 0.5, row + 0.5)
    longitude, latitude = _longitude_latitude(frame.crs, x, y)
    nodes = np.empty((*x.shape, FIELDS))
    _radar_fields(geometry, frame, nodes, (x, y, longitude, latitude))
    nodes[..., DEM], nodes[..., DEM + 1] = dem_position(frame, x, y)
    nodes[..., GEOID] = frame.geoid(longitude, latitude)
    inner = np.s_[1:-1, 1:-1]
    return Lattice(np.ascontiguousarray(nodes[inner]), int(node_rows[1]), int(node_columns[1]), step)


def _longitude_latitude(crs: str, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Geographic coordinates of map positions."""
    longitude, latitude = transformer(crs, "EPSG:4326").transform(x, y)
    return np.asarray(longitude), np.asarray(latitude)


def _radar_fields(
    geometry: RadarGeometry, frame: MapFrame, nodes: Floats, places: tuple[Floats, Floats, Floats, Floats]
) -> None:
    """Fill line, pixel, look vector, cells and scale of the nodes (the outermost ring serves the differences)."""
    x, y, longitude, latitude = places
    solved = [to_radar(geometry, ecef(longitude, latitude, np.full(x.shape, height))) for height in HEIGHTS_M]
    inverse = np.linalg.inv(np.vander(HEIGHTS_M / HEIGHT_SCALE_M, 4, increasing=True))
    for power in range(4):
        # Written out, not as a matrix product, whose rounding depends on the number of nodes.
        nodes[..., LINE + power] = sum(inverse[power, k] * solved[k][0] for k in range(4))
        nodes[..., PIXEL + power] = sum(inverse[power, k] * solved[k][1] for k in range(4))
    east, north, up, nodes[..., SCALE], nodes[..., SCALE + 1] = _axes(frame, x, y, longitude, latitude)
    levels = [to_radar(geometry, ecef(longitude, latitude, np.full(x.shape, height))) for height in (0.0, UPPER_M)]
    for number, axis in enumerate((east, north, up)):
        lower, upper = (sum(level[3][..., k] * axis[..., k] for k in range(3)) for level in levels)
        nodes[..., LOOK + 2 * number], nodes[..., LOOK + 2 * number + 1] = lower, upper - lower
    lower, upper = (_cells(level[0], level[1], frame.step) for level in levels)
    nodes[..., CELLS], nodes[..., CELLS + 1] = lower, upper - lower


def _axes(
    frame: MapFrame, x: Floats, y: Floats, longitude: Floats, latitude: Floats
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Unit vectors (..., 3) of the grid's column axis, of minus its row axis, and up; true pixel width and height."""
    here = ecef(longitude, latitude, np.zeros_like(x))
    a, e = frame.transform.a, frame.transform.e
    along_x = ecef(*_longitude_latitude(frame.crs, x + a, y), np.zeros_like(x)) - here
    along_y = ecef(*_longitude_latitude(frame.crs, x, y - e), np.zeros_like(x)) - here
    width, height = np.linalg.norm(along_x, axis=-1), np.linalg.norm(along_y, axis=-1)
    east, north = along_x / width[..., None], along_y / height[..., None]
    up = np.cross(east, north)
    return east, north, up / np.linalg.norm(up, axis=-1)[..., None], width, height


def _cells(line: Floats, pixel: Floats, step: int) -> Floats:
    """Image cells that one level map pixel covers: the Jacobian of (line, pixel) by (row, column)."""
    line_row, line_column = np.gradient(line, step)
    pixel_row, pixel_column = np.gradient(pixel, step)
    return np.asarray(np.abs(line_row * pixel_column - line_column * pixel_row))


def dem_position(frame: MapFrame, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Column and row in the elevation grid (integers at its pixel centres) of map positions x, y."""
    u, v = np.asarray(x), np.asarray(y)
    if frame.dem_crs != frame.crs:
        u, v = (np.asarray(axis) for axis in transformer(frame.crs, frame.dem_crs).transform(x, y))
    if is_geographic(frame.dem_crs):
        # A DEM on the other side of the antimeridian counts the same places 360 degrees away.
        u = frame.dem_transform.c + np.mod(u - frame.dem_transform.c + 90.0, 360.0) - 90.0
    column, row = ~frame.dem_transform * (u, v)
    return np.asarray(column) - 0.5, np.asarray(row) - 0.5


@compiled
def blend_row(nodes, first_row, step, row, out):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
    """Interpolate the lattice to one grid row: ``out`` (node column, FIELDS)."""
    k = min(max((row - first_row) // step, 0), nodes.shape[0] - 2)
    w = (row - first_row - k * step) / step
    for n in range(nodes.shape[1]):
        for f in range(nodes.shape[2]):
            out[n, f] = nodes[k, n, f] * (1.0 - w) + nodes[k + 1, n, f] * w


@compiled
def locate(nodes, first_row, first_column, step, height, row0, column0, line, pixel):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201, PLR0913
    """Image position of every pixel of a window; ``height`` (row, column) ellipsoidal metres, NaN in, NaN out."""
    rows, columns = height.shape
    blend = np.empty((nodes.shape[1], nodes.shape[2]))
    for i in range(rows):
        blend_row(nodes, first_row, step, row0 + i, blend)
        for j in range(columns):
            c = column0 + j - first_column
            n = min(max(c // step, 0), nodes.shape[1] - 2)
            w = (c - n * step) / step
            z = height[i, j] / HEIGHT_SCALE_M
            a = 0.0
            b = 0.0
            for k in range(3, -1, -1):
                a = a * z + (blend[n, LINE + k] * (1.0 - w) + blend[n + 1, LINE + k] * w)
                b = b * z + (blend[n, PIXEL + k] * (1.0 - w) + blend[n + 1, PIXEL + k] * w)
            line[i, j] = a
            pixel[i, j] = b


def positions(lattice: Lattice, height: NDArray[np.float32], row0: int, column0: int) -> tuple[Floats, Floats]:
    """Line and pixel (row, column) of a window whose upper left pixel is (``row0``, ``column0``) of the grid.

    ``height`` is (row, column), metres above the ellipsoid, NaN = unknown; so are both results, fractional, NaN there.
    """
    line, pixel = np.empty(height.shape), np.empty(height.shape)
    locate(lattice.nodes, lattice.first_row, lattice.first_column, lattice.step, height, row0, column0, line, pixel)
    return line, pixel
