"""Which chips show the same ground or the same scene, so that a split may not part them.

A set cut out of a few scenes and shuffled into train and test leaks: a test chip's neighbour was trained on. Where the
set names no events, the pixels tell:

1. **Seams.** Two chips cut side by side from one image share a cut: the last column of one continues in the first
   column of the other. The correlation of the two edges, after taking out their smooth trend (so that any two lakes
   do not match), in **every** date's image, and only where each is the other's best match, finds neighbours whatever
   the contrast stretch of the chip was.
2. **Duplicates.** Overlapping copies of one picture correlate in their detail as a whole.
3. **Numbering.** Chips were numbered as they were cut: groups whose number ranges interlock belong together, and
   fragments of fewer than `SMALLEST` chips join the group next in number.

On OMBRIA's 694 chips every one of the 886 seams found at the default threshold joins chips that their numbers say are
neighbours (the next number, or at most 18 on: one row down), although numbers are not used to find them. They make 58
scenes, and 23 groups once interlocking number ranges are joined. All 70 chips of the published test split share a
group with published training chips.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter, uniform_filter1d
from scipy.sparse.csgraph import connected_components

SEAM_CORRELATION = 0.55
"""Least correlation of both edges of a seam, in every date: between true seams (0.6 and more) and the best chance match
(below 0.5) on OMBRIA."""
DUPLICATE_CORRELATION = 0.9
TREND_PX = 15
SMALLEST = 4


def seams(images: Sequence[NDArray[np.generic]]) -> NDArray[np.bool_]:
    """Which chips were cut side by side.

    Args:
        images: one array per date, dims (chip, y, x): the same chips in the same order.

    Returns:
        Dims (chip, chip), symmetric, False on the diagonal.
    """
    count = len(images[0])
    linked = np.zeros((count, count), bool)
    sides = (((..., -1), (..., 0)), ((slice(None), -1, slice(None)), (slice(None), 0, slice(None))))
    for last, first in sides:
        match = np.min([_edges(image[last]) @ _edges(image[first]).T for image in images], axis=0)
        np.fill_diagonal(match, -1)
        mutual = (match == match.max(axis=1, keepdims=True)) & (match == match.max(axis=0, keepdims=True))
        linked |= mutual & (match > SEAM_CORRELATION)
    return linked | linked.T


def _edges(lines: NDArray[np.generic]) -> NDArray[np.float64]:
    """Edges with their trend taken out, each of unit length, so that a product is a correlation."""
    numbers = lines.astype(np.float64)
    detail = numbers - uniform_filter1d(numbers, TREND_PX, axis=1, mode="nearest")
    detail -= detail.mean(axis=1, keepdims=True)
    unit: NDArray[np.float64] = detail / np.maximum(np.linalg.norm(detail, axis=1, keepdims=True), 1e-9)
    return unit


def duplicates(images: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Which chips show the same ground in the same image: their detail correlates as a whole; dims as `seams`.

    The chips are reduced 4 times and lose what is smoother than 36 stored pixels: else all even chips look alike.
    """
    count, height, width = images.shape
    reduced = images[:, : height // 4 * 4, : width // 4 * 4].astype(np.float32)
    reduced = reduced.reshape(count, height // 4, 4, width // 4, 4).mean(axis=(2, 4))
    detail = (reduced - uniform_filter(reduced, size=(0, 9, 9))).reshape(count, -1)
    detail -= detail.mean(axis=1, keepdims=True)
    detail /= np.maximum(np.linalg.norm(detail, axis=1, keepdims=True), 1e-9)
    alike: NDArray[np.bool_] = detail @ detail.T > DUPLICATE_CORRELATION
    np.fill_diagonal(alike, val=False)
    return alike


def groups(linked: NDArray[np.bool_], numbers: Sequence[int] | None = None) -> list[int]:
    """Group index of every chip: connected chips, joined further by interlocking number ranges where given.

    Groups are numbered in order of their first chip.

    Args:
        linked: (chip, chip) bool, symmetric: two chips that show the same ground or scene.
        numbers: the running number of each chip in its archive, where it has one.
    """
    _, labels = connected_components(linked, directed=False)
    if numbers is not None:
        # In order of number, so that the result does not depend on the order the chips came in.
        rank = np.argsort(numbers, kind="stable")
        ordered = np.asarray(numbers)[rank]
        labels[rank] = _join_fragments(_join_interlocking(labels[rank], ordered), ordered)
    order = {label: index for index, label in enumerate(dict.fromkeys(labels.tolist()))}
    return [order[label] for label in labels.tolist()]


def _join_interlocking(labels: NDArray[np.int32], numbers: NDArray[np.int_]) -> NDArray[np.int32]:
    """Sweep over number ranges; a range that starts before the running one ends belongs to it."""
    ranges = sorted(
        (numbers[labels == label].min(), numbers[labels == label].max(), label) for label in np.unique(labels)
    )
    joined = labels.copy()
    end, current = ranges[0][1], ranges[0][2]
    for first, last, label in ranges[1:]:
        if first < end:
            joined[labels == label] = current
        else:
            current = label
        end = max(end, last)
    return joined


def _join_fragments(labels: NDArray[np.int32], numbers: NDArray[np.int_]) -> NDArray[np.int32]:
    """Give each small group to the group of the nearest number outside it, smallest groups first."""
    joined = labels.copy()
    while True:
        found, sizes = np.unique(joined, return_counts=True)
        if len(found) == 1 or sizes.min() >= SMALLEST:
            return joined
        # Of equally small groups the one that begins first.
        candidates = found[sizes == sizes.min()]
        small = joined == min(candidates, key=lambda label: numbers[joined == label].min())
        distance = np.abs(numbers[small][:, None] - numbers[~small][None, :]).min(axis=0)
        joined[small] = joined[~small][distance.argmin()]
