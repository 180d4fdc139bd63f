"""Options of the learned detector."""

from typing import Literal

from pydantic import Field

from pipeline_lib.options.base import Options


class LearnedOptions(Options):
    """Which model, and what runs it."""

    model: str = "shipped_pre_post_event"
    """Folder of a model, or the name of a shipped one (`overbank models list`)."""
    without_history: str | None = "shipped_post_event"
    """The model for passes without reference passes, where ``model`` compares with them; none: they are an error."""
    backend: str = "auto"
    """auto, cuda, cpu, openvino, openvino-int8, onnxruntime or onnxruntime-int8."""
    tile_px: int = Field(1024, ge=64, le=8192)
    """Side of a tile; memory grows with its square."""
    threads: int = Field(0, ge=0)
    """Threads of a CPU backend; 0 leaves the choice to it."""
    views: Literal[1, 2, 4] = 1
    """Flips of the image that the probability is averaged over; time grows with it."""
    members: tuple[str, ...] = ()
    """Further models whose probability is averaged with the model's; one that compares with references sits out where a
    pass has none. `disagreement` says where they differ; time grows with their number."""
    dropout_draws: int = Field(0, ge=0, le=100)
    """Monte Carlo dropout: so many draws of each model in place of the model itself, averaged. Needs models trained
    with dropout, and torch (backend cpu, cuda or auto); 0: none."""
    threshold: float | None = Field(None, gt=0, lt=1)
    """Probability from which a pixel is water; the model's own where None."""


class FusedOptions(LearnedOptions):
    """The network and the adaptive detector as one."""

    network_share: float = Field(0.6, ge=0, le=1)
    """Weight of the network's log-odds for a pass without references; the adaptive detector has the rest."""
    network_share_with_history: float = Field(0.8, ge=0, le=1)
    """The same for a pass with references: what changed tells the network of flooded vegetation, which the adaptive
    detector does not know."""
