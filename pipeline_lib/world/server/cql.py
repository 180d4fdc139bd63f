"""CQL2 filters: parsed by the `cql2` package, evaluated with SQL's three-valued logic.

A property that an item lacks is unknown (None): neither a comparison with it nor its negation matches, but
``a = 1 OR b = 2`` still matches by ``b``. Operators that are not evaluated here are refused, never ignored.

References: OGC 21-065r2, Common Query Language (CQL2).
"""

import math
import operator
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import cql2
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from pipeline_lib.model.instant import instant_of
from pipeline_lib.world.server.archive import Entry

Interval = tuple[datetime, datetime]

_FOREVER = (datetime.min.replace(tzinfo=timezone.utc), datetime.max.replace(tzinfo=timezone.utc))
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": math.fmod,
    "div": operator.floordiv,
    "^": operator.pow,
}
_SPATIAL = {
    f"s_{name}": name
    for name in ("intersects", "disjoint", "within", "contains", "equals", "touches", "crosses", "overlaps")
}
_TEMPORAL: dict[str, Callable[[Interval, Interval], bool]] = {
    "t_after": lambda a, b: a[0] > b[1],
    "t_before": lambda a, b: a[1] < b[0],
    "t_intersects": lambda a, b: a[0] <= b[1] and b[0] <= a[1],
    "t_disjoint": lambda a, b: a[0] > b[1] or b[0] > a[1],
    "t_equals": lambda a, b: a == b,
    "t_during": lambda a, b: a[0] > b[0] and a[1] < b[1],
}
_ARITY = {"not": 1, "isNull": 1, "casei": 1, "between": 3}
"""Numbers of arguments that are not two."""
KNOWN = frozenset(
    {*_COMPARE, *_ARITHMETIC, *_SPATIAL, *_TEMPORAL, "and", "or", "not", "isNull", "like", "between", "in", "casei"}
)


class FilterError(ValueError):
    """A filter that cannot be read or holds an operator that is not evaluated here."""


def parsed(filter_expression: Any) -> Any:
    """A CQL2 filter (text or JSON) as checked CQL2 JSON.

    Raises:
        FilterError: a syntax error or an unknown operator.
    """
    try:
        tree = cql2.Expr(filter_expression).to_json()
    except Exception as error:
        raise FilterError(
            f"the filter is not CQL2: {str(error).strip().splitlines()[0] if str(error) else error}"
        ) from error
    tree = _current(tree)
    _check(tree)
    if not isinstance(tree, (dict, bool)):
        raise FilterError("the filter is not a condition")
    return tree


def matches(tree: Any, entry: Entry) -> bool:
    """Whether an item fulfils a parsed filter; unknown is not fulfilled."""
    return _value(tree, entry) is True


def _current(node: Any) -> Any:
    """The tree with the bounds of ``between`` side by side; drafts of CQL2 had them in a list."""
    if isinstance(node, list):
        return [_current(part) for part in node]
    if not isinstance(node, dict):
        return node
    args = node.get("args")
    if node.get("op") == "between" and isinstance(args, list) and len(args) == 2 and isinstance(args[1], list):
        node = {**node, "args": [args[0], *args[1]]}
    return {key: _current(part) for key, part in node.items()}


def _check(node: Any) -> None:
    """Refuse unknown operators and wrong numbers of arguments, anywhere in the tree."""
    if isinstance(node, list):
        for part in node:
            _check(part)
    elif isinstance(node, dict) and "op" in node:
        op, args = node["op"], node.get("args")
        if op not in KNOWN:
            raise FilterError(f"the operator {op!r} is not supported")
        if not isinstance(args, list) or (len(args) != _ARITY.get(op, 2) if op not in {"and", "or"} else not args):
            raise FilterError(f"the operator {op!r} has the wrong number of arguments")
        if op == "in" and not isinstance(args[1], list):
            raise FilterError("the operator 'in' expects a list of values")
        _check(args)


def _value(node: Any, entry: Entry) -> Any:
    """Value of an expression for an item; None is unknown."""
    if isinstance(node, list):
        return [_value(part, entry) for part in node]
    if isinstance(node, dict) and "property" in node:
        return _property(str(node["property"]), entry)
    if isinstance(node, dict) and "op" in node:
        return _operation(str(node["op"]), node["args"], entry)
    return _literal(node) if isinstance(node, dict) else node


def _literal(node: dict[str, Any]) -> Any:
    """A time, an interval or a geometry."""
    if "timestamp" in node or "date" in node:
        return _instant(node)
    if "interval" in node:
        return tuple(_bound(part, side) for side, part in enumerate(node["interval"]))
    return shape({"type": "Polygon", "coordinates": [_ring(node["bbox"])]}) if "bbox" in node else shape(node)


def _operation(op: str, args: list[Any], entry: Entry) -> Any:
    if op in {"and", "or"}:
        return _kleene(op, [_value(part, entry) for part in args])
    values = [_value(part, entry) for part in args]
    if op == "isNull":
        return values[0] is None
    if any(value is None for value in values):
        return None
    return _SPECIAL[op](*values) if op in _SPECIAL else _binary(op, values[0], values[1])


def _binary(op: str, left: Any, right: Any) -> Any:
    """Comparison, arithmetic, spatial or temporal relation of two known values."""
    if op in _COMPARE:
        return _compared(op, left, right)
    if op in _ARITHMETIC:
        try:
            return _ARITHMETIC[op](left, right)
        except (TypeError, ZeroDivisionError, ValueError, OverflowError):
            return None
    if op in _SPATIAL:
        both = isinstance(left, BaseGeometry) and isinstance(right, BaseGeometry)
        return bool(getattr(left, _SPATIAL[op])(right)) if both else None
    first, second = _interval(left), _interval(right)
    return None if first is None or second is None else _TEMPORAL[op](first, second)


def _compared(op: str, left: Any, right: Any) -> bool | None:
    """Comparison of like with like; a text that is a time is compared as one; unlike types are unknown."""
    if left is None or right is None:
        return None
    if isinstance(left, datetime) or isinstance(right, datetime):
        left, right = _as_time(left), _as_time(right)
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in (left, right))
    if not numbers and type(left) is not type(right):
        return None
    try:
        return bool(_COMPARE[op](left, right))
    except TypeError:
        return None


def _kleene(op: str, values: list[bool | None]) -> bool | None:
    deciding = op == "or"
    if any(value is deciding for value in values):
        return deciding
    return None if any(value is None for value in values) else not deciding


def _like(value: Any, pattern: Any) -> bool | None:
    """SQL LIKE: ``%`` any text, ``_`` one character, backslash escapes."""
    if not isinstance(value, str) or not isinstance(pattern, str):
        return None
    letters = re.findall(r"\\.|.", pattern, flags=re.DOTALL)
    parts = [{"%": ".*", "_": "."}.get(letter, re.escape(letter[-1])) for letter in letters]
    return re.fullmatch("".join(parts), value, flags=re.DOTALL) is not None


_SPECIAL: dict[str, Callable[..., Any]] = {
    "not": operator.not_,
    "in": lambda value, options: _kleene("or", [_compared("=", value, one) for one in options]),
    "between": lambda value, low, high: _kleene("and", [_compared(">=", value, low), _compared("<=", value, high)]),
    "like": _like,
    "casei": lambda value: value.casefold() if isinstance(value, str) else value,
}


def _property(name: str, entry: Entry) -> Any:
    """A queryable: id, collection, geometry, datetime (as time), or a property by its name."""
    if name in {"id", "collection"}:
        return entry.item_id if name == "id" else entry.collection
    if name == "geometry":
        return entry.geometry
    value = entry.properties.get(name.removeprefix("properties."))
    return _as_time(value) if name.endswith("datetime") else value


def _instant(node: dict[str, Any]) -> datetime | Interval | None:
    if "timestamp" in node:
        return instant_of(node["timestamp"])
    day = instant_of(node["date"])
    return None if day is None else (day, day + timedelta(days=1) - timedelta(microseconds=1))


def _bound(part: Any, side: int) -> datetime:
    text = part.get("timestamp") or part.get("date") if isinstance(part, dict) else part
    return _FOREVER[side] if text in {"..", "", None} else instant_of(text) or _FOREVER[side]


def _interval(value: Any) -> Interval | None:
    value = _as_time(value)
    if isinstance(value, datetime):
        return (value, value)
    return value if isinstance(value, tuple) else None


def _as_time(value: Any) -> Any:
    return (instant_of(value) or value) if isinstance(value, str) else value


def _ring(bbox: list[float]) -> list[tuple[float, float]]:
    half = len(bbox) // 2
    west, south, east, north = bbox[0], bbox[1], bbox[half], bbox[half + 1]
    return [(west, south), (east, south), (east, north), (west, north), (west, south)]
