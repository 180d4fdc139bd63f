"""Which passes to map now: a pure function of what the catalogue shows, what is remembered, and the time.

Rules. A pass that covers the area is mapped at once; one that covers part of it waits ``grace_minutes`` after its
last new slice, then is mapped with what there is. A slice that arrives after that, or an item that the archive
publishes again, changes the pass's fingerprint: the pass is due again, as a revision. A pass that is mapped from one
product and appears as a better one too (terrain-corrected after GRD) is due again only if the watch asks for it, or if
the other one covers more. What cannot be seen because a catalogue did not answer has not changed. A failed run is asked
for again, up to `MAX_ATTEMPTS` times for one fingerprint: on the next poll (its process may have been killed), then
after one polling interval, doubled each time up to `LONGEST_WAIT`, so that a store which is down for two days loses
nothing.
A pass that is not mapped yet is asked for however old it is; where the catalogue shows it no more, that counts as an
attempt, and after as many it is given up with a word.

The clock may jump: a moment that lies ahead of it counts as far away as one that lies behind, so that nothing waits for
a time that was read off a wrong clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from shapely.geometry import shape

from pipeline_lib.catalog.merge import SAME_PASS
from pipeline_lib.catalog.product import cover_of, of_most_cover, shows_more
from pipeline_lib.model import Acquisition, Record
from pipeline_lib.watch.records import KnownPass, PassState, Watch, fingerprint_of

COMPLETE = 0.999
"""Coverage from which nothing more can come: footprints are rounded."""
MAX_ATTEMPTS = 12
"""With polls every 15 minutes the last of them comes some 64 hours after the first."""
ABSENT = ""
"""Fingerprint of a pass without slices."""
LONGEST_WAIT = timedelta(hours=12)


class DuePass(Record):
    """A pass to map now."""

    acquisition: Acquisition
    known: KnownPass
    revision: bool
    """Whether it was mapped before with other slices or versions."""


class Decision(Record):
    """What a poll found out."""

    due: tuple[DuePass, ...]
    remembered: tuple[KnownPass, ...]
    """Every pass of the window as it is to be remembered; due ones are still WAITING."""
    new: int
    """Passes never seen before."""
    given_up: tuple[str, ...] = ()
    """Passes whose runs failed too often; they need a person."""


@dataclass(frozen=True)
class _Seen:
    """A pass as one product that it exists as."""

    take: list[Acquisition]
    fingerprint: str

    @property
    def acquisition(self) -> Acquisition:
        """Of it; the first, where sensing broke off."""
        return self.take[0]

    @property
    def coverage(self) -> float:
        """Share of the area, 0 to 1."""
        return cover_of(self.take)


def decide(
    watch: Watch,
    found: tuple[Acquisition, ...],
    known: tuple[KnownPass, ...],
    now: datetime,
    *,
    orbits: Mapping[str, str] | None = None,
    all_answered: bool = True,
) -> Decision:
    """Decide what is due.

    Args:
        watch: the watched area's rules.
        found: every pass the catalogue shows in the window, slices merged, as each product that it exists as.
        known: what the register remembers.
        now: the poller's clock, UTC.
        orbits: name of the orbit file of an acquisition, by the id of its first slice, where a better one is awaited.
        all_answered: whether every catalogue of the watch did; else passes that are mapped count as unchanged.
    """
    remembered, due = [], []
    new = 0
    for takes in of_most_cover(found, shape(watch.aoi)):
        seen = [_seen(take, orbits or {}) for take in takes]
        acquisition = seen[0].acquisition
        before = _same_pass(acquisition, known)
        if before is None and acquisition.start < watch.since:
            continue
        new += before is None
        if before is not None and _is_as_before(watch, before, seen, all_answered=all_answered):
            current = before
        else:
            current = _updated(watch, seen[0], before, now)
        remembered.append(current)
        if is_given_up(current) or not _is_due(watch, current, now):
            continue
        revision = current.triggered_fingerprint not in (None, current.fingerprint)
        asked = current.model_copy(update={"last_asked": now})
        due.append(DuePass(acquisition=acquisition, known=asked, revision=revision))
    shown = {one.pass_id for one in remembered}
    if all_answered:
        remembered += [_absent(one, now) for one in known if one.pass_id not in shown and wanted(watch, one, now)]
    given_up = [one.pass_id for one in remembered if is_given_up(one)]
    return Decision(due=tuple(due), remembered=tuple(remembered), new=new, given_up=tuple(given_up))


def wanted(watch: Watch, known: KnownPass, now: datetime) -> bool:
    """Whether the catalogue is to be asked for a pass now, however long ago it was sensed."""
    return known.start <= now and not is_given_up(known) and _is_due(watch, known, now)


def is_given_up(known: KnownPass) -> bool:
    """Whether a pass has failed too often, or is in the catalogue no more; it needs a person."""
    return known.state is PassState.FAILED and known.attempts >= MAX_ATTEMPTS


def _absent(known: KnownPass, now: datetime) -> KnownPass:
    """A pass that the catalogue was asked for in vain: without slices, so that it is due should it come back."""
    attempts = known.attempts + 1 if known.fingerprint == ABSENT else 1
    ending = "given up" if attempts >= MAX_ATTEMPTS else "asked for again"
    changed = {
        "fingerprint": ABSENT,
        "state": PassState.FAILED,
        "attempts": attempts,
        "last_asked": now,
        "outcome": f"the catalogue shows it no more (asked {attempts} of {MAX_ATTEMPTS} times): {ending}",
    }
    return known.model_copy(update=changed)


def silent_since(watch: Watch, last_new_pass: datetime | None, now: datetime) -> timedelta | None:
    """How long no new pass has come, where that is longer than the orbit's repeat; None where all is well."""
    silence = now - (last_new_pass or watch.since)
    return silence if silence > timedelta(days=watch.repeat_days) else None


def _same_pass(acquisition: Acquisition, known: tuple[KnownPass, ...]) -> KnownPass | None:
    """The remembered pass that this is, by platform, orbit and time: its id may have changed with a late slice."""
    for one in known:
        same_orbit = (one.platform, one.relative_orbit) == (acquisition.platform, acquisition.relative_orbit)
        if same_orbit and abs(one.start - acquisition.start) < SAME_PASS:
            return one
    return None


def _seen(take: list[Acquisition], orbits: Mapping[str, str]) -> _Seen:
    """One product of a pass: what it is recognised by, and how much of the area it covers."""
    orbit = orbits.get(take[0].slices[0].item_id, "")
    return _Seen(take, fingerprint_of(take, orbit))


def _is_as_before(watch: Watch, before: KnownPass, seen: list[_Seen], *, all_answered: bool) -> bool:
    """Whether a pass that is known has not changed in a way that calls for another map."""
    best = seen[0]
    if before.fingerprint == best.fingerprint:
        return True
    if before.triggered_fingerprint is None or before.fingerprint == ABSENT:
        return False
    if not all_answered:
        return True
    there = next((one for one in seen if one.fingerprint == before.fingerprint), None)
    return there is not None and not watch.revise and not shows_more(best.take, there.take, shape(watch.aoi))


def _updated(watch: Watch, best: _Seen, before: KnownPass | None, now: datetime) -> KnownPass:
    """The pass as it is to be remembered after this poll, which shows something new of it."""
    acquisition = best.acquisition
    if before is None:
        return KnownPass(
            watch=watch.name,
            pass_id=acquisition.acquisition_id,
            platform=acquisition.platform,
            relative_orbit=acquisition.relative_orbit,
            start=acquisition.start,
            fingerprint=best.fingerprint,
            coverage=best.coverage,
            state=PassState.WAITING,
            first_seen=now,
            last_change=now,
        )
    changed = {
        "fingerprint": best.fingerprint,
        "changes": before.changes + 1,
        "coverage": best.coverage,
        "last_change": now,
        "attempts": 0,
        "state": PassState.WAITING,
        "start": acquisition.start,
    }
    return before.model_copy(update=changed)


def _is_due(watch: Watch, known: KnownPass, now: datetime) -> bool:
    """Whether a pass is to be mapped now."""
    if known.state is PassState.FAILED:
        return known.last_asked is None or abs(now - known.last_asked) >= _retry_wait(watch, known.attempts)
    if known.state is not PassState.WAITING:
        return False
    waited = abs(now - known.last_change)
    return known.coverage >= COMPLETE or waited >= timedelta(minutes=watch.grace_minutes)


def _retry_wait(watch: Watch, attempts: int) -> timedelta:
    """How long after an attempt the next one is made."""
    if attempts < 2:
        return timedelta(0)
    doubled: int = 2 ** (attempts - 2)
    return min(LONGEST_WAIT, timedelta(minutes=watch.every_minutes) * doubled)
