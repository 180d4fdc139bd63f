"""From image cells to map pixels: bicubic at the exact position of each pixel, kept between its four neighbours.

Bilinear sampling would blur edges by another half cell, which water's edge at 10 m does not have to spare; plain
bicubic would overshoot beside bright targets, down to negative power. Keys's kernel limited to the range of the four
nearest cells does neither.

A cell holds the mean of the ground in it, not the ground at its centre: the mean lies above the centre by 1/24 of the
second difference along each axis, which is taken off before sampling (`SHARPEN`).

References:
    Keys (1981), Cubic convolution interpolation, doi:10.1109/TASSP.1981.1163711, with a = -0.5.
    Colella & Woodward (1984), The piecewise parabolic method, doi:10.1016/0021-9991(84)90143-8, eq. 1.6 to 1.9
    (values from cell means).
"""

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.sar.annotation import Floats
from pipeline_lib.sar.compiled import compiled

SHARPEN = 1 / 24
"""Share of the second difference along lines and pixels that is taken off each cell."""


def sample_image(
    image: NDArray[np.float32], line: Floats, pixel: Floats, *, origin: tuple[int, int]
) -> NDArray[np.float32]:
    """Sample a window of the image.

    Args:
        image: (line, pixel) window, NaN = no data.
        line: (row, column) line of each map pixel.
        pixel: (row, column) pixel of each map pixel.
        origin: line and pixel of the window's first cell.

    Returns:
        (row, column) float32; NaN where the position is NaN, leaves the window, or has no data in one of its four
        cells. Where the wider neighbourhood is incomplete the sample is bilinear.
    """
    out = np.empty(line.shape, np.float32)
    image = np.ascontiguousarray(image)
    sharp = np.empty_like(image)
    _sharpen(image, np.float32(SHARPEN), sharp)
    _sample(image, sharp, line, pixel, origin[0], origin[1], out)
    return out


@compiled
def _sharpen(image, share, out):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Take ``share`` of the second difference off every cell; nothing along an axis where a neighbour is unknown."""
    rows, columns = image.shape
    two = np.float32(2.0)
    for i in range(rows):
        up, down = max(i - 1, 0), min(i + 1, rows - 1)
        for j in range(columns):
            here = image[i, j]
            along = image[up, j] - two * here + image[down, j]
            across = image[i, max(j - 1, 0)] - two * here + image[i, min(j + 1, columns - 1)]
            value = here
            if np.isfinite(along):
                value -= share * along
            if np.isfinite(across):
                value -= share * across
            out[i, j] = value


@compiled
def _keys(f, weight):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Weights of the four cells around a position ``f`` behind the second."""
    weight[0] = ((-0.5 * f + 1.0) * f - 0.5) * f
    weight[1] = (1.5 * f - 2.5) * f * f + 1.0
    weight[2] = ((-1.5 * f + 2.0) * f + 0.5) * f
    weight[3] = (0.5 * f - 0.5) * f * f


@compiled
def cell_of(position, first):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
    """Index, counted from ``first``, of the cell at or before a position, and how far behind its centre that is."""
    cell = int(np.floor(position))
    return cell - first, position - cell


@compiled
def _sample(image, sharp, line, pixel, line0, pixel0, out):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Weights of zero do not touch: a position on a cell centre needs that cell alone."""
    rows, columns = image.shape
    across = np.empty(4)
    down = np.empty(4)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = np.nan
            u = line[i, j]
            v = pixel[i, j]
            if not (u >= line0 and v >= pixel0 and u <= line0 + rows - 1 and v <= pixel0 + columns - 1):
                continue
            k, fu = cell_of(u, line0)
            m, fv = cell_of(v, pixel0)
            k1 = k + 1 if fu > 0.0 else k
            m1 = m + 1 if fv > 0.0 else m
            a, b, c, d = image[k, m], image[k, m1], image[k1, m], image[k1, m1]
            value = (a * (1.0 - fv) + b * fv) * (1.0 - fu) + (c * (1.0 - fv) + d * fv) * fu
            if np.isfinite(value) and k >= 1 and m >= 1 and k + 2 < rows and m + 2 < columns:
                _keys(fu, down)
                _keys(fv, across)
                cubic = 0.0
                for y in range(4):
                    for x in range(4):
                        cubic += down[y] * across[x] * sharp[k - 1 + y, m - 1 + x]
                if np.isfinite(cubic):
                    value = min(max(cubic, min(a, b, c, d)), max(a, b, c, d))
            out[i, j] = value
