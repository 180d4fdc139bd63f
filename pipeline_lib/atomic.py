"""Files and folders that appear whole or not at all: written beside their place, then renamed.

Readers see what stood there before or what is there now, never a part; so does whoever comes after a killed writer,
who finds nothing but a hidden ``.partial`` beside it. Permissions are those of the process's umask.
"""

import fcntl
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path

from pipeline_lib.full_disk import unwritable


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a small file (text as UTF-8) that outlasts a power cut, too: its bytes are on the disk before its name.

    Raises:
        StoreError: it cannot be written.
    """
    with whole_file(path) as partial, partial.open("wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def whole_file(path: Path, *more: type[Exception]) -> Iterator[Path]:
    """Where to write a file, by any library; it takes the name ``path``, over what is there, when the block ends well.

    It is not forced onto the disk first: rasters are large and can be made again.

    Args:
        path: of the file; the place to write to has its suffix.
        more: errors of a library that mean the same as an ``OSError``.

    Raises:
        StoreError: in place of an ``OSError``, or one of ``more``, of the block or of the folder.
    """
    partial = path.with_name(f".{path.stem}.{_mark()}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except Exception as error:
        if isinstance(error, (OSError, *more)):
            raise unwritable(f"Cannot write {path}", path, error) from error
        raise
    finally:
        if partial.parent.is_dir():
            partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(folder: Path, *, unless: Callable[[], bool] = lambda: False) -> Iterator[Path]:
    """An empty folder to fill; it takes the name ``folder`` when the block ends well, and what stood there goes.

    Args:
        folder: where the content will be. What stands there steps aside under ``.former`` until the new one stands.
        unless: asked when the block has ended; true leaves what stands there (another process made the same).

    Raises:
        StoreError: in place of an ``OSError`` of the block or of the folder.
    """
    partial = folder.with_name(f".{folder.name}.{_mark()}.partial")
    try:
        partial.mkdir(parents=True)
        yield partial
        if not unless():
            _swap(partial, folder)
    except OSError as error:
        raise unwritable(f"Cannot write {folder}", folder, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def one_writer(folder: Path) -> Iterator[None]:
    """Wait until nobody else is in a block of the same folder; the lock is the kernel's and dies with its owner.

    Raises:
        StoreError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / ".lock").open("a")
    except OSError as error:
        raise unwritable(f"Cannot write {folder}", folder, error) from error
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def leftovers(path: Path) -> list[Path]:
    """What killed writers of a file left beside it, and what writers that run are about to rename."""
    return list(path.parent.glob(f".{escape(path.stem)}.*.partial{escape(path.suffix)}"))


def _swap(partial: Path, folder: Path) -> None:
    """Two renames, since a folder that is not empty cannot be renamed over."""
    former = partial.with_suffix(".former")
    if folder.exists():
        folder.rename(former)
    try:
        partial.rename(folder)
    except OSError:
        if former.exists():
            former.rename(folder)
        raise
    shutil.rmtree(former, ignore_errors=True)


def _mark() -> str:
    """Process number first: what a dead one left can be told (`pipeline_lib.world.build.sweep`)."""
    return f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
