"""Why a map may be published: what its passes found beside a rule, and what a person said."""

from datetime import datetime
from typing import Literal

from pipeline_lib.model.record import Record
from pipeline_lib.options.gate import PublishIf


class PassVerdict(Record):
    """What one pass found, and whether that is worth an event."""

    acquisition_id: str
    start: datetime
    flood_km2: float
    """Flooded area that the pass itself saw."""
    observed_share: float
    anomaly: float | None
    """Flooded share of the land seen, in multiples of what the pass's history shows dark; None where unknown."""
    worth: bool
    reasons: tuple[str, ...]


class Decision(Record):
    """What was decided, by whom, when."""

    approved: bool
    by: str
    """Name of the person; ``nobody`` where the time ran out."""
    comment: str
    at: datetime
    through: Literal["form", "command", "timeout"]
    """The form of the run, ``overbank events approve`` or ``reject``, or the clock."""


class Grounds(Record):
    """On what grounds a version is published; stands in its record and in the event's item."""

    rule: PublishIf
    passes: tuple[PassVerdict, ...]
    reason: str
    """The verdict in one sentence."""
    approval: Decision | None = None
    """None where no person was asked."""
