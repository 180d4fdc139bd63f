"""Heights above the ellipsoid on a window of the grid, and how far around a tile terrain matters."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.sar.compiled import compiled
from pipeline_lib.sar.lattice import DEM, GEOID, Lattice, blend_row

Heights = NDArray[np.float32]
BLOCK = 64
"""Elevation pixels along the side of a block of the relief index."""


@dataclass(frozen=True)
class Relief:
    """Lowest and highest elevation per block of the DEM: tells how wide a margin a tile needs."""

    lowest: Heights
    """(block row, block column), NaN where the block has no elevation."""
    highest: Heights

    @classmethod
    def of(cls, elevation: Heights) -> "Relief":
        """Index a DEM held in memory, (row, column)."""
        rows, columns = elevation.shape
        padded = np.pad(elevation, ((0, -rows % BLOCK), (0, -columns % BLOCK)), constant_values=np.nan)
        blocks = padded.reshape(padded.shape[0] // BLOCK, BLOCK, -1, BLOCK)
        finite = np.isfinite(blocks)
        lowest = np.where(finite, blocks, np.inf).min(axis=(1, 3))
        highest = np.where(finite, blocks, -np.inf).max(axis=(1, 3))
        return cls(np.where(np.isinf(lowest), np.nan, lowest), np.where(np.isinf(highest), np.nan, highest))

    def span(self, rows: tuple[float, float], columns: tuple[float, float]) -> float:
        """Highest minus lowest elevation within a window of DEM pixels, metres; 0 where there is none."""
        top, bottom = max(int(rows[0] // BLOCK), 0), max(int(rows[1] // BLOCK) + 1, 0)
        left, right = max(int(columns[0] // BLOCK), 0), max(int(columns[1] // BLOCK) + 1, 0)
        low, high = self.lowest[top:bottom, left:right], self.highest[top:bottom, left:right]
        if not np.isfinite(low).any():
            return 0.0
        return float(np.nanmax(high) - np.nanmin(low))


def dem_window(lattice: Lattice) -> tuple[tuple[float, float], tuple[float, float]]:
    """Rows and columns of the DEM that the lattice's window covers."""
    column, row = lattice.position(DEM), lattice.position(DEM + 1)
    return (float(row.min()), float(row.max())), (float(column.min()), float(column.max()))


def margin_m(relief: Relief, lattice: Lattice, *, dem_pixel_m: float, ends: bool = True) -> float:
    """How far around a tile terrain can fall into its image cells or shade what does, metres.

    A height difference dh moves a point by dh / tan(incidence) in ground range and throws a shadow of
    dh tan(incidence); the margin is the largest m with m = relief within m x (1/tan + tan), found from above.

    Args:
        relief: index of the whole DEM.
        lattice: of the tile itself.
        dem_pixel_m: pixel of the DEM, metres.
        ends: False takes shadow alone (no flattening).
    """
    near, far = lattice.incidence_rad
    if not (np.isfinite(near) and np.isfinite(far)):
        return 0.0
    factor = np.tan(far) + (1 / np.tan(near) if ends else 0.0)
    rows, columns = dem_window(lattice)
    margin = np.inf
    for _ in range(20):
        reach = 1e9 if np.isinf(margin) else margin / dem_pixel_m + 1
        span = relief.span((rows[0] - reach, rows[1] + reach), (columns[0] - reach, columns[1] + reach))
        narrower = float(span * factor)
        if narrower >= margin * 0.95:
            break
        margin = narrower
    return min(margin, 50_000.0)


def heights_on(
    lattice: Lattice,
    elevation: Heights,
    *,
    origin: tuple[int, int],
    window: tuple[int, int, int, int],
) -> Heights:
    """Ellipsoidal heights on a window of the grid.

    Args:
        lattice: encloses the window.
        elevation: (row, column) part of the DEM, above the geoid, metres, NaN = void.
        origin: row and column of the part's first pixel in the DEM.
        window: row, column, rows, columns in the grid.

    Returns:
        (row, column) float32; NaN where any of the four posts around is void or missing.
    """
    row, column, rows, columns = window
    out = np.empty((rows, columns), np.float32)
    _heights(
        lattice.nodes,
        lattice.first_row,
        lattice.first_column,
        lattice.step,
        np.ascontiguousarray(elevation, dtype=np.float32),
        origin[0],
        origin[1],
        row,
        column,
        out,
    )
    return out


@compiled
def _heights(nodes, first_row, first_column, step, dem, dem_row, dem_column, row0, column0, out):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202, PLR0913
    """Bilinear between posts, exact on a post: positions within 1e-4 pixel of one are taken to be on it."""
    blend = np.empty((nodes.shape[1], nodes.shape[2]))
    for i in range(out.shape[0]):
        blend_row(nodes, first_row, step, row0 + i, blend)
        for j in range(out.shape[1]):
            c = column0 + j - first_column
            n = min(max(c // step, 0), nodes.shape[1] - 2)
            w = (c - n * step) / step
            u = blend[n, DEM] * (1.0 - w) + blend[n + 1, DEM] * w
            v = blend[n, DEM + 1] * (1.0 - w) + blend[n + 1, DEM + 1] * w
            if abs(u - np.round(u)) < 1e-4:
                u = np.round(u)
            if abs(v - np.round(v)) < 1e-4:
                v = np.round(v)
            p = int(np.floor(u))
            q = int(np.floor(v))
            fu = u - p
            fv = v - q
            p1 = p + 1 if fu > 0.0 else p
            q1 = q + 1 if fv > 0.0 else q
            top, left = q - dem_row, p - dem_column
            bottom, right = q1 - dem_row, p1 - dem_column
            if top < 0 or left < 0 or bottom >= dem.shape[0] or right >= dem.shape[1]:
                out[i, j] = np.nan
                continue
            upper = dem[top, left] * (1.0 - fu) + dem[top, right] * fu
            lower = dem[bottom, left] * (1.0 - fu) + dem[bottom, right] * fu
            geoid = blend[n, GEOID] * (1.0 - w) + blend[n + 1, GEOID] * w
            out[i, j] = upper * (1.0 - fv) + lower * fv + geoid


def guess_beside_voids(height: Heights, *, reach: int = 4) -> Heights:
    """Heights with the first ``reach`` pixels of every void filled from a neighbour, row by row outwards.

    The guesses only tell which image cells the unknown ground would have fallen into; no pixel is made from them.
    """
    out = height
    for _ in range(reach):
        grown = out.copy()
        _grow(out, grown)
        out = grown
    return out


@compiled
def _grow(source, target):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Give every unknown pixel the height of its first known neighbour: above, left, right, below."""
    rows, columns = source.shape
    for i in range(rows):
        for j in range(columns):
            if np.isfinite(source[i, j]):
                continue
            if i > 0 and np.isfinite(source[i - 1, j]):
                target[i, j] = source[i - 1, j]
            elif j > 0 and np.isfinite(source[i, j - 1]):
                target[i, j] = source[i, j - 1]
            elif j + 1 < columns and np.isfinite(source[i, j + 1]):
                target[i, j] = source[i, j + 1]
            elif i + 1 < rows and np.isfinite(source[i + 1, j]):
                target[i, j] = source[i + 1, j]
