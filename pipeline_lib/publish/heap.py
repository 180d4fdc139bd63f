"""Memory that was freed, given back to the system."""

import ctypes


def give_back_memory() -> None:
    """Hand freed memory back, where the C library can (glibc's ``malloc_trim``); elsewhere do nothing.

    glibc keeps what many threads allocated and freed, in case they want it again: half a gigabyte after the files of
    one pass of a country, and as much again after the next.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
