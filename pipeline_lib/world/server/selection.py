"""A search applied to the items of an archive: conditions, order, pages."""

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import shapely
from shapely.geometry import shape

from pipeline_lib.model.instant import instant_of
from pipeline_lib.world.server import cql
from pipeline_lib.world.server.archive import Entry
from pipeline_lib.world.server.query import RequestError, Search, SortBy, flat

MAX_LIMIT = 10_000
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.IGNORECASE)
_QUERY: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda have, want: bool(have == want),
    "neq": lambda have, want: bool(have != want),
    "lt": lambda have, want: bool(have < want),
    "lte": lambda have, want: bool(have <= want),
    "gt": lambda have, want: bool(have > want),
    "gte": lambda have, want: bool(have >= want),
    "in": lambda have, want: any(one in want for one in have) if isinstance(have, list) else have in want,
    "startsWith": lambda have, want: str(have).startswith(want),
    "endsWith": lambda have, want: str(have).endswith(want),
    "contains": lambda have, want: want in str(have),
}


def select(search: Search, entries: list[Entry]) -> list[Entry]:
    """Entries that fulfil every condition, in the order asked for; given newest first, they stay so by default.

    Raises:
        RequestError: a geometry, time or filter that cannot be read.
    """
    tests = [test for test in (_by_name(search), _by_time(search), _by_place(search), _by_query(search)) if test]
    if search.filter is not None:
        try:
            tree = cql.parsed(search.filter)
        except cql.FilterError as error:
            raise RequestError(str(error)) from error
        tests.append(lambda entry: cql.matches(tree, entry))
    found = [entry for entry in entries if all(test(entry) for test in tests)]
    for criterion in reversed(search.sortby or []):
        found = _sorted(found, criterion)
    return found


def page_of(found: list[Entry], search: Search) -> tuple[list[Entry], str | None]:
    """One page, and the token of the next one.

    A token names the last item of the page beside its position, so that items that appear or vanish between two pages
    shift nothing out of sight.

    Raises:
        RequestError: a token that this server never gave.
    """
    start = 0
    if search.token is not None:
        position, _, last = search.token.partition("~")
        if not position.isdigit():
            raise RequestError("token: not one of this server")
        start = int(position)
        names = [f"{entry.collection}/{entry.item_id}" for entry in found]
        if last in names:
            start = names.index(last) + 1
    page = found[start : start + min(search.limit, MAX_LIMIT)]
    end = start + len(page)
    return page, f"{end}~{page[-1].collection}/{page[-1].item_id}" if page and end < len(found) else None


def _by_name(search: Search) -> Callable[[Entry], bool] | None:
    if search.collections is None and search.ids is None:
        return None
    return lambda entry: (
        (not search.collections or entry.collection in search.collections)
        and (not search.ids or entry.item_id in search.ids)
    )


def _by_time(search: Search) -> Callable[[Entry], bool] | None:
    if not search.datetime:
        return None
    start, end = _period(search.datetime)
    return lambda entry: (start is None or entry.end >= start) and (end is None or entry.start <= end)


def _period(text: str) -> tuple[datetime | None, datetime | None]:
    """Start and end of an RFC 3339 time or interval; None is open."""
    parts = text.split("/")
    given = [part for part in parts if part not in {"", ".."}]
    if len(parts) > 2 or not given or not all(_RFC3339.fullmatch(part) for part in given):
        raise RequestError("datetime: expected an RFC 3339 time or start/end, with .. for an open end")
    bounds = [None if part in {"", ".."} else instant_of(part.upper()) for part in parts]
    start, end = bounds[0], bounds[-1]
    if len(given) != len([bound for bound in bounds if bound is not None]):
        raise RequestError("datetime: no such moment")
    if start is not None and end is not None and end < start:
        raise RequestError("datetime: the end is before the start")
    return start, end


def _by_place(search: Search) -> Callable[[Entry], bool] | None:
    if search.bbox is not None:
        west, south, east, north = flat(search.bbox)
        boxes = (
            [(west, south, east, north)]
            if west <= east
            else [(west, south, 180.0, north), (-180.0, south, east, north)]
        )
        place = shapely.union_all([shapely.box(*box) for box in boxes])
    elif search.intersects is not None:
        try:
            place = shape(search.intersects)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, shapely.errors.ShapelyError) as error:
            raise RequestError("intersects: not a GeoJSON geometry") from error
        if not place.is_valid:
            raise RequestError(f"intersects: {shapely.is_valid_reason(place)}")
    else:
        return None
    return lambda entry: bool(entry.geometry.intersects(place))


def _by_query(search: Search) -> Callable[[Entry], bool] | None:
    if not search.query:
        return None
    conditions = [(name, op, want) for name, ops in search.query.items() for op, want in ops.items()]
    return lambda entry: all(_holds(entry, name, op, want) for name, op, want in conditions)


def _holds(entry: Entry, name: str, op: str, want: Any) -> bool:
    have = _field(entry, name)
    if have is None:
        return False
    try:
        return _QUERY[op](have, _as_number(want) if isinstance(have, (int, float)) else want)
    except TypeError:
        return False


def _as_number(value: Any) -> Any:
    """A number that came as text, as from a form; anything else unchanged."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _sorted(entries: list[Entry], criterion: SortBy) -> list[Entry]:
    """Stable sort by one field; items without it come last either way."""
    have = [entry for entry in entries if _field(entry, criterion.field) is not None]
    lack = [entry for entry in entries if _field(entry, criterion.field) is None]

    def key(entry: Entry) -> tuple[str, Any]:
        """Numbers among numbers, times among times, the rest as text."""
        value = _field(entry, criterion.field)
        if isinstance(value, (int, float)):
            return ("", value)
        instant = instant_of(value)
        return (type(value).__name__, instant.isoformat() if instant else json.dumps(value, sort_keys=True))

    return [*sorted(have, key=key, reverse=criterion.direction == "desc"), *lack]


def _field(entry: Entry, name: str) -> Any:
    if name in {"id", "collection"}:
        return entry.item_id if name == "id" else entry.collection
    return entry.properties.get(name.removeprefix("properties."))
