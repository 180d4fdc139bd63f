"""Disjoint sets of numbers from 0, compiled: which pieces of a region are one.

A set is an array of parents, to begin with ``np.arange(n)``: each member points to another of its set, and the member
that points to itself stands for it. The smallest stands where sets are joined by `unite` alone. int32 or int64.

References: Tarjan, Efficiency of a good but not linear set union algorithm, JACM 22(2), 1975; the paths are halved.
"""

import numba
import numpy as np
from numpy.typing import NDArray

Parents = NDArray[np.integer]


@numba.njit(nogil=True, cache=True)
def root(parent: Parents, member: int) -> int:
    """The member that stands for the set of ``member``."""
    while parent[member] != member:
        parent[member] = parent[parent[member]]
        member = parent[member]
    return member


@numba.njit(nogil=True, cache=True)
def unite(parent: Parents, one: int, other: int) -> int:
    """Make one set of two; the smaller of their roots stands for it and is returned."""
    first, second = root(parent, one), root(parent, other)
    if second < first:
        first, second = second, first
    parent[second] = first
    return first


@numba.njit(nogil=True, cache=True)
def unite_all(parent: Parents, pairs: NDArray[np.integer]) -> None:
    """`unite` each of the pairs, shape (pairs, 2)."""
    for index in range(pairs.shape[0]):
        unite(parent, pairs[index, 0], pairs[index, 1])


@numba.njit(nogil=True, cache=True)
def roots(parent: Parents) -> NDArray[np.int64]:
    """What stands for the set of each member, shape (n,)."""
    found = np.empty(parent.size, np.int64)
    for member in range(parent.size):
        found[member] = root(parent, member)
    return found
