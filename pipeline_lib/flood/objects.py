"""Small objects: what falls under the minimum mapping unit."""

import numpy as np
from scipy.ndimage import label

EIGHT = np.ones((3, 3), dtype=bool)


def drop_small(mask: np.ndarray, min_pixels: int) -> np.ndarray:
    """Mask without its 8-connected objects of fewer than ``min_pixels`` pixels.

    Exact in a window that carries a halo of at least ``min_pixels``: an object that is cut by the edge of the halo and
    still reaches the window's own pixels is longer than ``min_pixels`` and stays.

    ``mask`` and the result are bool (y, x).
    """
    if min_pixels <= 1 or not mask.any():
        return mask
    labels, _ = label(mask, structure=EIGHT)
    keep = np.bincount(labels.ravel()) >= min_pixels
    keep[0] = False
    kept: np.ndarray = keep[labels]
    return kept
