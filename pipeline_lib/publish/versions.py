"""Versions of an event: written aside, then switched by one rename.

::

    OUT/<event_id>/
      current -> versions/0002        the only thing that ever changes
      collection.json -> current/top/collection.json
      index.html -> current/index.html
      quicklook.png -> current/quicklook.png
      versions/0001/  versions/0002/  complete, never touched again
      .lock                           held by a writer while it lives

A version is built in ``versions/.NNNN.<random>`` and renamed to ``versions/NNNN``; then a new ``current`` link is
renamed over the old one. POSIX makes each rename atomic, so a reader sees the old event or the new one. Every link
inside a version is relative, and those of ``top/collection.json`` name the version's own folder: a reader that opened
the collection before the switch goes on reading the version it opened.

A writer killed at any moment leaves at most a hidden folder or a version nobody points to; the next writer removes
both. The lock is the kernel's (flock): it dies with its owner.
"""

import errno
import fcntl
import json
import os
import shutil
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from pipeline_lib.errors import StoreError
from pipeline_lib.full_disk import unwritable

TOP_LINKS = {
    "collection.json": "current/top/collection.json",
    "index.html": "current/index.html",
    "quicklook.png": "current/quicklook.png",
}
"""Fixed links beside ``current``; they change what they show when it does."""
POLL_S = 0.1
_NO_LINKS = {errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
"""What file systems answer that have no symbolic links."""


def current_version(folder: Path) -> int:
    """Number of the version that readers see; 0 where nothing is published."""
    link = folder / "current"
    return int(link.readlink().name) if link.is_symlink() else 0


def version_folder(folder: Path, number: int) -> Path:
    """Folder of a version."""
    return folder / "versions" / f"{number:04d}"


def version_numbers(folder: Path) -> list[int]:
    """Numbers of all complete versions, oldest first."""
    return sorted(int(path.name) for path in (folder / "versions").glob("[0-9]*") if path.is_dir())


@contextmanager
def writing(folder: Path, wait_s: float) -> Iterator[None]:
    """Be the only writer of an event inside the block; leftovers of killed writers are swept first.

    Raises:
        StoreError: another writer is alive after ``wait_s`` seconds, or the folder cannot be written.
    """
    with alone(folder / ".lock", f"publishing {folder.name}", wait_s):
        try:
            sweep(folder)
            yield
        except OSError as error:
            raise unwritable(f"Cannot publish into {folder}", folder, error) from error


@contextmanager
def alone(lock: Path, doing: str, wait_s: float) -> Iterator[None]:
    """Be the only process that is ``doing`` this inside the block; a lock dies with its owner.

    Raises:
        StoreError: another process is after ``wait_s`` seconds, or the lock cannot be written.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise unwritable(f"Cannot write {lock.parent}", lock.parent, error) from error
    try:
        _acquire(handle, lock, doing, wait_s)
        yield
    finally:
        os.close(handle)


def _acquire(handle: int, lock: Path, doing: str, wait_s: float) -> None:
    """Take the lock and write down who holds it."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() >= deadline:
                holder = os.pread(handle, 500, 0).decode(errors="replace") or "unknown"
                raise StoreError(
                    f"Another process is {doing} ({holder}); waited {wait_s:g} s. Try again later."
                ) from None
            time.sleep(POLL_S)
    owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now(timezone.utc).isoformat()}
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(owner).encode(), 0)
    except OSError as error:
        raise unwritable(f"Cannot note who is {doing}", lock, error) from error


def sweep(folder: Path) -> int:
    """Remove what killed writers left: hidden folders, and versions newer than the one readers see."""
    newest = current_version(folder)
    leftovers = [*(folder / "versions").glob(".*"), *folder.glob(".current.*")]
    leftovers += [version_folder(folder, number) for number in version_numbers(folder) if number > newest]
    for leftover in leftovers:
        if leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)
    return len(leftovers)


@contextmanager
def workplace(folder: Path, number: int) -> Iterator[Path]:
    """A hidden folder in which to build a version inside the block; what is not switched to by its end is removed."""
    place = folder / "versions" / f".{number:04d}.{uuid.uuid4().hex[:8]}"
    try:
        place.mkdir(parents=True)
        yield place
    finally:
        # At once and not by the next writer: on a full disk it would keep from others what little room there is.
        shutil.rmtree(place, ignore_errors=True)


def switch(folder: Path, built: Path, number: int) -> Path:
    """Make a built version the one that readers see; return its folder."""
    final = version_folder(folder, number)
    built.rename(final)
    _sync(final.parent)
    for name, target in TOP_LINKS.items():
        if not (folder / name).is_symlink():
            _link(folder / name, target)
    _link(folder / "current", f"versions/{final.name}")
    _sync(folder)
    return final


def need_links(folder: Path) -> None:
    """Make sure that events can be published into a folder, which need not be there yet: a symbolic link can be made.

    Raises:
        StoreError: it cannot: the file system has none (exFAT, FAT, many SMB shares), or cannot be written.
    """
    place = folder.resolve()
    while not place.exists():
        place = place.parent
    probe = place / f".current.{uuid.uuid4().hex[:8]}"
    try:
        probe.symlink_to("versions")
        probe.unlink()
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise unwritable(f"Cannot write {place}", place, error) from error
        raise StoreError(
            f"{folder} cannot hold symbolic links ({error.strerror}), as on exFAT and many network shares; readers of "
            "an event are switched to its new version by one. Choose --out on another disk, and let OVERBANK_MIRROR "
            "copy what is published to this one."
        ) from error


def _link(path: Path, target: str) -> None:
    """Put a symbolic link in place, over whatever is there, by one rename."""
    fresh = path.with_name(f".current.{uuid.uuid4().hex[:8]}")
    fresh.symlink_to(target)
    fresh.replace(path)


def _sync(folder: Path) -> None:
    """Make renames in a folder last through a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
