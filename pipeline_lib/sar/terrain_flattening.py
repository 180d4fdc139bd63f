"""Radiometric terrain flattening: how much illuminated ground each image cell integrates.

The ground between four pixel centres of the grid is a facet. Its area, seen along the line of sight (gamma area), is
distributed over the image cells it falls into; a cell that several slopes fold into (layover) collects them all. With
all areas in units of a level map pixel,

    gamma0 = beta0 / sum(A_gamma)        A_gamma = (l_z - p l_x - q l_y) J / sin(incidence)

where ``l`` is the unit vector to the satellite, ``p``, ``q`` the terrain gradient and ``J`` the image cells per level
map pixel: the slant-range area of a cell is the map pixel's area times sin(incidence) / J. On level ground the sum is
1 / tan(incidence), the ellipsoidal gamma0.

References:
    Small (2011), Flattening Gamma: Radiometric Terrain Correction for SAR Imagery, doi:10.1109/TGRS.2011.2120616,
    eq. 10-16.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.sar.annotation import Floats
from pipeline_lib.sar.compiled import compiled
from pipeline_lib.sar.lattice import CELLS, LOOK, SCALE, UPPER_M, Lattice, blend_row
from pipeline_lib.sar.resample import cell_of

LEAST_SHARE = 0.05
"""Cells that hold less than this share of a level cell's area are shadow: dividing by it would only raise noise."""
SPLITS = 2
"""A facet is cut until its pieces are at most half an image cell wide: finer changes nothing (0.01 % of the simulated
world's pixels), coarser does (1 %)."""
MOST_SPLITS = 24
DARK, LIT, UNKNOWN = 0, 1, 255


def gamma_area(
    lattice: Lattice,
    height: NDArray[np.float32],
    line: Floats,
    pixel: Floats,
    lit: NDArray[np.uint8],
    *,
    origin: tuple[int, int],
    window: tuple[int, int, int, int],
) -> NDArray[np.float32]:
    """Sum the gamma areas of the facets of a window of the grid over a window of image cells.

    Args:
        lattice: encloses the window of the grid.
        height: (row, column) ellipsoidal heights, NaN = unknown.
        line: (row, column) image line of each height.
        pixel: (row, column) image pixel of each height.
        lit: (row, column) `LIT`, `DARK` in shadow, `UNKNOWN` where the height is a guess beside a void.
        origin: grid row and column of the first height.
        window: first line, first pixel, lines, pixels of the image window.

    Returns:
        (line, pixel) float32, in slant-range areas of the cell (level ground gives 1 / tan(incidence)); 0 where no
        ground falls, NaN where a facet of unknown height does.
    """
    out = np.zeros(window[2:], dtype=np.float64)
    _gamma_area(
        lattice.nodes, lattice.first_row, lattice.first_column, lattice.step, height, line, pixel, lit,
        origin[0], origin[1], window[0], window[1], out,
    )  # fmt: skip
    return out.astype(np.float32)


@compiled
def _gamma_area(nodes, first_row, first_column, step, height, line, pixel, lit, row0, column0, line0, pixel0, out):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202, PLR0913
    """Facet by facet in grid order, so that every cell adds the same numbers in the same order for any tiling."""
    blend = np.empty((nodes.shape[1], nodes.shape[2]))
    field = np.empty(nodes.shape[2])
    for i in range(height.shape[0] - 1):
        blend_row(nodes, first_row, step, row0 + i, blend)
        for j in range(height.shape[1] - 1):
            seen = np.int64(lit[i, j]) + lit[i, j + 1] + lit[i + 1, j] + lit[i + 1, j + 1]
            low = min(line[i, j], line[i, j + 1], line[i + 1, j], line[i + 1, j + 1])
            high = max(line[i, j], line[i, j + 1], line[i + 1, j], line[i + 1, j + 1])
            near = min(pixel[i, j], pixel[i, j + 1], pixel[i + 1, j], pixel[i + 1, j + 1])
            far = max(pixel[i, j], pixel[i, j + 1], pixel[i + 1, j], pixel[i + 1, j + 1])
            # Written so that a NaN corner fails the test.
            inside = (
                high > line0 - 1 and low < line0 + out.shape[0] and far > pixel0 - 1 and near < pixel0 + out.shape[1]
            )
            if seen == 0 or not inside:
                continue
            c = column0 + j - first_column
            n = min(max(c // step, 0), nodes.shape[1] - 2)
            w = (c - n * step) / step
            for f in range(LOOK, SCALE + 2):
                field[f] = blend[n, f] * (1.0 - w) + blend[n + 1, f] * w
            area = _facet(field, height[i, j], height[i, j + 1], height[i + 1, j], height[i + 1, j + 1])
            if seen >= UNKNOWN:
                area = np.nan
            elif not area > 0.0:
                continue
            _spread(area * seen * 0.25, line, pixel, i, j, line0, pixel0, out)


@compiled
def _facet(field, h00, h01, h10, h11):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Gamma area of one facet, in slant-range areas of an image cell; negative where it faces away."""
    z = 0.25 * (h00 + h01 + h10 + h11) / UPPER_M
    lx = field[LOOK] + z * field[LOOK + 1]
    ly = field[LOOK + 2] + z * field[LOOK + 3]
    lz = field[LOOK + 4] + z * field[LOOK + 5]
    cells = field[CELLS] + z * field[CELLS + 1]
    p = 0.5 * ((h01 - h00) + (h11 - h10)) / field[SCALE]
    q = 0.5 * ((h00 - h10) + (h01 - h11)) / field[SCALE + 1]
    return (lz - p * lx - q * ly) * cells / np.sqrt(max(1.0 - lz * lz, 1e-9))


@compiled
def _spread(area, line, pixel, i, j, line0, pixel0, out):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Cut a facet into pieces and share each among the four cells around it, by distance."""
    l00, l01, l10, l11 = line[i, j], line[i, j + 1], line[i + 1, j], line[i + 1, j + 1]
    p00, p01, p10, p11 = pixel[i, j], pixel[i, j + 1], pixel[i + 1, j], pixel[i + 1, j + 1]
    across = max(abs(l01 - l00), abs(l11 - l10), abs(p01 - p00), abs(p11 - p10))
    down = max(abs(l10 - l00), abs(l11 - l01), abs(p10 - p00), abs(p11 - p01))
    many = min(max(int(np.ceil(across * SPLITS)), 1), MOST_SPLITS)
    tall = min(max(int(np.ceil(down * SPLITS)), 1), MOST_SPLITS)
    piece = area / (many * tall)
    for a in range(tall):
        s = (a + 0.5) / tall
        for b in range(many):
            t = (b + 0.5) / many
            u = (l00 * (1 - t) + l01 * t) * (1 - s) + (l10 * (1 - t) + l11 * t) * s
            v = (p00 * (1 - t) + p01 * t) * (1 - s) + (p10 * (1 - t) + p11 * t) * s
            k, fu = cell_of(u, line0)
            m, fv = cell_of(v, pixel0)
            if 0 <= k < out.shape[0]:
                if 0 <= m < out.shape[1]:
                    out[k, m] += piece * (1 - fu) * (1 - fv)
                if 0 <= m + 1 < out.shape[1]:
                    out[k, m + 1] += piece * (1 - fu) * fv
            if 0 <= k + 1 < out.shape[0]:
                if 0 <= m < out.shape[1]:
                    out[k + 1, m] += piece * fu * (1 - fv)
                if 0 <= m + 1 < out.shape[1]:
                    out[k + 1, m + 1] += piece * fu * fv


def flatten(beta0: NDArray[np.float32], area: NDArray[np.float32], *, level_area: float) -> NDArray[np.float32]:
    """Divide beta0 by the gamma area; NaN where the cell holds less than `LEAST_SHARE` of a level cell's area.

    Args:
        beta0: (line, pixel) linear.
        area: (line, pixel) of `gamma_area`.
        level_area: gamma area of a level cell, 1 / tan(incidence).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(area > LEAST_SHARE * level_area, beta0 / area, np.float32(np.nan)).astype(np.float32)
