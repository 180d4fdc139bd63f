"""What a watch is, and what it remembers of each pass."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field, JsonValue, field_validator

from pipeline_lib.errors import InputError
from pipeline_lib.model import Acquisition, Record, digest_of
from pipeline_lib.model.area import normalised_area
from pipeline_lib.model.event import safe_id
from pipeline_lib.options.gate import PublishIf


class Watch(Record):
    """An area that is mapped by itself whenever a pass over it appears in the catalogue."""

    name: str
    """Names the watch, its events and their folders."""
    aoi: dict[str, Any]
    """GeoJSON Polygon or MultiPolygon, EPSG:4326."""
    catalog: str
    """Profile name or URL of the STAC API; several separated by commas, in the order preferred."""
    since: datetime
    """Passes sensed before this are history, not news, UTC."""
    every_minutes: float = Field(default=15.0, gt=0)
    """How often the catalogue is asked."""
    grace_minutes: float = Field(default=210.0, ge=0)
    """How long a pass that covers only part of the area waits for further slices, from the last one that came."""
    rescan_days: float = Field(default=30.0, ge=0)
    """How far back every poll looks again: items that an archive publishes late carry old dates."""
    event_gap_days: float = Field(default=14.0, gt=0)
    """A pass this long after the last flooded one opens a new event."""
    repeat_days: float = Field(default=12.0, gt=0)
    """Longest time between passes that is normal here; a longer silence is reported."""
    revise: bool = False
    """Map a pass again when a better product of it appears: terrain-corrected after GRD, a precise orbit for GRD."""
    publish_if: PublishIf = PublishIf(min_flood_km2=0.5)
    """When a pass opens an event; one that does not is in the watch's history only."""
    options: dict[str, JsonValue] = {}
    """Options of the mapping runs (`MapOptions` as JSON)."""

    @field_validator("name")
    @classmethod
    def _safe_name(cls, value: str) -> str:
        return safe_id(value, "Watch name")

    @field_validator("aoi", mode="before")
    @classmethod
    def _valid_area(cls, value: object) -> dict[str, Any]:
        return normalised_area(value)

    @field_validator("since")
    @classmethod
    def _aware(cls, value: datetime) -> datetime:
        if value.tzinfo is None:
            raise InputError(f"Watch begins at {value.isoformat()} without a time zone; give UTC (a trailing Z).")
        return value


class PassState(StrEnum):
    """How far a pass has come."""

    WAITING = "waiting"
    """Seen; may still grow."""
    TRIGGERED = "triggered"
    """A mapping run was asked for."""
    MAPPED = "mapped"
    """Mapped, and published if it was worth it: `KnownPass.outcome` says which."""
    FAILED = "failed"
    """The mapping run failed; the next poll asks again."""


class KnownPass(Record):
    """What the register remembers of one pass over one watched area."""

    watch: str
    pass_id: str
    """The acquisition id the pass had when it was first seen: it stays, whatever slices arrive later."""
    platform: str
    relative_orbit: int | None
    start: datetime
    """Start of sensing of the earliest slice known, UTC."""
    fingerprint: str
    """Digest of the slices and of their versions in the archive."""
    coverage: float
    """Share of the area covered, 0 to 1."""
    state: PassState
    first_seen: datetime
    last_change: datetime
    """When the fingerprint last changed, by the poller's clock."""
    triggered_fingerprint: str | None = None
    """What the latest run was asked to map."""
    attempts: int = 0
    """Runs asked for with this fingerprint."""
    last_asked: datetime | None = None
    """When the latest run was asked for, by the poller's clock."""
    changes: int = 0
    """How often the fingerprint changed; an archive may go back to an earlier one."""
    event_id: str | None = None
    flood_km2: float | None = None
    """Flooded area that this pass saw; None while that is not known."""
    worth: bool | None = None
    """Whether it met the watch's publish-if rule; None while that is not known."""
    outcome: str | None = None
    """How its run ended, in words: published, below the publish-if rule (and by how much), rejected, waiting."""
    run_id: str | None = None
    batch: str | None = None
    """First of the passes that share the run which is to be asked for; None once it was."""


def fingerprint_of(take: Iterable[Acquisition], orbit: str = "") -> str:
    """Digest of which slices a pass has as one product, which version of each the archive holds, and their orbit.

    Args:
        take: the pass: one acquisition, or several where sensing broke off.
        orbit: name of the orbit file that places it; empty where that changes nothing.
    """
    slices = sorted([item.item_id, _version(item.facts)] for one in take for item in one.slices)
    return digest_of([*slices, orbit] if orbit else slices)


def _version(facts: dict[str, JsonValue]) -> str:
    """The archive's own word for the version of an item: when it was processed, updated or created."""
    for name in ("s1:processing_datetime", "processing:datetime", "updated", "created", "version"):
        if facts.get(name):
            return str(facts[name])
    return ""
