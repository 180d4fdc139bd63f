"""Watches in words, and watches from words."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from shapely.geometry import shape

from pipeline_lib.catalog.profiles import catalogs_of
from pipeline_lib.errors import InputError, shown
from pipeline_lib.model import Event
from pipeline_lib.model.instant import instant_of
from pipeline_lib.options.map_event import MapOptions
from pipeline_lib.place import described
from pipeline_lib.steps.decide import refuse_impossible
from pipeline_lib.steps.event import area_of_flags
from pipeline_lib.watch import PassState, Register, Watch
from pipeline_lib.watch.decide import is_given_up
from pipeline_lib.watch.register import WatchState

LEAST_INTERVAL = timedelta(minutes=1)
"""A poll reads every page of the last 30 days; the desk itself looks every five minutes which watches are due."""
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def duration(text: str) -> timedelta:
    """``15m``, ``2h``, ``1d``, ``90s`` as a time span.

    Raises:
        InputError: anything else.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip())
    if match is None:
        raise InputError(f"{text!r} is not a time span; give a number and a unit, such as 15m, 2h or 1d.")
    try:
        return timedelta(**{_UNITS[match[2]]: float(match[1])})
    except OverflowError as error:
        raise InputError(
            f"{text!r} is longer than time itself; give a number and a unit, such as 15m or 1d."
        ) from error


def watch_of_flags(  # noqa: PLR0913 - the flags that make a watch
    name: str,
    *,
    bbox: str | None,
    aoi: Path | None,
    catalog: str,
    every: str,
    grace: str,
    since: str | None,
    revise: bool = False,
    publish_if: dict[str, float],
    options: MapOptions,
) -> Watch:
    """Make a watch from command-line flags.

    Raises:
        InputError: a flag cannot be meant.
        AreaError: the area cannot be mapped as one event: every poll would fail.
        UnknownNameError: no such catalogue, or detector.
    """
    fields = {
        "name": name,
        "aoi": area_of_flags(bbox, aoi),
        "catalog": catalog,
        "since": datetime.now(UTC) if since is None else instant(since),
        "every_minutes": duration(every).total_seconds() / 60,
        "grace_minutes": duration(grace).total_seconds() / 60,
        "revise": revise,
        "publish_if": publish_if,
        "options": options.model_dump(mode="json"),
    }
    return checked(Watch.model_validate(fields), datetime.now(UTC))


def edited(
    watch: Watch,
    *,
    catalog: str | None,
    every: str | None,
    grace: str | None,
    publish_if: dict[str, float | None],
    approve: bool | None,
    options: MapOptions | None,
    revise: bool | None = None,
) -> Watch:
    """A watch with what flags change of it; None leaves things as they are.

    Raises:
        InputError: a flag cannot be meant.
        UnknownNameError: no such catalogue, or detector.
    """
    wanted = options or MapOptions.model_validate(watch.options)
    if approve is not None:
        wanted = wanted.model_copy(update={"approval": wanted.approval.model_copy(update={"required": approve})})
    rule = watch.publish_if.model_dump() | {name: value for name, value in publish_if.items() if value is not None}
    fields = {
        "catalog": catalog,
        "every_minutes": None if every is None else duration(every).total_seconds() / 60,
        "grace_minutes": None if grace is None else duration(grace).total_seconds() / 60,
        "revise": revise,
        "publish_if": rule,
        "options": wanted.model_dump(mode="json"),
    }
    given = {name: value for name, value in fields.items() if value is not None}
    return checked(Watch.model_validate(watch.model_dump() | given), datetime.now(UTC))


def checked(watch: Watch, now: datetime) -> Watch:
    """A watch that can be polled and whose passes can be mapped, as far as that shows before a catalogue is asked.

    Raises:
        InputError: it begins in the future, is polled too often, or its options or catalogue cannot be meant.
        AreaError: the area cannot be mapped as one event.
        UnknownNameError: no such catalogue, or detector.
    """
    catalogs_of(watch.catalog)
    window = Event(event_id=watch.name, aoi=watch.aoi, start=watch.since, end=watch.since + timedelta(seconds=1))
    refuse_impossible(window, MapOptions.model_validate(watch.options))
    if watch.since > now:
        raise InputError(
            f"--since {watch.since:%Y-%m-%d %H:%M} UTC lies in the future (it is {now:%Y-%m-%d %H:%M}); a watch begins "
            "now or in the past. Leave it out to begin now."
        )
    if timedelta(minutes=watch.every_minutes) < LEAST_INTERVAL:
        raise InputError(
            f"A watch that asks every {watch.every_minutes * 60:g} s would ask for the same pages again and again; "
            f"give at least {LEAST_INTERVAL.total_seconds():g} s (1m). 15m is usual."
        )
    return watch


def instant(since: str) -> datetime:
    """The moment that a flag names, UTC.

    Raises:
        InputError: it is no time.
    """
    found = instant_of(since)
    if found is None:
        raise InputError(f"--since {since!r} is no time; give ISO 8601, such as 2026-11-23 or 2026-11-23T06:30Z.")
    return found


def watch_lines(register: Register) -> list[str]:
    """One line a watch."""
    return [_line(one) for one in watch_documents(register)] or [
        "No watches; add one with `overbank watch add NAME --aoi FILE`."
    ]


def _line(document: dict[str, Any]) -> str:
    """A watch and how it is doing, in one line."""
    last = f"{datetime.fromisoformat(document['last_poll']):%Y-%m-%d %H:%M} UTC" if document["last_poll"] else "never"
    condition = "paused" if document["paused"] else f"every {document['every_minutes']:g} min"
    passes = document["passes"]
    given_up = f"{len(document['given_up'])} given up, " if document["given_up"] else ""
    return (
        f"{document['name']}: {condition}, last poll {last}, {sum(passes.values())} passes, "
        f"{passes[PassState.MAPPED]} mapped, {given_up}catalogue {document['catalog']}"
    )


def watch_documents(register: Register) -> list[dict[str, Any]]:
    """Every watch and how it is doing, as JSON that may be shown: by name, without its area and its options."""
    return [
        {name: value for name, value in watch_document(register, state).items() if name not in {"aoi", "options"}}
        for state in register.watches()
    ]


def watch_document(register: Register, state: WatchState) -> dict[str, Any]:
    """A watch as it is defined, and how it is doing, as JSON that may be shown: an address shows no login.

    ``passes`` counts by state, ``given_up`` names those that need a person; the other times are
    when the catalogue last answered and when a pass was last new.
    """
    fields = state.model_dump(mode="json", exclude={"watch", "silence_reported"})
    passes = register.passes(state.watch.name)
    states = [one.state for one in passes]
    return {
        **state.watch.model_dump(mode="json"),
        "catalog": shown(state.watch.catalog),
        **fields,
        "passes": {kind.value: states.count(kind) for kind in PassState},
        "given_up": [one.pass_id for one in passes if is_given_up(one)],
    }


def added_text(watch: Watch, every: str) -> str:
    """What ``overbank watch add`` answers: where it watches, too, for a person to see that it is the right place."""
    area = described(shape(watch.aoi))
    return (
        f"Watching {watch.name} ({area}) from {watch.since:%Y-%m-%d %H:%M} UTC, every {every}. `overbank up` polls it."
    )


def history_lines(register: Register, name: str, limit: int) -> list[str]:
    """The passes a watch knows, then its latest polls."""
    lines = []
    for one in register.passes(name)[-limit:]:
        text = f"{one.pass_id}  {one.state:<9}  covers {one.coverage:4.0%}  event {one.event_id or '-'}"
        lines += [text] if one.outcome is None else [text, f"    {one.outcome}"]
    for poll in register.history(name, limit):
        outcome = poll.problem or f"{poll.found} found, {poll.new} new, {poll.due} due"
        lines.append(f"{poll.at:%Y-%m-%d %H:%M:%S} UTC  {outcome}")
    return lines
