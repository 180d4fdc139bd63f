"""Folders of many files that appear complete or not at all."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline_lib.errors import StoreError


@contextmanager
def whole_folder(folder: Path, what: str) -> Iterator[Path]:
    """Fill an empty folder beside ``folder``; it takes that name, and what stood there goes, when the block ends well.

    Args:
        folder: where the content will be.
        what: what it is, for the message: "the model", "the chip store".

    Raises:
        StoreError: the disk refuses.
    """
    partial = folder.with_name(f".{folder.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}")
    try:
        partial.mkdir(parents=True)
        yield partial
        if folder.exists():
            shutil.rmtree(folder)
        partial.rename(folder)
    except OSError as error:
        raise StoreError(f"Cannot write {what} {folder}: {error}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
