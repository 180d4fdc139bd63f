"""Region growing with hysteresis over a scene of any size, in bounded memory.

A region is a connected set of pixels at or above the tolerance; it is kept if it holds a seed (a pixel at or above the
seed level) and is not too small. That is `skimage.filters.apply_hysteresis_threshold` with a minimum size. Blocks are
labelled one by one; regions that touch a block's border are joined by union-find over all blocks' borders, of which
only the edge pixels are held. The blocks are then worked out again, with the verdicts known: the price of bounded
memory is that the input is computed twice.
"""

from dataclasses import dataclass

import dask
import dask.array as da
import numba
import numpy as np
import numpy.typing as npt
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph

from pipeline_lib.union_find import root as root_of
from pipeline_lib.union_find import roots as roots_of
from pipeline_lib.union_find import unite
from pipeline_lib.water.plane import Plane

Labels = npt.NDArray[np.int32]


KEPT_BYTES = 1_300_000_000
"""Values of scenes up to this size are worked out once and kept; those of larger ones are worked out twice, and where
inputs are many take more memory. A whole IW scene on a grid that lies north up has some 620 Mpx, of two bytes each."""


def kept_if_small(values: da.Array) -> da.Array:
    """The values in memory where the scene is small enough, so that the second visit finds them."""
    return values.persist() if values.nbytes <= KEPT_BYTES else values


@dataclass(frozen=True, kw_only=True)
class GrowingRule:
    """When a region is kept."""

    seed: float
    """A kept region holds at least one pixel with at least this value."""
    tolerance: float
    """A region's pixels have at least this value."""
    min_pixels: int = 1
    """Smaller regions are dropped."""


@numba.njit(nogil=True, cache=True)
def _neighbour_label(labels: Labels, parent: Labels, y: int, x: int) -> int:
    """Label of the neighbours met before (left and the three above), united; 0 where there is none."""
    label: int = labels[y, x - 1] if x > 0 else 0
    if y > 0:
        for shift in range(max(0, x - 1), min(labels.shape[1], x + 2)):
            above = labels[y - 1, shift]
            if above > 0 and above != label:
                label = above if label == 0 else unite(parent, label, above)
    return label


@numba.njit(nogil=True, cache=True)
def _provisional(values: Plane, tolerance: float) -> tuple[Labels, Labels, int]:
    """First visit: a label for each pixel, and which labels are the same."""
    rows, columns = values.shape
    labels = np.zeros((rows, columns), dtype=np.int32)
    parent = np.zeros(rows * ((columns + 1) // 2) + 2, dtype=np.int32)
    used = 0
    for y in range(rows):
        for x in range(columns):
            if values[y, x] >= tolerance:
                label = _neighbour_label(labels, parent, y, x)
                if label == 0:
                    used += 1
                    parent[used] = used
                    label = used
                labels[y, x] = label
    return labels, parent, used


@numba.njit(nogil=True, cache=True)
def _label(values: Plane, tolerance: float) -> tuple[Labels, int]:
    """Label 8-connected pixels at or above the tolerance: 0 outside, 1 ... n in order of the first pixel met."""
    labels, parent, used = _provisional(values, tolerance)
    dense = np.zeros(used + 1, dtype=np.int32)
    number = 0
    for label in range(1, used + 1):
        root = root_of(parent, label)
        if root == label:
            number += 1
            dense[label] = number
        else:
            dense[label] = dense[root]
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            if labels[y, x] > 0:
                labels[y, x] = dense[labels[y, x]]
    return labels, number


@numba.njit(nogil=True, cache=True)
def _measure(
    values: Plane, labels: Labels, number: int, seed: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Size of each region, and whether it holds a seed; index 0 is the outside."""
    size = np.zeros(number + 1, dtype=np.int64)
    seeded = np.zeros(number + 1, dtype=np.bool_)
    for y in range(values.shape[0]):
        for x in range(values.shape[1]):
            label = labels[y, x]
            if label > 0:
                size[label] += 1
                if values[y, x] >= seed:
                    seeded[label] = True
    return size, seeded


@dataclass(frozen=True)
class _Border:
    """What the rest of the scene must know of a block: its edge, in labels numbered among the edge's regions."""

    edges: tuple[Labels, Labels, Labels, Labels]
    """Top, bottom, left, right; 0 = outside, k = the edge's k-th region."""
    size: npt.NDArray[np.int64]
    seeded: npt.NDArray[np.bool_]


def _edges(labels: Labels) -> tuple[Labels, tuple[Labels, Labels, Labels, Labels]]:
    """Labels that touch the edge, and the four edges in positions among them (0 = outside)."""
    sides = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    touching = np.unique(np.concatenate(sides))
    touching = touching[touching > 0]
    top, bottom, left, right = (
        np.where(side > 0, np.searchsorted(touching, side) + 1, 0).astype(np.int32) for side in sides
    )
    return touching, (top, bottom, left, right)


def _border(values: Plane, rule: GrowingRule) -> _Border:
    """First visit: label a block, keep its edge."""
    labels, number = _label(np.asarray(values), rule.tolerance)
    size, seeded = _measure(np.asarray(values), labels, number, rule.seed)
    touching, edges = _edges(labels)
    return _Border(edges, size[touching], seeded[touching])


@dataclass(frozen=True)
class _Regions:
    """Size and seed of the regions at a block's edge, counted over the whole scene."""

    size: npt.NDArray[np.int64]
    seeded: npt.NDArray[np.bool_]


def _measured(
    values: Plane, regions: _Regions, rule: GrowingRule
) -> tuple[Labels, npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Second visit: label again; size and seed of each region over the whole scene."""
    labels, number = _label(np.asarray(values), rule.tolerance)
    size, seeded = _measure(np.asarray(values), labels, number, rule.seed)
    touching, _ = _edges(labels)
    size[touching], seeded[touching] = regions.size, regions.seeded
    return labels, size, seeded


def _decide(values: Plane, regions: _Regions, rule: GrowingRule) -> npt.NDArray[np.bool_]:
    """Whether each pixel's region is kept."""
    labels, size, seeded = _measured(values, regions, rule)
    kept = seeded & (size >= rule.min_pixels)
    kept[0] = False
    answer: npt.NDArray[np.bool_] = kept[labels]
    return answer


def _sizes(values: Plane, regions: _Regions, rule: GrowingRule) -> npt.NDArray[np.int64]:
    """Size of each pixel's region, 0 outside."""
    labels, size, _ = _measured(values, regions, rule)
    size[0] = 0
    answer: npt.NDArray[np.int64] = size[labels]
    return answer


def grow(values: da.Array, rule: GrowingRule) -> da.Array:
    """Pixels of the regions that are kept: bool (y, x), in the blocks of the values.

    Reads the values once at the call (block edges are remembered, nothing else) and once more when the answer is
    computed. The answer does not depend on the blocks.

    Args:
        values: float32 (y, x), the more the likelier; NaN belongs to no region. Must give the same each time.
        rule: seed, tolerance, minimum size.
    """
    return da.map_blocks(_decide, values, _survey(values, rule), rule=rule, dtype=bool, meta=np.empty((0, 0), bool))


def region_sizes(values: da.Array, tolerance: float) -> da.Array:
    """Pixels of the connected region that each pixel belongs to: int64 (y, x), 0 below the tolerance.

    Reads the values twice, as `grow` does.
    """
    rule = GrowingRule(seed=tolerance, tolerance=tolerance)
    meta = np.empty((0, 0), dtype=np.int64)
    return da.map_blocks(_sizes, values, _survey(values, rule), rule=rule, dtype=np.int64, meta=meta)


def _survey(values: da.Array, rule: GrowingRule) -> da.Array:
    """Visit every block for its edge, and join the edges.

    Returns:
        An array in the blocks of the values of which each block is its `_Regions`. They are data, not the answer of a
        task that every block waits for: Dask comes to such a one last, and keeps all that it could be needed for.
    """
    counts = values.numblocks
    delayed = values.to_delayed()
    tasks = [dask.delayed(_border)(delayed[place], rule) for place in np.ndindex(*counts)]
    whole = _joined(dict(zip(np.ndindex(*counts), dask.compute(*tasks), strict=True)), counts)
    name = f"regions-{tokenize(values.name, rule)}"
    graph = HighLevelGraph.from_collections(name, {(name, *place): regions for place, regions in whole.items()})
    return da.Array(graph, name, values.chunks, meta=np.empty((0, 0), dtype=object))


def _joined(borders: dict[tuple[int, ...], _Border], counts: tuple[int, ...]) -> dict[tuple[int, ...], _Regions]:
    """Join the edges' regions over all blocks; sizes and seeds of the joined regions, block by block."""
    starts, total = {}, 0
    for place, border in borders.items():
        starts[place] = total
        total += len(border.size)
    parent = np.arange(total, dtype=np.int32)
    for (row, column), border in borders.items():
        here = starts[row, column]
        _, bottom, _, right = (np.where(edge > 0, edge + here - 1, -1) for edge in border.edges)
        if column + 1 < counts[1]:
            _join(parent, right, _shifted(borders, starts, (row, column + 1), side=2))
        if row + 1 < counts[0]:
            _join(parent, bottom, _shifted(borders, starts, (row + 1, column), side=0))
            for beside, corner in ((-1, bottom[:1]), (1, bottom[-1:])):
                if 0 <= column + beside < counts[1]:
                    diagonal = _shifted(borders, starts, (row + 1, column + beside), side=0)
                    _join(parent, corner, diagonal[-1:] if beside < 0 else diagonal[:1])
    roots = roots_of(parent)
    size = np.zeros(total, dtype=np.int64)
    seeded = np.zeros(total, dtype=bool)
    if total:
        np.add.at(size, roots, np.concatenate([border.size for border in borders.values()]))
        np.logical_or.at(seeded, roots, np.concatenate([border.seeded for border in borders.values()]))
    ranges = {place: roots[starts[place] : starts[place] + len(border.size)] for place, border in borders.items()}
    return {place: _Regions(size[members], seeded[members]) for place, members in ranges.items()}


def _shifted(
    borders: dict[tuple[int, ...], _Border], starts: dict[tuple[int, ...], int], place: tuple[int, int], side: int
) -> Labels:
    """One edge of a block in scene-wide numbers, -1 outside."""
    edge = borders[place].edges[side]
    return np.where(edge > 0, edge + starts[place] - 1, -1).astype(np.int32)


@numba.njit(nogil=True, cache=True)
def _join(parent: Labels, one: Labels, other: Labels) -> None:
    """Unite regions whose edge pixels touch, diagonals included."""
    for position in range(one.size):
        if one[position] < 0:
            continue
        for beside in range(max(0, position - 1), min(other.size, position + 2)):
            if other[beside] >= 0:
                unite(parent, one[position], other[beside])
