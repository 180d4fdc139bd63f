"""How much this process has read from archives: a count for the metrics of a run."""

import threading

_lock = threading.Lock()
_bytes = 0


def count(read: int) -> None:
    """Add pixels that were read, bytes as decoded."""
    global _bytes  # noqa: PLW0603 - one count a process
    with _lock:
        _bytes += read


def bytes_read() -> int:
    """Bytes of decoded pixels that this process has read from archives so far."""
    return _bytes
