"""Feature space of the clustering: intensity or colour, and texture by local statistics and co-occurrence.

Radar images come in as linear power and enter in dB; optical ones in their own units. Every feature looks at a fixed
neighbourhood with fixed ranges, so that a block with a halo gives what the whole image gives.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from pipeline_lib.segmentation.glcm import glcm_features, quantised

MEAN_PX, VARIATION_PX, GLCM_RADIUS = 5, 7, 3
HALO_PX = 4
"""Largest reach of any feature, with one pixel to spare."""
DB_RANGE = (-32.0, 2.0)
FLOOR = 1e-6
Planes = NDArray[np.float32]


def feature_stack(
    bands: dict[str, NDArray[np.floating]], *, is_radar: bool, texture: bool, glcm: bool
) -> tuple[Planes, tuple[str, ...]]:
    """Features of every pixel: value and 5 x 5 mean of each band first, texture after them.

    Args:
        bands: name to plane (y, x); linear power where ``is_radar``; NaN = not observed.
        is_radar: bands are power: means are taken of power, then both enter in dB.
        texture: add each band's local variation: 7 x 7 coefficient of variation (radar, as its logarithm, so that
            speckle alone gives one value) or standard deviation.
        glcm: add co-occurrence contrast, homogeneity and entropy of the first band.

    Returns:
        Features, dims (feature, y, x), NaN where any band is not observed; and their names.
    """
    shown = {name: _decibel(plane) if is_radar else plane.astype(np.float32) for name, plane in bands.items()}
    found: dict[str, NDArray[np.floating]] = {}
    for name, plane in bands.items():
        mean = local_mean(plane, MEAN_PX)
        found |= {name: shown[name], f"{name} mean": _decibel(mean) if is_radar else mean}
    if texture:
        for name, plane in bands.items():
            mean, spread = local_moments(plane, VARIATION_PX)
            variation = np.log(np.maximum(spread, FLOOR) / np.maximum(mean, FLOOR)) if is_radar else spread
            found[f"{name} variation"] = variation
    if glcm:
        planes = glcm_features(
            quantised(next(iter(shown.values())), *_grey_range(is_radar=is_radar)), radius=GLCM_RADIUS
        )
        found |= {"contrast": planes[0], "homogeneity": planes[1], "entropy": planes[3]}
    stack = np.stack([plane.astype(np.float32) for plane in found.values()])
    stack[:, ~np.isfinite(stack).all(axis=0)] = np.nan
    return stack, tuple(found)


def _grey_range(*, is_radar: bool) -> tuple[float, float]:
    return DB_RANGE if is_radar else (0.0, 0.6)


def _decibel(power: NDArray[np.floating]) -> Planes:
    decibel: Planes = (10 * np.log10(np.maximum(power, FLOOR))).astype(np.float32)
    return decibel


def local_mean(plane: NDArray[np.floating], size: int) -> Planes:
    """The first of `local_moments` alone, at less than two thirds of its price.

    Args:
        plane: (y, x), NaN = not observed.
        size: side of the window, pixels, odd.

    Returns:
        (y, x) float32 mean of the observed pixels of the window, NaN where ``plane`` is.
    """
    seen = np.isfinite(plane)
    mean = _window_mean(np.where(seen, plane, 0.0).astype(np.float64), seen, size)
    return np.where(seen, mean, np.nan).astype(np.float32)


def local_moments(plane: NDArray[np.floating], size: int) -> tuple[Planes, Planes]:
    """Mean and standard deviation of the observed pixels in a square window; NaN where the centre is not observed.

    The window is cut off at the image's edge.

    Args:
        plane: dims (y, x), NaN = not observed.
        size: side of the window, odd.
    """
    seen = np.isfinite(plane)
    values = np.where(seen, plane, 0.0).astype(np.float64)
    mean = _window_mean(values, seen, size)
    spread = np.sqrt(np.maximum(_window_mean(values**2, seen, size) - mean**2, 0.0))
    return np.where(seen, mean, np.nan).astype(np.float32), np.where(seen, spread, np.nan).astype(np.float32)


def _window_mean(values: NDArray[np.float64], seen: NDArray[np.bool_], size: int) -> NDArray[np.float64]:
    """Sum of the values (0 where not observed) over number of the observed pixels in a window."""
    number = _window_sum(seen.astype(np.float64), size)
    mean: NDArray[np.float64] = _window_sum(values, size) / np.maximum(number, 1)
    return mean


def _window_sum(values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Each window is summed anew: a running sum carries the rounding of what it has left, so that blocks would show."""
    ones = np.ones(size)
    columns = correlate1d(values, ones, axis=0, mode="constant", cval=0.0)
    total: NDArray[np.float64] = correlate1d(columns, ones, axis=1, mode="constant", cval=0.0)
    return total
