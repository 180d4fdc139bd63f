"""Instants: aware datetimes in UTC."""

from datetime import datetime, timezone


def as_utc(moment: datetime) -> datetime:
    """The moment in UTC; one without a zone is read as UTC, as catalogues and SAFE files mean it."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)


def instant_of(value: object) -> datetime | None:
    """An RFC 3339 time, also with a space for the T or without a zone (then UTC), as UTC; None if it is none."""
    if not isinstance(value, str):
        return None
    try:
        return as_utc(datetime.fromisoformat(value.strip()))
    except (ValueError, OverflowError):  # year 1 or 9999 with a zone leaves the calendar in UTC
        return None
