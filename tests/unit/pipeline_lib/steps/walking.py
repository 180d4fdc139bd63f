"""The fields of a model, one by one: their paths, and the model with another value in one of them."""

from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError


def leaves(value: Any, path: str = "", stop: frozenset[str] = frozenset()) -> list[str]:
    """Paths of all fields of a model, through the models in it."""
    if isinstance(value, BaseModel):
        found = [(name, getattr(value, name)) for name in type(value).model_fields]
    elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
        found = list(enumerate(value))
    else:
        return [path]
    return [
        leaf
        for name, part in found
        for leaf in ([name] if name in stop else leaves(part, f"{path}.{name}" if path else f"{name}", stop))
    ]


def changed(model: Any, path: str, value: Any = None) -> Any:
    """The same with another value that the field at ``path`` may have."""
    name, _, rest = path.partition(".")
    if isinstance(model, tuple):
        return tuple(changed(one, rest, value) if str(k) == name else one for k, one in enumerate(model))
    new = changed(getattr(model, name), rest, value) if rest else other(model, name) if value is None else value
    return model.model_copy(update={name: new})


def other(model: BaseModel, name: str) -> Any:
    """A value of a field that differs from its own and that the model accepts."""
    mine, tried = getattr(model, name), []
    for candidate in candidates(mine, type(model).model_fields[name].annotation):
        try:
            made = getattr(type(model).model_validate({**dict(model), name: candidate}), name)
        except (ValidationError, ValueError, TypeError):
            tried.append(candidate)
            continue
        if made != mine:
            return made
    raise AssertionError(f"no other value for {type(model).__name__}.{name} = {mine!r}; tried {tried}")


def candidates(value: Any, annotation: Any) -> list[Any]:
    found = [one for one in literals(annotation) if one != value]
    match value:
        case bool():
            found += [not value]
        case Enum():
            found += [one for one in type(value) if one is not value]
        case int() | float():
            found += [value + 1, value - 1, value * 1.5, value / 2 + 0.01, value * 0.99]
        case str():
            found += [f"{value}x"]
        case datetime():
            found += [value + timedelta(seconds=1)]
        case tuple():
            rising = tuple(one + 1 if isinstance(one, (int, float)) else one for one in value)
            found += [rising, value[:-1], (*value, *value[:1]), ("vv",), ("x",), (1.0, 2.0)]
        case dict():
            texts = {key: f"{text}x" if isinstance(text, str) else text for key, text in value.items()}
            found += [texts, {**value, "more": "x"}]
        case _:
            found += [0.5, 1, "vv", ("vv",), ("x",), (1.0, 2.0)]
    return found


def literals(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    return [one for part in get_args(annotation) for one in literals(part)]
