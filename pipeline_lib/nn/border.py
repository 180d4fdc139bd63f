"""The U-Net's border weights: pixels in the gap between two water bodies count more."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline_lib.nn.labels import IGNORE

SIGMA_PX = 5.0
"""Width of the border term: the paper's "about 5 pixels"."""
REACH_PX = 48
"""How far from a water body distances are computed."""


def border_weight(label: NDArray[np.uint8], *, w0: float = 10.0) -> NDArray[np.float32]:
    """Weight map ``w(x) = 1 + w0 exp(-(d1 + d2)^2 / (2 sigma^2))`` of one label map.

    ``d1`` and ``d2`` are the distances to the nearest and to the second nearest water body (8-connected component);
    with fewer than two bodies d2 = d1. Only dry pixels get the border term: it is there to keep bodies apart. 0
    where the label is 255, from 1 to below 1 + w0 elsewhere.

    Args:
        label: ``(y, x)`` uint8, 0 dry, 1 water, 255 ignored.
        w0: height of the border term; the paper's 10.

    References: Ronneberger et al. 2015, Eq. 2; its class weight is the loss's (`LossOptions.water_weight`).
    """
    water = label == 1
    weight = np.ones(label.shape, np.float32)
    if w0 > 0 and water.any():
        first, second = two_nearest(water)
        border = w0 * np.exp(-((first + second) ** 2) / (2 * SIGMA_PX**2))
        weight += np.where(water, 0, border).astype(np.float32)
    return np.where(label == IGNORE, 0, weight).astype(np.float32)


def two_nearest(water: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distances in pixels of every pixel to the nearest and the second nearest component of ``water``.

    Exact up to `REACH_PX` from a component's bounding box and infinite beyond, where the weight at sigma 5 is below
    1e-19: so each component costs its box and not the whole map.

    ``water`` is bool (y, x); both results are float64 (y, x).
    """
    parts, count = ndimage.label(water, structure=np.ones((3, 3)))
    first = np.full(water.shape, np.inf)
    second = np.full(water.shape, np.inf)
    for index, box in enumerate(ndimage.find_objects(parts), start=1):
        window = tuple(
            slice(max(side.start - REACH_PX, 0), min(side.stop + REACH_PX, size))
            for side, size in zip(box, water.shape, strict=True)
        )
        distance = ndimage.distance_transform_edt(parts[window] != index)
        nearest, runner_up = first[window], second[window]
        second[window] = np.minimum(np.maximum(nearest, distance), runner_up)
        first[window] = np.minimum(nearest, distance)
    if count < 2:
        second = first.copy()
    return first, second
