"""``scores.json``: what was scored, on what, with which result; a versioned format with a JSON schema.

The schema's first number changes when a field's meaning changes or a field goes; the second when one is added.
"""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field, JsonValue

from pipeline_lib.evaluate.boundary import Boundary
from pipeline_lib.evaluate.calibration import Calibration
from pipeline_lib.evaluate.intervals import Intervals
from pipeline_lib.evaluate.scores import Scores
from pipeline_lib.evaluate.summary import Summary
from pipeline_lib.model import Record

SCHEMA_VERSION: Literal["1.1"] = "1.1"
SCHEMA_ID = "urn:overbank:schema:scores:1.1"


class Subject(Record):
    """What was scored."""

    kind: Literal["detector", "model", "map"]
    name: str
    """Detector's name, model's folder name, or the map's file name."""
    parameters: dict[str, JsonValue] = {}
    """The detector's options, where they differ from its defaults."""
    weights_digest: str | None = None
    """Digest of the model's weights, where there is one."""


class Reference(Record):
    """What it was scored against."""

    dataset: str
    """Name of the data set, or the reference map's file name."""
    split: str | None
    """The split asked for; None = every chip."""
    label_meaning: str
    """``all water`` (permanent included) or ``flood only``: scores of different meanings cannot be compared."""
    chips: int
    """Chips read, those without any valid pixel included."""
    chips_without_valid_pixels: int


class BoundaryScores(Record):
    """Scores at the water's edge, pooled."""

    counts: Boundary
    band_px: float
    band: Scores
    """Scores of the pixels within ``band_px`` of the labelled edge."""
    tolerance_px: float
    boundary_f1_pooled: float | None


class ChipRow(Record):
    """One chip: counts, scores and time."""

    chip: str
    event: str
    scores: Scores
    ece: float | None
    """Expected calibration error of this chip alone."""
    excluded_pixels: int
    """Pixels that the detector excludes (shadow, slope ...): scored as mapped, and counted here."""
    unmapped_pixels: int
    """Pixels with data and label that the detector left unmapped: scored as dry, and counted here."""
    seconds: float
    """Wall time of the detection, reading left out."""


class Evaluation(Record):
    """The whole of ``scores.json``."""

    schema_version: Literal["1.0", "1.1"] = SCHEMA_VERSION
    software: str
    """``overbank <version>``."""
    created: datetime
    """UTC."""
    subject: Subject
    reference: Reference
    scores: Summary
    """Pooled, per chip, per event, dry chips; the names say which."""
    intervals: Intervals
    calibration: Calibration | None
    """None where the map carries no likelihood."""
    boundary: BoundaryScores
    ignored_pixels: int
    """Pixels without data or label: in no score."""
    seconds: float
    """Wall time of all detections."""
    megapixels_per_second: float | None
    peak_memory_bytes: int | None
    """Largest resident memory of the process so far."""
    notes: tuple[str, ...] = ()
    chips: tuple[ChipRow, ...] = Field(default=())


def schema() -> dict[str, Any]:
    """The JSON schema of ``scores.json`` (draft 2020-12)."""
    body = Evaluation.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **body}
