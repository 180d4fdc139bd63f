"""Watches in words, and watches from words."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shapely.geometry import shape

from pipeline_lib.errors import InputError
from pipeline_lib.grid import choose_grid
from pipeline_lib.model.instant import instant_of
from pipeline_lib.options.map_event import MapOptions
from pipeline_lib.place import described
from pipeline_lib.steps.event import area_of_flags
from pipeline_lib.watch import Register, Watch

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
    publish_if: dict[str, float],
    options: MapOptions,
) -> Watch:
    """Make a watch from command-line flags.

    Raises:
        InputError: a flag cannot be meant.
        AreaError: the area cannot be mapped as one event: every poll would fail.
    """
    area = area_of_flags(bbox, aoi)
    choose_grid(area, pixel_m=options.plan.pixel_m)
    fields = {
        "name": name,
        "aoi": area,
        "catalog": catalog,
        "since": datetime.now(UTC) if since is None else instant(since),
        "every_minutes": duration(every).total_seconds() / 60,
        "grace_minutes": duration(grace).total_seconds() / 60,
        "publish_if": publish_if,
        "options": options.model_dump(mode="json"),
    }
    return Watch.model_validate(fields)


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
    lines = []
    for state in register.watches():
        passes = register.passes(state.watch.name)
        last = f"{state.last_poll:%Y-%m-%d %H:%M} UTC" if state.last_poll else "never"
        condition = "paused" if state.paused else f"every {state.watch.every_minutes:g} min"
        lines.append(
            f"{state.watch.name}: {condition}, last poll {last}, {len(passes)} passes, "
            f"{sum(one.state == 'mapped' for one in passes)} mapped, catalogue {state.watch.catalog}"
        )
    return lines or ["No watches; add one with `overbank watch add NAME --aoi FILE`."]


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
