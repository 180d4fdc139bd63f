"""Halos: blocks of a plane widened by the pixels of their neighbours."""

from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph


def with_halo(array: da.Array, halo_px: int, beyond: float | None = None) -> da.Array:
    """The array with each block widened by its neighbours' pixels.

    Args:
        array: dims (..., y, x), one chunk along the dims before y and x.
        halo_px: pixels that each side is widened by; at most the side of the smallest block.
        beyond: what lies beyond the edge of the plane; None: nothing, blocks at the edge are not widened there.

    Raises:
        ValueError: while computing, where a block is smaller than the halo it shall lend.

    A block hands copies of its rim to its neighbours. `dask.array.overlap` hands them views, which hold the whole block
    in memory until the last neighbour is done: four rows of blocks instead of one. And a block enters only when the
    block one row and `AHEAD` blocks before it is whole. Left to itself, Dask's order keeps several rows of a
    full scene open, as pieces of larger chunks; so it is one or two, whatever the height.
    """
    rows, columns = array.numblocks[-2:]
    if halo_px == 0 or (beyond is None and (rows, columns) == (1, 1)):
        return array
    leading = (0,) * (array.ndim - 2)
    kinds = ("halo", "rim", "entered", "whole")
    name, rim, entered, whole = (f"{kind}-{tokenize(array.name, halo_px, beyond)}" for kind in kinds)
    tasks: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for number, (row, column) in enumerate(np.ndindex(rows, columns)):
        place = (*leading, row, column)
        before = divmod(number - columns - AHEAD, columns)
        tasks[(entered, *place)] = (
            _entered,
            (array.name, *place),
            (whole, *leading, *before) if before[0] >= 0 else None,
        )
        tasks[(whole, *place)] = (_whole, (name, *place))
        tasks[(rim, *place)] = (_rim, (entered, *place), halo_px)
        beside = [
            (-down, -right, (rim, *leading, row + down, column + right))
            for down, right in NEIGHBOURS
            if 0 <= row + down < rows and 0 <= column + right < columns
        ]
        sides, keys = [pair[:2] for pair in beside], [pair[2] for pair in beside]
        tasks[(name, *place)] = (_widened, (entered, *place), sides, keys, halo_px, beyond)
    graph = HighLevelGraph.from_collections(name, tasks, dependencies=[array])
    return da.Array(graph, name, (*array.chunks[:-2], *_widened_chunks(array, halo_px, beyond)), array.dtype)


def _widened_chunks(array: da.Array, halo_px: int, beyond: float | None) -> list[tuple[int, ...]]:
    """Sizes of the blocks with their halo: inner blocks have one on both sides."""
    if beyond is not None:
        return [tuple(size + 2 * halo_px for size in sizes) for sizes in array.chunks[-2:]]
    return [
        tuple(size + halo_px * ((position > 0) + (position < len(sizes) - 1)) for position, size in enumerate(sizes))
        for sizes in array.chunks[-2:]
    ]


AHEAD = 4
"""Blocks that may be read beyond those that the next block to be finished needs: room for as many workers."""
NEIGHBOURS = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if (down, right) != (0, 0)]
"""Steps to the eight blocks around a block."""


def _side(step: int, halo_px: int) -> slice:
    """Pixels of an axis that lie on the side of a step: the first, all, or the last."""
    return (slice(None), slice(-halo_px, None), slice(halo_px))[step]


def _entered(block: npt.NDArray[Any], _after: None) -> npt.NDArray[Any]:
    """The block, as a copy where it is a piece of a larger one that would stay in memory with it."""
    return block if block.base is None else block.copy()


def _whole(_block: npt.NDArray[Any]) -> None:
    """Says that a block has its halo."""


def _rim(block: npt.NDArray[Any], halo_px: int) -> dict[tuple[int, int], npt.NDArray[Any]]:
    """Copies of a block's edges and corners, by the side they lie on (-1 first, 1 last pixels)."""
    if min(block.shape[-2:]) < halo_px:
        raise ValueError(f"A block of {block.shape[-2:]} pixels cannot lend a halo of {halo_px}.")
    return {(down, right): block[..., _side(down, halo_px), _side(right, halo_px)].copy() for down, right in NEIGHBOURS}


def _widened(
    block: npt.NDArray[Any],
    sides: list[tuple[int, int]],
    rims: list[dict[tuple[int, int], npt.NDArray[Any]]],
    halo_px: int,
    beyond: float | None,
) -> npt.NDArray[Any]:
    """A block and what its neighbours lend it; a neighbour's piece lies on that neighbour's side ``sides``."""
    everywhere = beyond is not None
    top, bottom, left, right = (everywhere or side in sides for side in ((1, 0), (-1, 0), (0, 1), (0, -1)))
    rows, columns = block.shape[-2:]
    shape = (rows + halo_px * (top + bottom), columns + halo_px * (left + right))
    out = np.full((*block.shape[:-2], *shape), beyond if everywhere else 0, dtype=block.dtype)
    start = (halo_px * top, halo_px * left)
    middle = (slice(start[0], start[0] + rows), slice(start[1], start[1] + columns))
    out[..., middle[0], middle[1]] = block
    for (down, across), rim in zip(sides, rims, strict=True):
        place = [middle[0], middle[1]]
        for axis, step in enumerate((down, across)):
            if step:
                place[axis] = slice(halo_px) if step > 0 else slice(shape[axis] - halo_px, None)
        out[..., place[0], place[1]] = rim[down, across]
    return out
