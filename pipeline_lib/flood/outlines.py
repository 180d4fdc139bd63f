"""Outlines of raster objects: rings walked along pixel edges over a whole grid at once, so that there are no seams.

The grid is one bit a pixel (a country at 10 m is some 50 MB). A walk keeps its object's pixels on its right; where two
pixels meet only at a corner it stays with its own pixel, as 4-connected objects want. A walk that comes through one
corner twice is cut there into loops, so that a shell and a hole may touch in a point but no ring touches itself: every
polygon is valid by construction.
"""

import numba
import numpy as np
import shapely
from rasterio.transform import Affine

from pipeline_lib.flood.runs import Runs

EAST, SOUTH, WEST, NORTH = range(4)
_DOWN = np.array([0, 1, 0, -1])
_ACROSS = np.array([1, 0, -1, 0])
_AHEAD_RIGHT = np.array([[0, 0], [0, -1], [-1, -1], [-1, 0]])
"""Pixel ahead on the right of a walker at corner (r, c), by direction: offset of its row and column."""
_AHEAD_LEFT = np.array([[-1, 0], [0, 0], [0, -1], [-1, -1]])


class BitGrid:
    """A grid of bits with an empty border, and which upper pixel edges were walked."""

    def __init__(self, shape: tuple[int, int]) -> None:
        """Nothing set, nothing walked; ``shape`` is (rows, columns) of the grid."""
        self.bits = np.zeros((shape[0] + 2, (shape[1] + 2 + 7) // 8), np.uint8)
        self.walked = np.zeros_like(self.bits)
        self.vertices: list[np.ndarray] = []
        self.lengths: list[np.ndarray] = []
        self.owners: list[np.ndarray] = []

    def mark(self, runs: Runs, owner: np.ndarray, top: int, left: int) -> None:
        """Set the runs whose object has an owner (``owner[label] >= 0``); the window's corner lies at (top, left).

        ``owner`` holds a number for each object of ``runs``, -1 for none.
        """
        _mark(self.bits, runs.offsets, runs.start, runs.stop, owner[runs.label], top, left)

    def walk(self, runs: Runs, owner: np.ndarray, top: int, left: int) -> None:
        """Walk every ring that begins in the window and was not walked yet; all windows must be marked before.

        Arguments as in `mark`.
        """
        found = _walk(self.bits, self.walked, runs.offsets, runs.start, runs.stop, owner[runs.label], top, left)
        for kept, part in zip((self.vertices, self.lengths, self.owners), found, strict=True):
            kept.append(part)

    def polygons(self, count: int, transform: Affine) -> np.ndarray:
        """Polygon of each owner 0 to ``count`` - 1, in map coordinates.

        Args:
            count: number of owners.
            transform: from columns and rows of the grid to map coordinates.

        Returns:
            (owner) array of shapely polygons, or multipolygons.
        """
        if not count:
            return np.zeros(0, object)
        vertices, lengths = np.concatenate(self.vertices), np.concatenate(self.lengths)
        owners = np.concatenate(self.owners)
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        order = np.lexsort((~_is_shell(vertices, starts, lengths), owners))
        taken, offsets = _closed(starts[order], lengths[order])
        column, row = vertices[taken, 1].astype(np.float64), vertices[taken, 0].astype(np.float64)
        x, y = transform * (column, row)
        rings_of = np.searchsorted(owners[order], np.arange(count + 1))
        made: np.ndarray = shapely.from_ragged_array(
            shapely.GeometryType.POLYGON, np.column_stack([x, y]), (offsets, rings_of)
        )
        return made


def _is_shell(vertices: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Whether a ring runs clockwise on the picture: the sum over its horizontal edges, rows counted downwards."""
    following = np.arange(1, len(vertices) + 1)
    following[starts + lengths - 1] = starts
    row, column = vertices[:, 0].astype(np.int64), vertices[:, 1].astype(np.int64)
    shell: np.ndarray = np.add.reduceat(column * row[following] - column[following] * row, starts) > 0
    return shell


def _closed(starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of every vertex of every ring, the first again at the end; and where each ring begins in that list."""
    offsets = np.concatenate([[0], np.cumsum(lengths + 1)])
    taken = np.arange(offsets[-1]) - np.repeat(offsets[:-1] - starts, lengths + 1)
    taken[offsets[1:] - 1] = starts
    return taken, offsets


@numba.njit(nogil=True, cache=True)
def _mark(
    bits: np.ndarray, offsets: np.ndarray, start: np.ndarray, stop: np.ndarray, owner: np.ndarray, top: int, left: int
) -> None:
    """Set the bits of the runs that have an owner."""
    for r in range(offsets.size - 1):
        for run in range(offsets[r], offsets[r + 1]):
            if owner[run] >= 0:
                for c in range(left + start[run] + 1, left + stop[run] + 1):
                    bits[top + r + 1, c >> 3] |= np.uint8(1 << (c & 7))


@numba.njit(nogil=True, cache=True)
def _is_set(bits: np.ndarray, r: int, c: int) -> bool:
    """Pixel (r, c) of the grid; the border is clear."""
    return bool((bits[r + 1, (c + 1) >> 3] >> ((c + 1) & 7)) & 1)


@numba.njit(nogil=True, cache=True)
def _walk(
    bits: np.ndarray,
    walked: np.ndarray,
    offsets: np.ndarray,
    start: np.ndarray,
    stop: np.ndarray,
    owner: np.ndarray,
    top: int,
    left: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices (row, column), length and owner of every ring that begins at an upper edge of these runs."""
    vertices, used = np.empty((1024, 2), np.int32), 0
    lengths, owners, rings = np.empty(256, np.int64), np.empty(256, np.int64), 0
    for r in range(offsets.size - 1):
        for run in range(offsets[r], offsets[r + 1]):
            if owner[run] < 0:
                continue
            for c in range(left + start[run], left + stop[run]):
                if _is_set(bits, top + r - 1, c) or _is_set(walked, top + r, c):
                    continue
                vertices, end, corners = _ring(bits, walked, top + r, c, vertices, used)
                loops = np.full(1, end - used, np.int64)
                if corners > 1:
                    vertices[used:end], loops = _loops(vertices[used:end].copy())
                used = end
                for length in loops:
                    if rings == lengths.size:
                        lengths = np.concatenate((lengths, np.empty_like(lengths)))
                        owners = np.concatenate((owners, np.empty_like(owners)))
                    lengths[rings], owners[rings] = length, owner[run]
                    rings += 1
    return vertices[:used].copy(), lengths[:rings].copy(), owners[:rings].copy()


@numba.njit(nogil=True, cache=True)
def _ring(
    bits: np.ndarray, walked: np.ndarray, r: int, c: int, vertices: np.ndarray, used: int
) -> tuple[np.ndarray, int, int]:
    """Walk from the upper left corner of pixel (r, c) east and around; corners where another pixel is met are counted.

    Returns the vertices with the ring's own appended from ``used`` on, where they end, and the count.
    """
    first_r, first_c, heading, corners = r, c, EAST, 0
    while True:
        if heading == EAST:
            walked[r + 1, (c + 1) >> 3] |= np.uint8(1 << ((c + 1) & 7))
        r, c = r + _DOWN[heading], c + _ACROSS[heading]
        on_right = _is_set(bits, r + _AHEAD_RIGHT[heading, 0], c + _AHEAD_RIGHT[heading, 1])
        on_left = _is_set(bits, r + _AHEAD_LEFT[heading, 0], c + _AHEAD_LEFT[heading, 1])
        if not on_right:
            turn = 1
            corners += on_left
        elif on_left:
            turn = 3
        else:
            turn = 0
        heading = (heading + turn) & 3
        if turn:
            if used == len(vertices):
                vertices = np.concatenate((vertices, np.empty_like(vertices)))
            vertices[used, 0], vertices[used, 1] = r, c
            used += 1
        if r == first_r and c == first_c and heading == EAST:
            return vertices, used, corners


@numba.njit(nogil=True, cache=True)
def _loops(ring: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut a ring wherever it comes through a corner again: its loops one after the other, and the length of each."""
    count = len(ring)
    key = ring[:, 0].astype(np.int64) * (2**32) + ring[:, 1]
    order = np.argsort(key, kind="mergesort")
    same = np.empty(count, np.int64)  # first visit of the same corner
    for i in range(count):
        again = i > 0 and key[order[i]] == key[order[i - 1]]
        same[order[i]] = same[order[i - 1]] if again else order[i]
    depth_of, stack, depth = np.full(count, -1, np.int64), np.empty(count, np.int64), 0
    cut, lengths = np.empty_like(ring), [0][:0]
    done = 0
    for i in range(count):
        back = depth_of[same[i]]
        if back >= 0:
            for k in range(back, depth):
                cut[done] = ring[stack[k]]
                done += 1
                depth_of[same[stack[k]]] = -1
            lengths.append(depth - back)
            depth = back
        stack[depth], depth_of[same[i]] = i, depth
        depth += 1
    for k in range(depth):
        cut[done] = ring[stack[k]]
        done += 1
    lengths.append(depth)
    return cut, np.array(lengths)
