"""The event: the only input of a mapping run."""

import re
from datetime import datetime
from typing import Any

from pydantic import Field, ValidationInfo, field_validator, model_validator

from pipeline_lib.errors import InputError
from pipeline_lib.model.area import normalised_area
from pipeline_lib.model.instant import as_utc
from pipeline_lib.model.record import Record

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def safe_id(value: str, what: str) -> str:
    """Return an identifier that can name a folder, or raise `InputError` saying ``what`` it was."""
    if not _ID.fullmatch(value):
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
    """Last moment that may belong to the flood, UTC; given as a day, the end of that day."""
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

    @field_validator("start", "end", mode="before")
    @classmethod
    def _day_or_moment(cls, value: object, info: ValidationInfo) -> object:
        """A day as ``2025-10-28`` or ``20251028`` (no count of seconds since 1970); as an end it is all of that day."""
        if isinstance(value, datetime | float):
            return value
        text = str(value).strip()
        if text.isdigit():
            if len(text) != len("20251028"):
                raise InputError(f"{text} is not a time; expected a date or a time as 2025-10-28 or 2025-10-28T18:00Z.")
            text = f"{text[:4]}-{text[4:6]}-{text[6:]}"
        return f"{text}T23:59:59Z" if info.field_name == "end" and _DAY.fullmatch(text) else text

    @field_validator("start", "end")
    @classmethod
    def _aware(cls, value: datetime) -> datetime:
        return as_utc(value)

    @model_validator(mode="after")
    def _ordered(self) -> "Event":
        if self.end <= self.start:
            order = "when" if self.end == self.start else "before"
            raise InputError(
                f"The event ends ({self.end:%Y-%m-%d %H:%M}) {order} it starts ({self.start:%Y-%m-%d %H:%M})."
            )
        return self
