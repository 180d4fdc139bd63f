"""What the machine has that a run may use."""

import torch


def gpu_count() -> int:
    """CUDA devices that this process can use."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0
