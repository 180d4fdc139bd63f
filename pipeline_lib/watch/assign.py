"""Which event a pass belongs to: a flood grows over days, so passes close in time share one event."""

from datetime import timedelta
from typing import Any

from pipeline_lib.model import Event
from pipeline_lib.watch.decide import DuePass
from pipeline_lib.watch.records import KnownPass, Watch

MARGIN = timedelta(hours=1)
"""Beyond the first and the last pass of an event, so that its slices lie inside."""


def event_of(watch: Watch, due: DuePass, known: tuple[KnownPass, ...]) -> Event:
    """The event that a due pass is mapped into.

    A revision stays in its event. A new pass joins the latest event in which flood worth publishing was seen not
    longer than ``event_gap_days`` before or after it, or in which a pass is being mapped whose outcome is not known
    yet; otherwise it opens one of its own, named by the watch and its day.

    Args:
        watch: the watched area's rules.
        due: the pass.
        known: what the register remembers of the watch.
    """
    event_id = due.known.event_id or _open_event(watch, due, known) or f"{watch.name}-{due.acquisition.start:%Y%m%d}"
    members = [one.start for one in known if one.event_id == event_id] + [due.acquisition.start]
    fields: dict[str, Any] = {
        "event_id": event_id,
        "title": f"{watch.name}, flood of {min(members):%d %B %Y}",
        "aoi": watch.aoi,
        "start": min(members) - MARGIN,
        "end": max(*members, due.acquisition.end) + MARGIN,
    }
    return Event.model_validate(fields)


def _open_event(watch: Watch, due: DuePass, known: tuple[KnownPass, ...]) -> str | None:
    """The event that is still open when this pass was sensed; None where there is none."""
    gap = timedelta(days=watch.event_gap_days)
    flooded = [
        one
        for one in known
        if one.event_id and _keeps_open(watch, one) and abs(due.acquisition.start - one.start) <= gap
    ]
    return max(flooded, key=lambda one: one.start).event_id if flooded else None


def _keeps_open(watch: Watch, one: KnownPass) -> bool:
    """Whether a pass saw flood worth publishing, or its outcome is not known yet."""
    if one.worth is not None:
        return one.worth
    return one.flood_km2 is None or one.flood_km2 > watch.publish_if.min_flood_km2
