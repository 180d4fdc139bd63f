"""What is said about the tasks of a Dask graph, for the scheduler and for the workers that run them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dask


@contextmanager
def annotated(**annotations: Any) -> Iterator[None]:
    """Say the same of every Dask task that is made or computed inside the block; nothing where nothing is given.

    ``resources={"GPU": 1}`` sends tasks to workers that have it; other names are read by workers' plugins.
    """
    if not annotations:
        yield
        return
    with dask.annotate(**annotations):
        yield


@contextmanager
def annotations_kept(needed: bool) -> Iterator[None]:
    """Compute inside the block without the fusion of single tasks, where ``needed``.

    That fusion (`dask.array.optimization.optimize`) turns the layers of a graph into one plain mapping and drops what
    was said of them: a network asked to run on workers with a GPU would run anywhere.
    """
    if not needed:
        yield
        return
    with dask.config.set({"optimization.fuse.active": False}):
        yield
