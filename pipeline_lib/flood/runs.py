"""Objects of a mask as runs of pixels: found, labelled and summed a window at a time.

A run is a stretch of set pixels within a row. Runs are some hundred times fewer than pixels, so what is known of a
whole country's flood fits into memory while its rasters do not.
"""

from typing import NamedTuple

import numba
import numpy as np

from pipeline_lib.union_find import root, unite

NO_CLASSES = np.empty((0, 0), np.uint8)
"""Where every pixel counts, whatever its class."""


class Runs(NamedTuple):
    """Runs of one window, row by row."""

    offsets: np.ndarray
    """int32 (rows + 1): runs of row r are ``offsets[r]`` to ``offsets[r + 1]``."""
    start: np.ndarray
    """int32: first column of each run."""
    stop: np.ndarray
    """int32: column after its last."""
    label: np.ndarray
    """int32: 4-connected object of each run, from 0."""
    objects: int
    """Objects in the window."""


def runs_of(mask: np.ndarray) -> Runs:
    """Runs of the set pixels of a bool or uint8 mask (y, x), labelled by 4-connected object."""
    offsets, start, stop = _find(mask.view(np.uint8))
    label, count = _label(offsets, start, stop)
    return Runs(offsets, start, stop, label, count)


def sum_runs(runs: Runs, values: np.ndarray) -> np.ndarray:
    """Sum of ``values`` (y, x) over the pixels of each object, float64 (count,)."""
    return np.asarray(_sum(*runs, values, NO_CLASSES, -1))


def sum_areas(runs: Runs, column_area: np.ndarray, classes: np.ndarray, code: int) -> np.ndarray:
    """Sum of ``column_area`` (x,) over the pixels of each object whose class is ``code`` (any where negative)."""
    values = np.broadcast_to(column_area, (runs.offsets.size - 1, column_area.size))
    return np.asarray(_sum(*runs, values, classes, code))


def extremes(runs: Runs, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest of ``values`` (y, x) over the pixels of each object, int64 (count,)."""
    low, high = _extremes(*runs, values)
    return np.asarray(low), np.asarray(high)


def edge_labels(runs: Runs, shape: tuple[int, int], side: str) -> np.ndarray:
    """Object + 1 of each pixel along a side ("top", "bottom", "left", "right") of the window; 0 where none is set.

    The result has the length of that side: columns for top and bottom, rows for left and right.
    """
    rows, columns = shape
    if side in {"top", "bottom"}:
        row = 0 if side == "top" else rows - 1
        line = np.zeros(columns, np.int64)
        for run in range(runs.offsets[row], runs.offsets[row + 1]):
            line[runs.start[run] : runs.stop[run]] = runs.label[run] + 1
        return line
    line = np.zeros(rows, np.int64)
    row_of = np.repeat(np.arange(rows), np.diff(runs.offsets))
    touching = runs.start == 0 if side == "left" else runs.stop == columns
    line[row_of[touching]] = runs.label[touching] + 1
    return line


@numba.njit(nogil=True, cache=True)
def _find(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Offsets, starts and stops of the runs."""
    rows, columns = mask.shape
    offsets = np.zeros(rows + 1, np.int32)
    for r in range(rows):
        count, before = 0, False
        for c in range(columns):
            now = mask[r, c] != 0
            count += now and not before
            before = now
        offsets[r + 1] = offsets[r] + count
    start, stop = np.empty(offsets[rows], np.int32), np.empty(offsets[rows], np.int32)
    for r in range(rows):
        run, before = offsets[r] - 1, False
        for c in range(columns):
            now = mask[r, c] != 0
            if now and not before:
                run += 1
                start[run] = c
            if now:
                stop[run] = c + 1
            before = now
    return offsets, start, stop


@numba.njit(nogil=True, cache=True)
def _label(offsets: np.ndarray, start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, int]:
    """Join runs that share a side with one of the row above; number the objects in order of their first run."""
    parent = np.arange(start.size).astype(np.int32)
    for r in range(1, offsets.size - 1):
        above, here = offsets[r - 1], offsets[r]
        while above < offsets[r] and here < offsets[r + 1]:
            if start[above] < stop[here] and start[here] < stop[above]:
                unite(parent, above, here)
            if stop[above] < stop[here]:
                above += 1
            else:
                here += 1
    label, count = np.empty(start.size, np.int32), 0
    for run in range(start.size):
        first = root(parent, run)
        if first == run:
            label[run] = count
            count += 1
        else:
            label[run] = label[first]
    return label, count


@numba.njit(nogil=True, cache=True)
def _sum(
    offsets: np.ndarray,
    start: np.ndarray,
    stop: np.ndarray,
    label: np.ndarray,
    count: int,
    values: np.ndarray,
    classes: np.ndarray,
    code: int,
) -> np.ndarray:
    """Sum over each object's pixels of one class, over all its pixels where ``code`` is negative."""
    total = np.zeros(count)
    for r in range(offsets.size - 1):
        for run in range(offsets[r], offsets[r + 1]):
            part = 0.0
            for c in range(start[run], stop[run]):
                if code < 0 or classes[r, c] == code:
                    part += values[r, c]
            total[label[run]] += part
    return total


@numba.njit(nogil=True, cache=True)
def _extremes(
    offsets: np.ndarray, start: np.ndarray, stop: np.ndarray, label: np.ndarray, count: int, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest value over each object."""
    low, high = np.full(count, 2**62, np.int64), np.full(count, -(2**62), np.int64)
    for r in range(offsets.size - 1):
        for run in range(offsets[r], offsets[r + 1]):
            owner = label[run]
            for c in range(start[run], stop[run]):
                value = np.int64(values[r, c])
                low[owner] = min(low[owner], value)
                high[owner] = max(high[owner], value)
    return low, high
