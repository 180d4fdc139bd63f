"""Region growing: from seeds outwards, while pixels are alike.

Two predicates. **Hysteresis**: pixels at or below a tolerance that are connected to a pixel at or below the seed value;
the result does not depend on the order of visits. **Running mean** (centroid linkage): a neighbour joins the region
whose mean it is closest to, if it differs by at most the tolerance; neighbours wait in a priority queue ordered by that
difference, so that the result does not depend on scanning direction either.

References:
    Adams and Bischof: Seeded region growing, IEEE TPAMI 16(6), 1994; Canny, IEEE TPAMI 8(6), 1986 (hysteresis).
"""

import heapq

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline_lib.errors import ContractError, GridMismatchError

Labels = NDArray[np.int32]


def hysteresis(
    image: NDArray[np.floating], *, seed: float, tolerance: float, connectivity: int = 8
) -> NDArray[np.bool_]:
    """Connected pixels at or below ``tolerance`` that hold at least one pixel at or below ``seed``.

    Args:
        image: dims (y, x), such as dB of a filtered scene; NaN = not observed, never in a region.
        seed: upper bound of the seeds.
        tolerance: upper bound of the region; at least ``seed``.
        connectivity: 4 or 8 neighbours.

    Raises:
        ContractError: ``tolerance`` is below ``seed``: no region could grow.
    """
    if tolerance < seed:
        raise ContractError(f"The tolerance {tolerance:g} is below the seed {seed:g}; regions grow upwards from seeds.")
    candidates = image <= tolerance
    labels, count = ndimage.label(candidates, structure=_structure(connectivity))
    kept = np.zeros(count + 1, bool)
    kept[np.unique(labels[(image <= seed) & candidates])] = True
    kept[0] = False
    grown: NDArray[np.bool_] = kept[labels]
    return grown


def seeds_below(image: NDArray[np.floating], seed: float, *, connectivity: int = 8) -> Labels:
    """Connected pixels at or below ``seed`` as labelled seeds, 1 ...; 0 elsewhere.

    Dims (y, x); NaN is never a seed.
    """
    labels, _ = ndimage.label(image <= seed, structure=_structure(connectivity))
    found: Labels = labels.astype(np.int32)
    return found


def grow(image: NDArray[np.floating], seeds: Labels, *, tolerance: float, connectivity: int = 8) -> Labels:
    """Grow labelled seeds by the running mean.

    Args:
        image: dims (y, x); NaN = not observed, never joined.
        seeds: 0 = no seed, k = seed of region k; a region may have several seeds. Seeds on NaN are dropped.
        tolerance: largest difference of a joining pixel from its region's mean at that moment.
        connectivity: 4 or 8 neighbours.

    Returns:
        Region of each pixel, 0 = none; int32 (y, x).

    Raises:
        GridMismatchError: the shapes differ.
        ContractError: a negative tolerance or another connectivity.
    """
    if image.shape != seeds.shape:
        raise GridMismatchError(f"Image {image.shape} and seeds {seeds.shape} must share one shape.")
    if tolerance < 0 or connectivity not in {4, 8}:
        raise ContractError(f"Tolerance {tolerance:g} and connectivity {connectivity}: expected >= 0, and 4 or 8.")
    values = np.ascontiguousarray(image, np.float64)
    labels = np.where(np.isfinite(values), seeds, 0).astype(np.int32)
    _grow(values, labels, float(tolerance), connectivity)
    return labels


def _structure(connectivity: int) -> NDArray[np.bool_]:
    structure: NDArray[np.bool_] = ndimage.generate_binary_structure(2, 1 if connectivity == 4 else 2)
    return structure


@numba.njit(cache=True, nogil=True)
def _grow(values: NDArray[np.float64], labels: Labels, tolerance: float, connectivity: int) -> None:
    rows, columns = values.shape
    count = labels.max() + 1
    total, number = np.zeros(count), np.zeros(count)
    for y in range(rows):
        for x in range(columns):
            if labels[y, x] > 0:
                total[labels[y, x]] += values[y, x]
                number[labels[y, x]] += 1
    queue = [(0.0, 0, 0, np.int64(0)) for _ in range(0)]
    for y in range(rows):
        for x in range(columns):
            if labels[y, x] > 0:
                _offer(queue, values, labels, total, number, y, x, connectivity)
    while queue:
        _, y, x, region = heapq.heappop(queue)
        # The mean has moved since the pixel was queued: the predicate is asked again at the moment of joining.
        if labels[y, x] == 0 and abs(values[y, x] - total[region] / number[region]) <= tolerance:
            labels[y, x] = region
            total[region] += values[y, x]
            number[region] += 1
            _offer(queue, values, labels, total, number, y, x, connectivity)


@numba.njit(cache=True, nogil=True)
def _offer(
    queue: list[tuple[float, int, int, np.int64]],
    values: NDArray[np.float64],
    labels: Labels,
    total: NDArray[np.float64],
    number: NDArray[np.float64],
    y: int,
    x: int,
    connectivity: int,
) -> None:
    """Queue the free, observed neighbours of a pixel by their difference from its region's mean."""
    region = np.int64(labels[y, x])
    mean = total[region] / number[region]
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            if (dy == 0 and dx == 0) or (connectivity == 4 and dy != 0 and dx != 0):
                continue
            b, a = y + dy, x + dx
            if 0 <= b < labels.shape[0] and 0 <= a < labels.shape[1] and labels[b, a] == 0:
                value = values[b, a]
                if np.isfinite(value):
                    heapq.heappush(queue, (abs(value - mean), b, a, region))
