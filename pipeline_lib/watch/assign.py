"""Which event a pass belongs to: to one only; a flood grows over days, so passes close in time share one event."""

from datetime import timedelta
from typing import Any

from pipeline_lib.model import Event
from pipeline_lib.watch.decide import DuePass
from pipeline_lib.watch.records import KnownPass, PassState, Watch

MARGIN = timedelta(hours=1)
"""Beyond the first and the last pass of an event, so that its slices lie inside."""


def event_of(watch: Watch, due: DuePass, known: tuple[KnownPass, ...]) -> Event:
    """The event that a due pass is mapped into.

    An event is *open* at its passes that saw flood worth publishing and at those whose outcome is not known yet. A
    revision stays in its event. A new pass joins the open event in whose window it was sensed; or else the one whose
    nearest open pass lies not more than ``event_gap_days`` before or after it; or else the closed event in whose window
    it was sensed; or else it opens one of its own, named by the watch and its day.

    Passes sensed between a new one and the pass that it joins can belong to closed events only: `taken_in` says which
    of them the event then takes in. So the windows of two events of a watch never share a pass, whatever order
    passes are found in. Events that are open, and so may be published, are never joined into one another.

    Args:
        watch: the watched area's rules.
        due: the pass.
        known: what the register remembers of the watch.
    """
    start = due.acquisition.start
    event_id = _assigned(due, known) or _joined(watch, due, known) or _own_name(watch, due, known)
    members = [one.start for one in known if one.event_id == event_id] + [start]
    fields: dict[str, Any] = {
        "event_id": event_id,
        "title": f"{watch.name}, flood of {min(members):%d %B %Y}",
        "aoi": watch.aoi,
        "start": min(members) - MARGIN,
        "end": max(members) + MARGIN,  # as `widened` has it: the same passes make the same event, whichever asked
    }
    return Event.model_validate(fields)


def taken_in(event: Event, known: tuple[KnownPass, ...]) -> tuple[KnownPass, ...]:
    """Passes of other events that lie in the window of this one, as members of this one."""
    return tuple(
        one.model_copy(update={"event_id": event.event_id})
        for one in known
        if one.event_id not in {None, event.event_id} and event.start <= one.start <= event.end
    )


def _assigned(due: DuePass, known: tuple[KnownPass, ...]) -> str | None:
    """The event of a revision, as the register has it now."""
    for one in known:
        if one.pass_id == due.known.pass_id:
            return one.event_id
    return due.known.event_id


def _joined(watch: Watch, due: DuePass, known: tuple[KnownPass, ...]) -> str | None:
    """The event that a new pass joins; None where there is none."""
    start = due.acquisition.start
    around = [name for name, starts in _members(known).items() if _within(due, starts)]
    still_open = [one for one in known if one.event_id and _keeps_open(watch, one)]
    for one in still_open:
        if one.event_id in around:
            return one.event_id
    near = [one for one in still_open if abs(start - one.start) <= timedelta(days=watch.event_gap_days)]
    if near:
        return min(near, key=lambda one: (abs(start - one.start), one.start)).event_id
    return around[0] if around else None


def _members(known: tuple[KnownPass, ...]) -> dict[str, list[KnownPass]]:
    """Event to its passes."""
    found: dict[str, list[KnownPass]] = {}
    for one in known:
        if one.event_id is not None:
            found.setdefault(one.event_id, []).append(one)
    return found


def _within(due: DuePass, members: list[KnownPass]) -> bool:
    """Whether the window of an event and that of the pass alone overlap."""
    starts = [one.start for one in members]
    return min(starts) - 2 * MARGIN <= due.acquisition.end and due.acquisition.start <= max(starts) + 2 * MARGIN


def _keeps_open(watch: Watch, one: KnownPass) -> bool:
    """Whether a pass saw flood worth publishing, or its outcome is not known yet."""
    if one.state is not PassState.MAPPED:
        return True
    if one.worth is not None:
        return one.worth
    return one.flood_km2 is None or one.flood_km2 > watch.publish_if.min_flood_km2


def _own_name(watch: Watch, due: DuePass, known: tuple[KnownPass, ...]) -> str:
    """A name that no other event of the watch has: two passes of one day may each open one."""
    day = f"{watch.name}-{due.acquisition.start:%Y%m%d}"
    taken = any(one.event_id == day for one in known)
    return f"{day}T{due.acquisition.start:%H%M}" if taken else day
