"""What stands between a mapped event and its publication: a rule, and a person."""

from typing import Literal

from pydantic import Field

from pipeline_lib.options.base import Options


class PublishIf(Options):
    """When mapped passes are worth an event of their own; an event that is published already is always revised."""

    min_flood_km2: float = Field(default=0.0, ge=0)
    """Smallest flooded area that opens an event, square kilometres; 0 publishes whatever is found."""
    min_observed_share: float = Field(default=0.0, ge=0, le=1)
    """Smallest share of the area that the pass must have observed."""
    min_anomaly: float = Field(default=0.0, ge=0)
    """Least flooded share of the land seen, in multiples of the share that the pass's own history shows dark; 0 asks
    for none, and a history too short to tell is no hindrance."""


class ApprovalOptions(Options):
    """Whether a person must look before readers do."""

    required: bool = False
    """Hold every new version until a person approves it."""
    timeout_hours: float = Field(default=12.0, gt=0, le=24 * 365)
    """How long to wait for the person, hours."""
    on_timeout: Literal["hold", "publish"] = "hold"
    """What happens when nobody has decided by then: the version stays unpublished, or is published unseen."""
