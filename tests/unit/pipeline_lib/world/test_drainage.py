"""Drainage against literal twins and a second library."""

import heapq

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.morphology import reconstruction

from pipeline_lib.world.drainage import accumulation, drain, height_above_nearest_drainage

NEAR = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0)]


def surface_of(seed, shape=(14, 17)):
    return np.random.default_rng(seed).normal(50, 4, shape).astype(np.float32)


def corner(shape):
    outlet = np.zeros(shape, bool)
    outlet[0, 0] = True
    return outlet


def slow_fill(surface, outlet):
    """Lowest level over which water leaves each cell, by Dijkstra on the highest step of a path."""
    level = np.full(surface.shape, np.inf, np.float32)
    queue = [(float(surface[place]), place) for place in zip(*np.nonzero(outlet), strict=True)]
    for height, place in queue:
        level[place] = height
    heapq.heapify(queue)
    while queue:
        height, (y, x) = heapq.heappop(queue)
        if height > level[y, x]:
            continue
        for a, b in NEAR:
            v, w = y + a, x + b
            if 0 <= v < surface.shape[0] and 0 <= w < surface.shape[1]:
                through = max(height, float(surface[v, w]))
                if through < level[v, w]:
                    level[v, w] = through
                    heapq.heappush(queue, (through, (v, w)))
    return level


@given(st.integers(0, 2**31))
def test_fill_is_the_lowest_way_out(seed):
    surface = surface_of(seed)
    tree = drain(surface, corner(surface.shape))
    assert np.array_equal(tree.filled, slow_fill(surface, corner(surface.shape)))


@given(st.integers(0, 2**31))
def test_fill_is_morphological_reconstruction(seed):
    surface = surface_of(seed)
    outlet = corner(surface.shape)
    marker = np.where(outlet, surface, surface.max())
    assert np.allclose(
        drain(surface, outlet).filled, reconstruction(marker, surface, method="erosion", footprint=np.ones((3, 3)))
    )


@given(st.integers(0, 2**31))
def test_the_tree_reaches_every_cell_downhill(seed):
    surface = surface_of(seed)
    tree = drain(surface, corner(surface.shape))
    place = np.empty(surface.size, int)
    place[tree.order] = np.arange(surface.size)
    assert sorted(tree.order) == list(range(surface.size))
    inner = tree.parent != np.arange(surface.size)
    assert inner.sum() == surface.size - 1
    assert (place[tree.parent[inner]] < place[inner.nonzero()[0]]).all()
    filled = tree.filled.ravel()
    assert (filled[tree.parent] <= filled).all()
    rows, columns = np.divmod(np.arange(surface.size), surface.shape[1])
    assert (np.abs(rows - rows[tree.parent]) <= 1).all()
    assert (np.abs(columns - columns[tree.parent]) <= 1).all()


def test_accumulation_counts_upstream_cells():
    surface = surface_of(4)
    tree = drain(surface, corner(surface.shape))
    counts = np.zeros(surface.size, int)
    for cell in range(surface.size):
        counts[cell] += 1
        while tree.parent[cell] != cell:
            cell = tree.parent[cell]  # noqa: PLW2901
            counts[cell] += 1
    assert np.array_equal(accumulation(tree).ravel(), counts)
    assert accumulation(tree)[0, 0] == surface.size


def test_hand_is_height_above_the_channel_reached():
    surface = surface_of(9, (20, 20))
    tree = drain(surface, corner(surface.shape))
    channel = accumulation(tree) > 25
    hand = height_above_nearest_drainage(surface, tree, channel, smooth_px=0).ravel()
    for start in range(surface.size):
        cell = start
        while not channel.ravel()[cell]:
            cell = tree.parent[cell]
        assert hand[start] == pytest.approx(surface.ravel()[start] - surface.ravel()[cell], abs=1e-4)
