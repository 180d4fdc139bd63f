"""The event: the only input of a mapping run."""

import re
from datetime import datetime
from typing import Any

from pydantic import Field, field_validator, model_validator

from pipeline_lib.errors import InputError
from pipeline_lib.model.area import normalised_area
from pipeline_lib.model.instant import as_utc
from pipeline_lib.model.record import Record

_ID = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")


def safe_id(value: str, what: str) -> str:
    """Return an identifier that can name a folder, or raise `InputError` saying ``what`` it was."""
    if not _ID.match(value):
        raise InputError(
            f"{what} {value!r} cannot name a folder; use letters, digits, '.', '_' and '-', at most 80, beginning "
            "with a letter or digit."
        )
    return value


class Event(Record):
    """A flood: where and when to look."""

    event_id: str
    """Names the output folder: letters, digits, ``.``, ``_``, ``-``; at most 80 characters."""
    aoi: dict[str, Any] = Field(title="Area of interest")
    """GeoJSON Polygon or MultiPolygon, EPSG:4326; rings are put in right-hand order."""
    start: datetime
    """First moment that may belong to the flood, UTC."""
    end: datetime
    """Last moment that may belong to the flood, UTC."""
    title: str = ""
    """What people call it; the identifier where empty."""

    @field_validator("event_id")
    @classmethod
    def _safe_id(cls, value: str) -> str:
        return safe_id(value, "Event id")

    @field_validator("aoi", mode="before")
    @classmethod
    def _valid_area(cls, value: object) -> dict[str, Any]:
        return normalised_area(value)

    @field_validator("start", "end")
    @classmethod
    def _aware(cls, value: datetime) -> datetime:
        return as_utc(value)

    @model_validator(mode="after")
    def _ordered(self) -> "Event":
        if self.end <= self.start:
            raise InputError(
                f"The event ends ({self.end:%Y-%m-%d %H:%M}) before it starts ({self.start:%Y-%m-%d %H:%M})."
            )
        return self
