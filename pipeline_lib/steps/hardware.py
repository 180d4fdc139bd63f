"""What the machine has that a run may use."""


def gpu_count() -> int:
    """CUDA devices that this process can use."""
    import torch  # noqa: PLC0415 - it takes longer to import than everything else a poll or a plan needs

    return torch.cuda.device_count() if torch.cuda.is_available() else 0
