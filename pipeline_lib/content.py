"""What a file holds, as a digest: files are known by their content, never by their place."""

import hashlib
import time
from functools import lru_cache
from pathlib import Path

SETTLED_NS = 2_000_000_000
"""A file written so lately may be written again without a newer time of change: it is read each time."""


def digest_of_file(path: Path) -> str:
    """SHA-256 of a file, hexadecimal; read once a process while its size and time of change stay.

    Raises:
        OSError: it cannot be read.
    """
    found = path.stat()
    if time.time_ns() - found.st_mtime_ns < SETTLED_NS:
        return _read(path)
    return _settled(str(path.resolve()), found.st_ino, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=4096)
def _settled(path: str, _inode: int, _size: int, _changed_ns: int) -> str:
    return _read(Path(path))


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
