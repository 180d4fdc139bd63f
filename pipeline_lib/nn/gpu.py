"""Whether there is a GPU, without waking torch where there is none: it takes a second to import."""

import ctypes
import os
from functools import lru_cache
from pathlib import Path

from pipeline_lib.errors import ModelError, UnknownNameError

DRIVERS = ("libcuda.so.1", "nvcuda.dll")
AMD_DEVICE = Path("/dev/kfd")
"""Of AMD's driver; torch built for it answers as CUDA, too."""


@lru_cache(maxsize=1)
def _has_driver() -> bool:
    """Whether a driver is there that torch could use."""
    for name in DRIVERS:
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return True
    return AMD_DEVICE.exists()


def cuda_devices() -> int:
    """GPUs that torch can use in this process; torch is asked only where there is a driver and none is hidden."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all") in {"", "-1"} or not _has_driver():
        return 0
    import torch  # noqa: PLC0415

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def training_device(wanted: str) -> str:
    """The device to train on: ``auto`` is the GPU where there is one, else the CPU.

    Raises:
        UnknownNameError: neither auto, cpu nor cuda.
        ModelError: a GPU is demanded and there is none.
    """
    if wanted not in {"auto", "cpu", "cuda"}:
        raise UnknownNameError("device", wanted, ("auto", "cpu", "cuda"))
    found = cuda_devices() > 0
    if wanted == "cuda" and not found:
        raise ModelError(
            "Training on cuda was demanded, but torch finds no CUDA device on this machine; give auto or cpu."
        )
    return "cuda" if found and wanted != "cpu" else "cpu"
