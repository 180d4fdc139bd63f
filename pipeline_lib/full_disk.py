"""What a write that failed means for the person who must make it possible: which disk is full, or what else it was."""

import errno
import os
from pathlib import Path

from pipeline_lib.errors import StoreError, shown

ADVICE = "Free space, see to permissions, or choose another place."
_LITTLE_BYTES = 1 << 20
"""With less left a disk is taken for full: GDAL says no more of a failed write than that it failed."""


def unwritable(what: str, near: Path | str | None, error: BaseException, advice: str = ADVICE) -> StoreError:
    """The error to raise, from ``error``, where something could not be written.

    Args:
        what: could not be done, such as ``Cannot write /data/a.tif``.
        near: where it was to be, whether or not it is there; None where that is no disk of this machine.
        error: of the operating system or of a library.
        advice: what to do where no disk is full.
    """
    full = "" if near is None else _fullness(Path(near), error)
    return StoreError(
        f"{what}: {full}. Make room there or choose another place, and run again."
        if full
        else f"{what}: {shown(error).rstrip('.')}. {advice}"
    )


def _fullness(near: Path, error: BaseException) -> str:
    """Which disk is full, and how full; empty where the error is of another kind."""
    place = near.absolute()
    while not place.is_dir():
        place = place.parent
    disk = os.statvfs(place)
    free, size = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    code = getattr(error, "errno", None)
    if code is None and (free < _LITTLE_BYTES or os.strerror(errno.ENOSPC) in str(error)):
        code = errno.ENOSPC
    if code not in {errno.ENOSPC, errno.EDQUOT}:
        return ""
    while not place.is_mount():
        place = place.parent
    if code == errno.EDQUOT:
        return f"the quota on the disk at {place} is used up"
    if disk.f_files and not disk.f_favail:
        return f"the disk at {place} holds as many files as it can ({disk.f_files:,})"
    return f"the disk at {place} ran full ({free / 1e6:,.1f} of {size / 1e6:,.1f} MB free now)"
