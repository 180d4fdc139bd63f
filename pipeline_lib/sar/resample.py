"""From image cells to map pixels: bilinear at the exact position of each pixel."""

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.sar.annotation import Floats
from pipeline_lib.sar.compiled import compiled


def sample_image(
    image: NDArray[np.float32], line: Floats, pixel: Floats, *, origin: tuple[int, int]
) -> NDArray[np.float32]:
    """Bilinear sample of a window of the image.

    Args:
        image: (line, pixel) window, NaN = no data.
        line: (row, column) line of each map pixel.
        pixel: (row, column) pixel of each map pixel.
        origin: line and pixel of the window's first cell.

    Returns:
        (row, column) float32; NaN where the position is NaN, leaves the window, or touches a cell without data.
    """
    out = np.empty(line.shape, np.float32)
    _sample(np.ascontiguousarray(image), line, pixel, origin[0], origin[1], out)
    return out


@compiled
def _sample(image, line, pixel, line0, pixel0, out):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Weights of zero do not touch: a position on a cell centre needs that cell alone."""
    rows, columns = image.shape
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = np.nan
            u = line[i, j]
            v = pixel[i, j]
            if not (u >= line0 and v >= pixel0 and u <= line0 + rows - 1 and v <= pixel0 + columns - 1):
                continue
            k = int(np.floor(u))
            m = int(np.floor(v))
            fu = u - k
            fv = v - m
            k -= line0
            m -= pixel0
            k1 = k + 1 if fu > 0.0 else k
            m1 = m + 1 if fv > 0.0 else m
            upper = image[k, m] * (1.0 - fv) + image[k, m1] * fv
            lower = image[k1, m] * (1.0 - fv) + image[k1, m1] * fv
            out[i, j] = upper * (1.0 - fu) + lower * fu
