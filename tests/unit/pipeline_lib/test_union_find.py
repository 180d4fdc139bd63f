"""Disjoint sets against SciPy's connected components."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from pipeline_lib.union_find import root, roots, unite, unite_all

PAIRS = st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=60)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@given(PAIRS)
def test_sets_are_connected_components_and_the_smallest_stands_for_each(dtype, given_pairs):
    pairs = np.array(given_pairs, dtype).reshape(-1, 2)
    parent = np.arange(30, dtype=dtype)
    unite_all(parent, pairs)
    found = roots(parent)
    graph = coo_matrix((np.ones(len(pairs)), pairs.T), shape=(30, 30))
    _, labels = connected_components(graph, directed=False)
    assert found.tolist() == [int(np.flatnonzero(labels == label)[0]) for label in labels]
    assert [root(parent, member) for member in range(30)] == found.tolist()


def test_unite_says_who_stands_for_the_set():
    parent = np.arange(5)
    assert unite(parent, 4, 2) == 2
    assert unite(parent, 1, 4) == 1
    assert unite(parent, 2, 1) == 1
    assert roots(parent).tolist() == [0, 1, 1, 3, 1]
