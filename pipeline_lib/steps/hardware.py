"""What the machine has that a run may use."""

from pipeline_lib.nn.gpu import cuda_devices


def gpu_count() -> int:
    """CUDA devices that this process can use."""
    return cuda_devices()
