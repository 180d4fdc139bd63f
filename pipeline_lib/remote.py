"""Folders and buckets behind one interface (fsspec), and what can go wrong there in words for people."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import fsspec
from fsspec.implementations.local import LocalFileSystem

from pipeline_lib.atomic import whole_file
from pipeline_lib.errors import InputError, UnreachableStoreError, may_pass
from pipeline_lib.full_disk import unwritable

UNUSABLE = "Free space, see to permissions and credentials, or choose another place."
_LIBRARIES = ("aiobotocore", "aiohttp", "azure", "botocore", "gcsfs", "google")
"""Packages whose errors come from a bucket, not from what is computed; most raise ``OSError``, but not all."""


def located(href: str) -> tuple[Any, str]:
    """File system and path of a folder or URL. No listing is remembered: other processes write, too.

    Raises:
        InputError: no installed package opens it, or it holds credentials.
    """
    parts = urlsplit(href) if "://" in href else None
    if parts is not None and ("@" in parts.netloc or parts.query):
        raise InputError(
            f"The address {parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path} came with a user, password or "
            "query; give it without, and credentials in the environment."
        )
    options = {"auto_mkdir": True} if parts is None or parts.scheme == "file" else {"use_listings_cache": False}
    try:
        filesystem, path = fsspec.core.url_to_fs(href, **options)
    except (ImportError, ValueError) as error:
        raise InputError(
            f"{href} cannot be opened ({error}); give a folder, or install the fsspec package of its kind: "
            "pip install 'overbank[cloud]' for s3://."
        ) from error
    return filesystem, str(path)


def of_storage(error: Exception) -> bool:
    """Whether an error comes from a folder, a bucket or the way there, and not from what is computed."""
    return isinstance(error, OSError) or type(error).__module__.split(".")[0] in _LIBRARIES


@contextmanager
def said(what: str, advice: str = UNUSABLE, *more: type[Exception], near: str | None = None) -> Iterator[None]:
    """Say of a failure of folder or bucket what could not be done; what is computed inside fails as it does.

    Args:
        what: could not be done.
        advice: what to do about it.
        more: errors that mean the same as an ``OSError``.
        near: folder or URL that is written: a full disk is named.

    Raises:
        StoreError: in place of an ``OSError``, an error of a bucket's package, or one of ``more``.
        UnreachableStoreError: where that is no disk of this machine, and may pass.
    """
    try:
        yield
    except Exception as error:
        if not (of_storage(error) or isinstance(error, more)):
            raise
        disk = None if near is None or "://" in near else near
        failed = unwritable(what, disk, error, advice)
        raise (UnreachableStoreError(str(failed)) if disk is None and may_pass(error) else failed) from error


def modified(filesystem: Any, entry: dict[str, Any]) -> datetime:
    """When an entry of a listing was written; S3 says so in its listings, others are asked."""
    moment = entry.get("LastModified")
    return moment if isinstance(moment, datetime) else filesystem.modified(entry["name"])


def touch(filesystem: Any, path: str) -> None:
    """Make a small file new: in a bucket, by writing it again."""
    if isinstance(filesystem, LocalFileSystem):
        filesystem.touch(path, truncate=False)
    else:
        filesystem.pipe_file(path, filesystem.cat_file(path))


def put_file(filesystem: Any, source: Path, path: str) -> None:
    """Copy a file there, whole and at once, over what is there."""
    if isinstance(filesystem, LocalFileSystem):
        with whole_file(Path(path)) as partial:
            shutil.copyfile(source, partial)
        return
    if not filesystem.async_impl:  # no bucket: there are folders, and they must be there
        filesystem.makedirs(path.rpartition("/")[0], exist_ok=True)
    filesystem.put_file(str(source), path)


def put_new(filesystem: Any, path: str, content: bytes, aside: str) -> bool:
    """Write a small file, whole and at once, only where there is none; return whether this was the first.

    By a hard link in a folder, by a conditional PUT (``If-None-Match: *``) in a bucket. Where a file system has no hard
    links, or a bucket ignores the condition, the last writer wins.

    Args:
        filesystem: of `located`.
        path: of the file.
        content: of it.
        aside: in a folder, where it is written first, in the same file system.
    """
    if isinstance(filesystem, LocalFileSystem):
        return _link(Path(path), Path(aside), content)
    try:
        filesystem.pipe_file(path, content, mode="create")
    except FileExistsError:
        return False
    return True


def _link(path: Path, aside: Path, content: bytes) -> bool:
    """Write aside and link into place."""
    aside.write_bytes(content)
    try:
        os.link(aside, path)
    except FileExistsError:
        return False
    except OSError:
        aside.replace(path)
        return True
    aside.unlink()
    return True
