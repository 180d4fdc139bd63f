"""Instants: aware datetimes in UTC."""

import re
from datetime import datetime, timedelta, timezone

_LEAP = re.compile(r"(?<=:[0-5]\d):60(?:[.,]\d+)?")


def as_utc(moment: datetime) -> datetime:
    """The moment in UTC; one without a zone is read as UTC, as catalogues and SAFE files mean it."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)


def instant_of(value: object) -> datetime | None:
    """An RFC 3339 time, also with a space for the T or without a zone (then UTC), as UTC; None if it is none.

    Letters may be small (section 5.6 of RFC 3339); a leap second is the first of the next minute.
    """
    if not isinstance(value, str):
        return None
    text = value.strip().upper()
    leap = _LEAP.search(text)
    try:
        if leap is not None:
            before = datetime.fromisoformat(f"{text[: leap.start()]}:59{text[leap.end() :]}")
            return as_utc(before) + timedelta(seconds=1)
        return as_utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError):  # year 1 or 9999 with a zone leaves the calendar in UTC
        return None
