"""Options of ``overbank evaluate`` and ``overbank score``."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, JsonValue, model_validator

from pipeline_lib.errors import InputError
from pipeline_lib.options.base import Options

Target = Literal["auto", "water", "flood"]


class EvaluateOptions(Options):
    """What is scored, and on which chips."""

    dataset: str
    """Name of the data set's reader."""
    root: Path
    """Folder of the data set."""
    split: str | None = None
    """``train``, ``valid``, ``test``, ``bolivia``; None = every labelled chip."""
    detector: str | None = None
    """Detector's name; None with ``model`` None = the default detector."""
    parameters: dict[str, JsonValue] = {}
    """The detector's own options; with ``model`` those of the detector ``learned`` that runs it."""
    model: Path | None = None
    """Trained model instead of a detector."""
    target: Target = "auto"
    """``water``: what the detector answers. ``flood``: its water now that was not its water before. ``auto``: flood
    where the label is flood only and there is an image before it; models always answer for themselves."""
    resamples: int = Field(default=1000, ge=10, le=100_000)
    """Bootstrap samples of the intervals."""

    @model_validator(mode="after")
    def _one_subject(self) -> Self:
        if self.detector is not None and self.model is not None:
            raise InputError("Give --detector or --model, not both: one is scored at a time.")
        if self.model is not None and "model" in self.parameters:
            raise InputError(f"Give --model {self.model} or --option model={self.parameters['model']}, not both.")
        return self


class ScoreOptions(Options):
    """How two maps are compared."""

    layer: str = "flood_extent"
    """Layer of our event product, where the predicted map is a folder."""
    positive: tuple[int, ...] = (1,)
    """Codes of the predicted map that mean water."""
    negative: tuple[int, ...] = (0,)
    """Codes of the predicted map that mean dry; every other code is no answer."""
    reference_format: Literal["auto", "codes", "gfm", "dswx-s1", "dswx-hls", "polygons"] = "auto"
    """What the reference's codes mean; ``auto``: polygons for a vector file, else ``codes``."""
    reference_positive: tuple[int, ...] = (1,)
    """Codes of the reference that mean water; only with ``codes``."""
    reference_negative: tuple[int, ...] = (0,)
    """Codes of the reference that mean dry; only with ``codes``."""
    exclusion: Path | None = None
    """Raster of the reference (GFM's exclusion mask, any grid): it gives no answer where this is 1 or more."""
    grid: Literal["predicted", "reference"] = "predicted"
    """Whose grid the maps are compared on; the other is brought there (nearest neighbour onto a finer grid, most
    frequent class onto a coarser one)."""
    area: Path | None = None
    """Polygons inside which the reference was mapped; needed for a vector reference to say where "dry" ends (None:
    the whole predicted map)."""
    resamples: int = Field(default=1000, ge=10, le=100_000)
    """Bootstrap samples of the intervals."""
