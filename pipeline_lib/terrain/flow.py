"""Where water would flow: priority-flood over depressions, D8 directions, upstream area.

References:
    Barnes, Lehman & Mulla 2014, Priority-flood, Computers & Geosciences 62, 117-127 (algorithms 2 and 5).
    O'Callaghan & Mark 1984, The extraction of drainage networks from digital elevation data, CVGIP 28, 323-344 (D8).
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

OUTLET = np.int8(-1)
"""Direction of a pixel from which water leaves the raster or enters sea or a void."""
UNKNOWN = np.int8(-2)
"""Direction of a pixel without elevation."""

STEP_Y = np.array([-1, -1, -1, 0, 0, 1, 1, 1])
STEP_X = np.array([-1, 0, 1, -1, 1, -1, 0, 1])


def flow_directions(
    elevation: NDArray[np.float32], height: float, width: float
) -> tuple[NDArray[np.int8], NDArray[np.int32]]:
    """Direction of flow of every pixel, and an order in which every pixel comes after the one it flows to.

    Depressions are flooded up to their spill; within them and on flats, water takes the way by which the flood came,
    elsewhere the steepest descent. There are no loops and no sinks: every known pixel reaches an outlet.

    Args:
        elevation: (y, x) float32, metres, NaN = unknown.
        height: of a pixel, metres.
        width: of a pixel, metres.

    Returns:
        directions (y, x) int8: index into `STEP_Y`, `STEP_X`, or `OUTLET`, or `UNKNOWN`; and the flat indices of the
        known pixels, downstream first.
    """
    z = np.ascontiguousarray(elevation, np.float32)
    directions = np.full(z.shape, UNKNOWN, np.int8)
    order = np.empty(int(np.isfinite(z).sum()), np.int32)
    filled = z.copy()
    _flood(filled, directions, order)
    _steepest(filled, directions, height, width)
    return directions, order


def upstream_area(directions: NDArray[np.int8], order: NDArray[np.int32]) -> NDArray[np.float32]:
    """Pixels that flow through each pixel, itself included: (y, x) float32, 0 where unknown."""
    area = np.zeros(directions.shape, np.float32)
    _accumulate(directions, order, area)
    return area


def drain_elevation(
    elevation: NDArray[np.float32], directions: NDArray[np.int8], order: NDArray[np.int32], drainage: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Elevation of the first drainage pixel (or outlet) down the flow from each pixel; NaN where unknown.

    Args:
        elevation: (y, x) metres.
        directions: (y, x) of `flow_directions`.
        order: of the known pixels, each after the one it flows to.
        drainage: (y, x), true on channels.
    """
    reference = np.full(elevation.shape, np.nan, np.float32)
    _follow(np.ascontiguousarray(elevation, np.float32), directions, order, drainage, reference)
    return reference


@njit(cache=True, nogil=True)
def _push(keys: Any, values: Any, size: Any, key: Any, value: Any) -> Any:  # pragma: no cover - compiled
    i = size
    while i > 0:
        parent = (i - 1) >> 1
        if keys[parent] < key or (keys[parent] == key and values[parent] <= value):
            break
        keys[i], values[i] = keys[parent], values[parent]
        i = parent
    keys[i], values[i] = key, value
    return size + 1


@njit(cache=True, nogil=True)
def _pop(keys: Any, values: Any, size: Any) -> Any:  # pragma: no cover - compiled
    """Remove the least (key, value) from the top; the caller has read it."""
    size -= 1
    key, value = keys[size], values[size]
    i = 0
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        right = child + 1
        if right < size and (
            keys[right] < keys[child] or (keys[right] == keys[child] and values[right] < values[child])
        ):
            child = right
        if key < keys[child] or (key == keys[child] and value <= values[child]):
            break
        keys[i], values[i] = keys[child], values[child]
        i = child
    keys[i], values[i] = key, value
    return size


@njit(cache=True, nogil=True)
def _seed(z: Any, directions: Any, keys: Any, values: Any) -> Any:  # pragma: no cover - compiled
    """Put every pixel at the raster's edge or beside an unknown one into the heap, as an outlet."""
    rows, columns = z.shape
    size = 0
    for i in range(rows):
        for j in range(columns):
            if np.isnan(z[i, j]):
                continue
            edge = i == 0 or j == 0 or i == rows - 1 or j == columns - 1
            for k in range(8):
                if edge:
                    break
                edge = np.isnan(z[i + STEP_Y[k], j + STEP_X[k]])
            if edge:
                directions[i, j] = OUTLET
                size = _push(keys, values, size, z[i, j], i * columns + j)
    return size


@njit(cache=True, nogil=True)
def _flood(z: Any, directions: Any, order: Any) -> None:  # pragma: no cover - compiled
    """Priority-flood: raise depressions in ``z`` in place, point every pixel to where the flood came from."""
    rows, columns = z.shape
    keys, values = np.empty(len(order) + 1, np.float32), np.empty(len(order) + 1, np.int32)
    size = _seed(z, directions, keys, values)
    queue_start = queue_end = done = 0  # the queue of flooded pixels lives in ``order`` itself: popped ones stay there
    while queue_start < queue_end or size > 0:
        if queue_start == queue_end:
            order[done] = values[0]
            size = _pop(keys, values, size)
            queue_start, queue_end = done, done + 1
        cell = order[queue_start]
        queue_start += 1
        done = queue_end
        i, j = cell // columns, cell % columns
        level = z[i, j]
        for k in range(8):
            p, q = i + STEP_Y[k], j + STEP_X[k]
            if not (0 <= p < rows and 0 <= q < columns) or directions[p, q] != UNKNOWN or np.isnan(z[p, q]):
                continue
            directions[p, q] = 7 - k
            if z[p, q] <= level:
                z[p, q] = level
                order[queue_end] = p * columns + q
                queue_end += 1
                done = queue_end
            else:
                size = _push(keys, values, size, z[p, q], p * columns + q)


@njit(cache=True, nogil=True)
def _steepest(z: Any, directions: Any, height: Any, width: Any) -> None:  # pragma: no cover - compiled
    """Turn pixels that have a strictly lower neighbour to the steepest one; the order stays downstream first."""
    rows, columns = z.shape
    diagonal = np.sqrt(height * height + width * width)
    for i in range(1, rows - 1):
        for j in range(1, columns - 1):
            if directions[i, j] < 0:
                continue
            best = 0.0
            for k in range(8):
                step = height if STEP_X[k] == 0 else (width if STEP_Y[k] == 0 else diagonal)
                drop = (z[i, j] - z[i + STEP_Y[k], j + STEP_X[k]]) / step
                if drop > best:
                    best = drop
                    directions[i, j] = k


@njit(cache=True, nogil=True)
def _accumulate(directions: Any, order: Any, area: Any) -> None:  # pragma: no cover - compiled
    columns = directions.shape[1]
    for n in range(len(order) - 1, -1, -1):
        i, j = order[n] // columns, order[n] % columns
        area[i, j] += 1
        k = directions[i, j]
        if k >= 0:
            area[i + STEP_Y[k], j + STEP_X[k]] += area[i, j]


@njit(cache=True, nogil=True)
def _follow(z: Any, directions: Any, order: Any, drainage: Any, reference: Any) -> None:  # pragma: no cover - compiled
    columns = directions.shape[1]
    for n in range(len(order)):
        i, j = order[n] // columns, order[n] % columns
        k = directions[i, j]
        if k < 0 or drainage[i, j]:
            reference[i, j] = z[i, j]
        else:
            reference[i, j] = reference[i + STEP_Y[k], j + STEP_X[k]]
