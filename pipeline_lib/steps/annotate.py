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
