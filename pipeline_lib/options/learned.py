"""Options of the learned detector."""

from pydantic import Field

from pipeline_lib.options.base import Options


class LearnedOptions(Options):
    """Which model, and what runs it."""

    model: str = "shipped_post_event"
    """Folder of a model, or the name of a shipped one (`overbank models list`)."""
    backend: str = "auto"
    """auto, cuda, cpu, openvino, openvino-int8, onnxruntime or onnxruntime-int8."""
    tile_px: int = Field(1024, ge=64, le=8192)
    """Side of a tile; memory grows with its square."""
    threads: int = Field(0, ge=0)
    """Threads of a CPU backend; 0 leaves the choice to it."""
    threshold: float | None = Field(None, gt=0, lt=1)
    """Probability from which a pixel is water; the model's own where None."""
