"""Split and merge: quarter the image until each block is homogeneous, then merge neighbours while their union is.

The result is a segmentation in the strict sense, tested as such: the regions cover every observed pixel, do not
overlap, each is connected (4-neighbours) and satisfies the predicate, and no two adjacent ones satisfy it together.

References:
    Horowitz and Pavlidis, ICPR 1974; Haris et al.: Hybrid image segmentation using watersheds and fast region
    merging, IEEE TIP 7, 1998 (adjacency graph with a priority queue).
"""

import heapq
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from pipeline_lib.errors import ContractError
from pipeline_lib.options.segmentation import SplitMergeOptions
from pipeline_lib.segmentation.predicate import Homogeneity, holds, homogeneity, merging_cost
from pipeline_lib.union_find import root, roots

Labels = NDArray[np.int32]
Sums = NDArray[np.float64]


@dataclass(frozen=True)
class Regions:
    """A segmentation with the statistics of its regions."""

    labels: Labels
    """0 not observed, 1 ... regions in order of their first pixel; dims (y, x)."""
    pixels: NDArray[np.int64]
    """Pixels of each region, shape (regions,); region k is at index k - 1."""
    mean: Sums
    """Mean of each region by band, shape (regions, bands)."""


def split_and_merge(image: NDArray[np.floating], options: SplitMergeOptions | None = None) -> Regions:
    """Segment an image by split and merge.

    Args:
        image: dims (band, y, x), linear power for ``speckle``, any units for ``spread``; NaN in any band = not
            observed.
        options: predicate and its constants.

    Returns:
        Regions; an image without any observed pixel has none.

    Raises:
        ContractError: the image is not (band, y, x).
    """
    if image.ndim != 3:
        raise ContractError(f"The image has {image.ndim} dims, expected 3: (band, y, x).")
    predicate = homogeneity(options or SplitMergeOptions(), image.shape[0])
    leaves, count = split(image, predicate)
    return merge(image, leaves, count, predicate)


def split(image: NDArray[np.floating], predicate: Homogeneity) -> tuple[Labels, int]:
    """Quadtree: leaf of each pixel (0 not observed) and number of leaves; the first half of `split_and_merge`.

    ``image`` is (band, y, x), NaN = not observed; the leaves are int32 (y, x) from 1.
    """
    seen = np.isfinite(image).all(axis=0)
    filled = np.where(seen, image, 1.0)
    first = _summed(np.where(seen, predicate.first(filled), 0.0))
    second = _summed(np.where(seen, predicate.transform(filled), 0.0))
    number = _summed(seen[None].astype(np.float64))[0]
    labels = np.zeros(seen.shape, np.int32)
    count = _split(number, first, second, labels, predicate.kind, predicate.constants)
    return labels, int(count)


def merge(image: NDArray[np.floating], leaves: Labels, count: int, predicate: Homogeneity) -> Regions:
    """Merge adjacent leaves, cheapest pair first, until no two adjacent regions satisfy the predicate together.

    Args:
        image: (band, y, x), NaN = not observed.
        leaves: (y, x) int32 of `split`, 0 = not observed.
        count: number of leaves.
        predicate: when pixels are one region.
    """
    bands = image.shape[0]
    flat = leaves.ravel()
    sums = np.empty((2, count + 1, bands))
    filled = np.where(np.isfinite(image).all(axis=0), image, 1.0)
    for which, statistic in enumerate((predicate.first(filled), predicate.transform(filled))):
        for band in range(bands):
            sums[which, :, band] = np.bincount(flat, statistic[band].ravel(), minlength=count + 1)
    pixels = np.bincount(flat, minlength=count + 1).astype(np.float64)
    parent = _merge(_adjacent(leaves), pixels, sums[0], sums[1], predicate.kind, predicate.constants)
    return _dense(parent[leaves], pixels, sums[0])


def _summed(planes: Sums) -> Sums:
    """Summed area tables with a leading row and column of zeros."""
    table = np.zeros((planes.shape[0], planes.shape[1] + 1, planes.shape[2] + 1))
    table[:, 1:, 1:] = planes.cumsum(axis=1).cumsum(axis=2)
    return table


@numba.njit(cache=True, nogil=True)
def _split(number: Sums, first: Sums, second: Sums, labels: Labels, kind: int, constants: Sums) -> int:
    """Fill ``labels`` with leaves; a block is a leaf if wholly observed and homogeneous, or empty."""
    bands = first.shape[0]
    s1, s2 = np.empty(bands), np.empty(bands)
    stack = [(0, 0, labels.shape[0], labels.shape[1])]
    count = 0
    while stack:
        top, left, bottom, right = stack.pop()
        seen = number[bottom, right] - number[top, right] - number[bottom, left] + number[top, left]
        if seen == 0:
            continue
        size = (bottom - top) * (right - left)
        if seen == size:
            for band in range(bands):
                t1, t2 = first[band], second[band]
                s1[band] = t1[bottom, right] - t1[top, right] - t1[bottom, left] + t1[top, left]
                s2[band] = t2[bottom, right] - t2[top, right] - t2[bottom, left] + t2[top, left]
            if size == 1 or holds(kind, constants, seen, s1, s2):
                count += 1
                labels[top:bottom, left:right] = count
                continue
        middle, centre = (top + bottom + 1) // 2, (left + right + 1) // 2
        stack.append((top, left, middle, centre))
        if centre < right:
            stack.append((top, centre, middle, right))
        if middle < bottom:
            stack.append((middle, left, bottom, centre))
        if middle < bottom and centre < right:
            stack.append((middle, centre, bottom, right))
    return count


def _adjacent(labels: Labels) -> NDArray[np.int64]:
    """Pairs of labels that share a pixel side, each once, shape (pairs, 2)."""
    sides = [(labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])]
    one = np.concatenate([a.ravel() for a, _ in sides]).astype(np.int64)
    two = np.concatenate([b.ravel() for _, b in sides]).astype(np.int64)
    differ = (one != two) & (one > 0) & (two > 0)
    low, high = np.minimum(one, two)[differ], np.maximum(one, two)[differ]
    codes = np.unique(low * (labels.max() + 1) + high)
    return np.stack([codes // (labels.max() + 1), codes % (labels.max() + 1)], axis=1)


@numba.njit(cache=True, nogil=True)
def _neighbour_lists(
    pairs: NDArray[np.int64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Linked lists of neighbours: head of each region, next entry, neighbour of each entry."""
    head = np.full(count, -1, np.int64)
    following = np.full(2 * len(pairs), -1, np.int64)
    neighbour = np.empty(2 * len(pairs), np.int64)
    for index in range(len(pairs)):
        for side in range(2):
            entry = 2 * index + side
            neighbour[entry] = pairs[index, 1 - side]
            following[entry] = head[pairs[index, side]]
            head[pairs[index, side]] = entry
    return head, following, neighbour


@numba.njit(cache=True, nogil=True)
def _merge(pairs: NDArray[np.int64], n: Sums, s1: Sums, s2: Sums, kind: int, constants: Sums) -> NDArray[np.int64]:
    """Region each leaf ends up in. Queue entries carry the ages of both regions; those of a changed one are stale."""
    count = len(n)
    parent = np.arange(count).astype(np.int32)
    age = np.zeros(count, np.int64)
    head, following, neighbour = _neighbour_lists(pairs, count)
    mark = np.full(count, -1, np.int64)
    queue = [(0.0, 0, 0, np.int64(0), np.int64(0)) for _ in range(0)]
    for index in range(len(pairs)):
        i, j = int(pairs[index, 0]), int(pairs[index, 1])
        cost = merging_cost(kind, constants, n, s1, s2, i, j)
        if cost >= 0:
            heapq.heappush(queue, (cost, i, j, np.int64(0), np.int64(0)))
    merges = 0
    while queue:
        _, i, j, age_i, age_j = heapq.heappop(queue)
        if parent[i] != i or parent[j] != j or age[i] != age_i or age[j] != age_j:
            continue
        parent[j] = i
        n[i] += n[j]
        s1[i] += s1[j]
        s2[i] += s2[j]
        age[i] += 1
        merges += 1
        _join_lists(head, following, neighbour, parent, mark, i, j, merges)
        entry = head[i]
        while entry >= 0:
            k = int(neighbour[entry])
            cost = merging_cost(kind, constants, n, s1, s2, i, k)
            if cost >= 0:
                heapq.heappush(queue, (cost, i, k, age[i], age[k]))
            entry = following[entry]
    return roots(parent)


@numba.njit(cache=True, nogil=True)
def _join_lists(
    head: NDArray[np.int64],
    following: NDArray[np.int64],
    neighbour: NDArray[np.int64],
    parent: NDArray[np.int32],
    mark: NDArray[np.int64],
    i: int,
    j: int,
    stamp: int,
) -> None:
    """Neighbours of both under i, each once, merged ones by their present name."""
    kept = -1
    for source in (i, j):
        entry = head[source]
        while entry >= 0:
            after = following[entry]
            k = root(parent, neighbour[entry])
            if k != i and mark[k] != stamp:
                mark[k] = stamp
                neighbour[entry] = k
                following[entry] = kept
                kept = entry
            entry = after
    head[i] = kept


def _dense(merged: NDArray[np.int64], pixels: Sums, first: Sums) -> Regions:
    """Number regions 1 ... in order of their first pixel."""
    names, place = np.unique(merged, return_index=True)
    names = names[np.argsort(place, kind="stable")]
    names = names[names > 0]
    table = np.zeros(len(pixels), np.int32)
    table[names] = np.arange(1, len(names) + 1, dtype=np.int32)
    mean = first[names] / np.maximum(pixels[names], 1)[:, None]
    return Regions(labels=table[merged], pixels=pixels[names].astype(np.int64), mean=mean)
