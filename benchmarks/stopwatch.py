"""Processor and wall time of a piece of work, and a line of JSON that tells it."""

import gc
import json
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, Self


def used_s() -> float:
    """Processor seconds of this process so far, all threads."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime


def peak_gib() -> float:
    """Largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


class Stopwatch:
    """What its block took: ``wall_s`` and ``cpu_s``, set when the block is left."""

    def __enter__(self) -> Self:
        gc.collect()
        self.wall_s, self.cpu_s = time.perf_counter(), used_s()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall_s, self.cpu_s = time.perf_counter() - self.wall_s, used_s() - self.cpu_s


def tell(**facts: object) -> None:
    """A line of JSON, floats to three digits after the point."""
    rounded = {key: round(value, 3) if isinstance(value, float) else value for key, value in facts.items()}
    print(json.dumps(rounded), flush=True)


def apart(work: Callable[..., Any], *arguments: object) -> Any:
    """Call it in a process of its own, so that its peak of memory is its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()
