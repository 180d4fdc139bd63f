"""Where water runs: priority flood, flow accumulation and height above nearest drainage, on one outlet.

The library's own hydrology (`pipeline_lib.terrain`) is what maps floods and is tested against this world; so the world
does not use it, and an error there cannot hide here.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from pipeline_lib.world.noise import Field

Cells = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Drainage:
    """The drainage tree of a surface; flat indices, shape (y, x) raveled."""

    order: Cells
    """Cells from the outlet upstream: every cell comes after the one it drains to."""
    parent: Cells
    """The cell each cell drains to; the outlets drain to themselves."""
    filled: Field
    """The surface with its pits filled to their spill level, (y, x)."""


def drain(surface: Field, outlet: Mask) -> Drainage:
    """Priority flood from the outlet cells over 8 neighbours; the map's edge is a wall.

    References:
        Barnes, Lehman, Mulla 2014, Priority-flood, Computers & Geosciences 62, algorithm 4.
    """
    filled, order, parent = _priority_flood(np.ascontiguousarray(surface, np.float32), np.flatnonzero(outlet))
    return Drainage(order=order, parent=parent, filled=filled)


def accumulation(drainage: Drainage) -> Cells:
    """Number of cells that drain through each cell, itself included, (y, x)."""
    return np.asarray(_accumulate(drainage.order, drainage.parent).reshape(drainage.filled.shape))


def height_above_nearest_drainage(surface: Field, drainage: Drainage, channel: Mask, *, smooth_px: float) -> Field:
    """HAND: height of each cell above the channel cell that it drains to, metres, (y, x).

    The channel's elevation as carried up the tree jumps at divides between neighbouring flow paths of a flat
    floodplain; a real water surface does not, so it is smoothed by ``smooth_px`` pixels first.

    References:
        Rennó et al. 2008, HAND, Remote Sensing of Environment 112(9), section 2.
    """
    base = _carry(surface.ravel(), drainage.order, drainage.parent, channel.ravel()).reshape(surface.shape)
    if smooth_px > 0:
        base = gaussian_filter(base, smooth_px, mode="nearest")
    return np.asarray(surface - base, dtype=np.float32)


@njit(cache=True)
def _push(keys: Field, cells: Cells, count: int, key: float, cell: int) -> int:  # pragma: no cover - compiled
    """Insert into a binary heap kept in two arrays; return the new count."""
    child = count
    while child > 0:
        above = (child - 1) >> 1
        if keys[above] <= key:
            break
        keys[child], cells[child] = keys[above], cells[above]
        child = above
    keys[child], cells[child] = key, cell
    return count + 1


@njit(cache=True)
def _sink(keys: Field, cells: Cells, count: int) -> int:  # pragma: no cover - compiled
    """Remove the top of the heap of ``count`` entries (the caller has read it)."""
    key, cell = keys[count - 1], cells[count - 1]
    count -= 1
    place = 0
    while True:
        child = 2 * place + 1
        if child >= count:
            break
        if child + 1 < count and keys[child + 1] < keys[child]:
            child += 1
        if keys[child] >= key:
            break
        keys[place], cells[place] = keys[child], cells[child]
        place = child
    keys[place], cells[place] = key, cell
    return count


@njit(cache=True)
def _priority_flood(surface: Field, outlets: Cells) -> tuple[Field, Cells, Cells]:  # pragma: no cover - compiled
    """Visit every cell in order of the lowest level by which water can leave it."""
    rows, columns = surface.shape
    flat = surface.ravel()
    filled = flat.copy()
    parent = np.full(flat.size, -1, np.int64)
    order = np.empty(flat.size, np.int64)
    keys, cells = np.empty(flat.size, np.float32), np.empty(flat.size, np.int64)
    count = 0
    for outlet in outlets:
        parent[outlet] = outlet
        count = _push(keys, cells, count, flat[outlet], outlet)
    visited = 0
    while count > 0:
        level, cell = keys[0], cells[0]
        count = _sink(keys, cells, count)
        order[visited] = cell
        visited += 1
        row, column = cell // columns, cell % columns
        for down in range(-1, 2):
            for right in range(-1, 2):
                y, x = row + down, column + right
                if y < 0 or y >= rows or x < 0 or x >= columns:
                    continue
                near = y * columns + x
                if parent[near] >= 0:
                    continue
                parent[near] = cell
                filled[near] = max(flat[near], level)
                count = _push(keys, cells, count, filled[near], near)
    return filled.reshape(rows, columns), order[:visited], parent


@njit(cache=True)
def _accumulate(order: Cells, parent: Cells) -> Cells:  # pragma: no cover - compiled
    """Sum cells down the tree, from the last visited to the outlet."""
    total = np.ones(parent.size, np.int64)
    for place in range(order.size - 1, -1, -1):
        cell = order[place]
        if parent[cell] != cell:
            total[parent[cell]] += total[cell]
    return total


@njit(cache=True)
def _carry(surface: Field, order: Cells, parent: Cells, channel: Mask) -> Field:  # pragma: no cover - compiled
    """Carry the elevation of channel cells up the tree."""
    base = surface.copy()
    for cell in order:
        if not channel[cell] and parent[cell] != cell:
            base[cell] = base[parent[cell]]
    return base
