"""How the per-pixel loops of this package are compiled: once per machine, free of Python's lock, serial.

Dask runs one block per thread, so the loops themselves stay serial; that also makes the order of every floating-point
sum, and with it every pixel, independent of the number of threads.
"""

from collections.abc import Callable
from typing import Any

import numba

Loop = Callable[..., Any]


def compiled(function: Loop) -> Loop:
    """Compile a numeric loop with Numba in nopython mode, cached on disk and releasing the lock."""
    loop: Loop = numba.njit(cache=True, nogil=True)(function)
    return loop


def compiled_relaxed(function: Loop) -> Loop:
    """As `compiled`, letting the compiler fuse multiply and add (no effect on NaN or on the order of sums)."""
    loop: Loop = numba.njit(cache=True, nogil=True, fastmath={"contract"})(function)
    return loop
