"""Steps of watching: ask the catalogue, decide, remember what was asked for and how it ended."""

from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline_lib.catalog.merge import SAME_PASS, same_passes
from pipeline_lib.catalog.profiles import catalogs_of
from pipeline_lib.errors import NoAcquisitionError, NoReferenceError, OverbankError
from pipeline_lib.load.orbit_file import orbit_files_near
from pipeline_lib.model import Acquisition, Event, MappingPlan, ProductType, Record, digest_of
from pipeline_lib.options.map_event import MapOptions
from pipeline_lib.steps.private_folder import private_folder
from pipeline_lib.steps.search import search_event
from pipeline_lib.watch import Decision, KnownPass, PassState, Register, Watch, decide
from pipeline_lib.watch.assign import MARGIN, event_of, taken_in
from pipeline_lib.watch.decide import DuePass, silent_since, wanted
from pipeline_lib.watch.register import Poll, WatchState

if TYPE_CHECKING:
    from pipeline_lib.steps.gate import Outcome

POLL_SLACK = timedelta(seconds=30)
"""A schedule fires some seconds early or late; a poll must not be skipped for that."""


class PollResult(Record):
    """What one poll found and wants."""

    watch: Watch
    decision: Decision
    notes: tuple[str, ...] = ()
    """What the catalogue search noted."""
    silent_days: float | None = None
    """Days without a new pass, where that is longer than normal and was not reported before."""


class Request(Record):
    """One mapping run to ask for: every pass of one event that one poll found due."""

    event: Event
    catalog: str
    options: MapOptions
    due: tuple[DuePass, ...]
    """In order of time; at least one."""

    @property
    def idempotency_key(self) -> str:
        """The same for the same event, passes, slices and software: asked for twice, it runs once."""
        keys = [self.key_of(one) for one in self.due]
        return keys[0] if len(keys) == 1 else f"{self.event.event_id}:{digest_of(keys)}"

    @property
    def passes(self) -> dict[str, str]:
        """Id of each pass to the fingerprint that it is asked for with."""
        return {one.known.pass_id: one.known.fingerprint for one in self.due}

    def key_of(self, due: DuePass) -> str:
        """What this pass is asked for with: event, slices, software and attempt."""
        known = due.known
        attempt = f"change{known.changes}-try{known.attempts}"
        return ":".join((self.event.event_id, known.pass_id, known.fingerprint, version("overbank"), attempt))


def register_of(out: Path) -> Register:
    """The register of watches that publish under ``out``."""
    return Register(private_folder(out) / "watches.sqlite")


def poll(register: Register, name: str, now: datetime, *, since: datetime | None = None) -> PollResult:
    """Ask the catalogue of a watch for passes, to the last page, and decide what is due.

    The window reaches back ``rescan_days`` before the last successful poll, so that nothing published late is missed,
    and to the oldest pass that is not mapped yet; a failed poll moves nothing.

    Args:
        register: where watches live.
        name: of the watch.
        now: the poller's clock, UTC.
        since: look back this far instead (backfill).

    Raises:
        CatalogError: the catalogue is down; the failure is in the watch's history.
        UnknownNameError: no such watch.
    """
    state = register.watch(name)
    watch = state.watch
    if since is not None and since < watch.since:
        watch = watch.model_copy(update={"since": since})
    # A poll that was remembered under a clock that ran ahead must not hide what has appeared since.
    last = min(state.last_poll or watch.since, now)
    start = since or max(watch.since, last - timedelta(days=watch.rescan_days))
    unfinished = [one.start - SAME_PASS for one in register.passes(name) if wanted(watch, one, now)]
    start = min([start, *unfinished])
    window = Event(event_id=name, aoi=watch.aoi, start=start, end=max(now, start + timedelta(seconds=1)))
    options = MapOptions.model_validate(watch.options)
    try:
        search = options.search.model_copy(update={"reference_days": 0, "optical": False})
        found = search_event(window, catalogs_of(watch.catalog), search)
    except OverbankError as error:
        register.record_poll(name, Poll(at=now, found=0, new=0, due=0, problem=str(error)))
        raise
    with register.revising(name) as (known, written):
        remembered = known if since is None else _taken_up_again(known, since)
        orbits = _orbits(found.passes, options) if watch.revise else {}
        decision = decide(watch, found.passes, remembered, now, orbits=orbits, all_answered=not found.unanswered)
        written.extend(decision.remembered)
    last_new = now if decision.new else state.last_new_pass
    ahead = last_new is not None and last_new > now
    line = Poll(at=now, found=len(same_passes(found.passes)), new=decision.new, due=len(decision.due), problem=None)
    register.record_poll(name, line, last_new_pass=now if decision.new or ahead else None)
    silence = silent_since(watch, now if ahead else last_new, now)
    report = silence is not None and state.silence_reported is None
    return PollResult(
        watch=watch,
        decision=decision,
        notes=found.notes,
        silent_days=silence.total_seconds() / 86400 if silence is not None and report else None,
    )


def _orbits(passes: tuple[Acquisition, ...], options: MapOptions) -> dict[str, str]:
    """Name of the orbit file that would place each GRD pass now, by the id of its first slice; none where none does."""
    given = options.calibrate.orbit_files
    named = {
        one.slices[0].item_id: next(orbit_files_near(given, one.platform, one.start, one.end), None)
        for one in passes
        if one.product is ProductType.GRD
    }
    return {item_id: path.name for item_id, path in named.items() if path is not None}


def _taken_up_again(known: tuple[KnownPass, ...], since: datetime) -> tuple[KnownPass, ...]:
    """A person asks for what was sensed since a moment: passes whose runs failed too often get their attempts back."""
    return tuple(
        one.model_copy(update={"attempts": 0, "changes": one.changes + 1})
        if one.state is PassState.FAILED and one.start >= since
        else one
        for one in known
    )


def requests_of(register: Register, watch: Watch, due: tuple[DuePass, ...]) -> tuple[Request, ...]:
    """The mapping runs that due passes call for: one for each event.

    Event and batch of each pass are written down before a run is asked for: should this process die in between, the
    next poll asks for the same runs, whatever else is due by then, and other passes of the flood find their event. A
    pass that another poller has seen change since is left to that poller.
    """
    if not due:
        return ()
    with register.revising(watch.name) as (passes, written):
        known = {one.pass_id: one for one in passes}
        there = [one for one in due if _is_as_seen(one, known)]
        for one in there:
            event = event_of(watch, one, tuple(known.values()))
            joined = known[one.known.pass_id].model_copy(update={"event_id": event.event_id})
            known[joined.pass_id] = joined
            known |= {moved.pass_id: moved for moved in taken_in(event, tuple(known.values()))}
        batches: dict[tuple[str | None, str], list[DuePass]] = {}
        new: dict[str | None, str] = {}
        for one in there:
            now = known[one.known.pass_id]
            batch = now.batch or new.setdefault(now.event_id, now.pass_id)
            known[now.pass_id] = now.model_copy(update={"batch": batch})
            batches.setdefault((now.event_id, batch), []).append(one)
        before = {one.pass_id: one for one in passes}
        written.extend(one for one in known.values() if one != before[one.pass_id])
    options = MapOptions.model_validate(watch.options).model_copy(update={"publish_if": watch.publish_if})
    return tuple(
        Request(
            event=event_of(watch, batch[-1], tuple(known.values())),
            catalog=watch.catalog,
            options=options,
            due=tuple(batch),
        )
        for batch in batches.values()
    )


def _is_as_seen(due: DuePass, known: dict[str, KnownPass]) -> bool:
    """Whether a due pass has not changed since it was found due."""
    now = known.get(due.known.pass_id)
    return now is not None and now.fingerprint == due.known.fingerprint


def widened(register: Register, name: str, event: Event) -> Event:
    """The event as long as it has become: with every pass that was assigned to it since its run was asked for."""
    members = [one.start for one in register.passes(name) if one.event_id == event.event_id]
    start = min([event.start, *(moment - MARGIN for moment in members)])
    end = max([event.end, *(moment + MARGIN for moment in members)])
    return event.model_copy(update={"start": start, "end": end})


def remember_request(register: Register, request: Request, run_id: str) -> bool:
    """Write down that a run was asked for; whether this caller is the one who did, for any of its passes.

    Called after the orchestrator has accepted it. A crash between the two asks again with the same key, which the
    orchestrator answers with the same run; so does a second poller. Where another one was faster, the pass has changed
    or the run has ended already, nothing is overwritten.
    """
    with register.revising(request.due[0].known.watch) as (passes, written):
        known = {one.pass_id: one for one in passes}
        for due in request.due:
            asked = due.known
            now = known.get(asked.pass_id)
            unasked = now is not None and now.state in {PassState.WAITING, PassState.FAILED}
            if now is None or not unasked or (now.fingerprint, now.attempts) != (asked.fingerprint, asked.attempts):
                continue
            update = {
                "state": PassState.TRIGGERED,
                "triggered_fingerprint": asked.fingerprint,
                "attempts": asked.attempts + 1,
                "last_asked": asked.last_asked,
                "event_id": request.event.event_id,
                "run_id": run_id,
                "batch": None,
            }
            written.append(now.model_copy(update=update))
        return bool(written)


def unsettled(register: Register, name: str) -> dict[str, str]:
    """Runs that were asked for and have not reported back: pass id to run id."""
    return {
        known.pass_id: known.run_id
        for known in register.passes(name)
        if known.state is PassState.TRIGGERED and known.run_id is not None
    }


def settle_lost(register: Register, name: str, pass_id: str) -> None:
    """A run has ended without reporting back (killed, cancelled, crashed): the next poll asks again."""
    for known in register.passes(name):
        if known.pass_id == pass_id and known.triggered_fingerprint is not None:
            register.settle(name, pass_id, known.triggered_fingerprint, PassState.FAILED)


def report_mapped(register: Register, name: str, pass_id: str, fingerprint: str, outcome: "Outcome") -> None:
    """A run has ended: remember what its pass saw, whether that was worth an event, and what became of it.

    Another pass of the event that could not be mapped does not make this one fail.
    """
    known = next((one for one in register.passes(name) if one.pass_id == pass_id), None)
    near = [one for one in outcome.assessment.passes if known and abs(one.start - known.start) < SAME_PASS]
    own = min(near, key=lambda one: abs(one.start - known.start)) if known and near else None
    failed = own is None and bool(outcome.failures)
    register.settle(
        name,
        pass_id,
        fingerprint,
        PassState.FAILED if failed else PassState.MAPPED,
        flood_km2=None if own is None else own.flood_km2,
        worth=None if own is None else own.worth,
        outcome=f"not mapped: {'; '.join(outcome.failures.values())}"
        if failed
        else f"{outcome.state}: {outcome.reason}",
    )


def reference_plan(watch: Watch, now: datetime) -> MappingPlan | None:
    """The plan of an event that would begin now, from the newest pass of each orbit; None where nothing is there.

    Its references are those that the next pass of each orbit will be compared with.

    Raises:
        CatalogError: the catalogue is down.
    """
    from pipeline_lib.steps.decide import search_and_plan  # noqa: PLC0415 - polls, which do not plan, start sooner

    options = MapOptions.model_validate(watch.options)
    longest_repeat = timedelta(days=max(watch.repeat_days, 12.0))
    event = Event(event_id=watch.name, aoi=watch.aoi, start=now - longest_repeat, end=now)
    try:
        return search_and_plan(event, watch.catalog, options)
    except (NoAcquisitionError, NoReferenceError):
        return None


def is_due(state: WatchState, now: datetime) -> bool:
    """Whether a watch is to be polled: not paused, and its interval has passed since the last poll that worked."""
    if state.paused:
        return False
    if state.last_poll is None:
        return True
    return abs(now - state.last_poll) >= timedelta(minutes=state.watch.every_minutes) - POLL_SLACK
