"""Reference of the options, from the models that check them."""

import importlib
import inspect
import pkgutil
from enum import Enum
from types import ModuleType
from typing import Any

import pipeline_lib.options
from pipeline_lib.options import Options


def page() -> str:
    """Markdown of every options model: field, type, default, bounds, meaning."""
    parts = [
        "# Options\n",
        (
            "Generated from the models that check them. `--options FILE` of `overbank map` and `plan` takes a YAML file "
            "with the fields of [MapOptions](#mapoptions); a field that does not exist, or a value out of bounds, is an "
            "error and not a default. A detector's own options stand under `detector_options`.\n"
        ),
    ]
    for module in modules():
        models = models_of(module)
        if models:
            parts += [f"## {module.__name__.rsplit('.', 1)[1]}\n", f"{(module.__doc__ or '').strip()}\n"]
            parts += [table(model) for model in models]
    return "\n".join(parts)


def modules() -> list[ModuleType]:
    """The modules of options, that of a whole run first."""
    names = [found.name for found in pkgutil.iter_modules(pipeline_lib.options.__path__)]
    names.sort(key=lambda name: (name != "map_event", name))
    return [importlib.import_module(f"pipeline_lib.options.{name}") for name in names]


def models_of(module: ModuleType) -> list[type[Options]]:
    """Models that a module itself defines and that have fields."""
    return [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, Options)
        and value.__module__ == module.__name__
        and value.model_fields
    ]


def table(model: type[Options]) -> str:
    """One model as a heading, a sentence and a table."""
    schema = model.model_json_schema()
    rows = [
        f"### {model.__name__}\n",
        f"{inspect.getdoc(model) or ''}\n",
        "| field | type | default | |",
        "|---|---|---|---|",
    ]
    for name, field in model.model_fields.items():
        found = schema["properties"][field.alias or name]
        default = "required" if field.is_required() else _default(field.get_default(call_default_factory=True))
        text = " ".join((field.description or "").split()).replace("|", "\\|")
        kind = _kind(found, schema.get("$defs", {}))
        rows.append(f"| `{name}` | {kind} | {default} | {text} |")
    return "\n".join([*rows, ""])


def _default(value: object) -> str:
    if isinstance(value, Options):
        return f"[as there](#{type(value).__name__.lower()})"
    return f"`{value.value if isinstance(value, Enum) else value!r}`"


def _kind(found: dict[str, Any], defined: dict[str, Any]) -> str:
    if "$ref" in found:
        name = found["$ref"].rsplit("/", 1)[1]
        return _kind(defined[name], defined) if "enum" in defined[name] else f"[{name}](#{name.lower()})"
    for several in ("anyOf", "allOf", "oneOf"):
        if several in found:
            return " or ".join(_kind(one, defined) for one in found[several])
    if "enum" in found:
        return " or ".join(f"`{value}`" for value in found["enum"])
    if "const" in found:
        return f"`{found['const']}`"
    text = str(found.get("type", "any"))
    if text == "array" and isinstance(found.get("items"), dict):
        text = f"list of {_kind(found['items'], defined)}"
    bounds = [
        f"{sign} {found[key]}"
        for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if key in found
    ]
    return ", ".join([text, *bounds])
