"""Reference of the command line, from the commands themselves."""

from typing import Any

import typer

from flows.cli import build_app


def page() -> str:
    """Markdown of every command: usage, arguments, options, defaults."""
    group = typer.main.get_command(build_app())
    parts = [
        "# The command line\n",
        "Generated from the commands; `overbank COMMAND --help` says the same.\n",
        "Exit codes: 0 done; 2 wrong use; others as [the errors](python/errors.md) give them, one sentence on stderr.\n",
    ]
    for name, command in sorted(group.commands.items()):
        parts.append(section(f"overbank {name}", command, level=2))
    return "\n".join(parts)


def section(name: str, command: Any, *, level: int) -> str:
    """One command, or a group with the commands in it."""
    parts = [f"{'#' * level} `{name}`\n", f"{command.help or ''}\n"]
    children = getattr(command, "commands", None)
    if children:
        parts += [section(f"{name} {child}", inner, level=level + 1) for child, inner in sorted(children.items())]
        return "\n".join(parts)
    shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
    arguments = [parameter for parameter in shown if parameter.param_type_name == "argument"]
    words = [_argument(argument) for argument in arguments]
    flags = ["[OPTIONS]"] if len(shown) > len(arguments) else []
    parts.append(f"```console\n{' '.join([name, *flags, *words])}\n```\n")
    if shown:
        parts += ["| | type | default | |", "|---|---|---|---|", *map(_row, shown), ""]
    return "\n".join(parts)


def _argument(argument: Any) -> str:
    word = argument.name.upper() + ("..." if argument.nargs == -1 else "")
    return word if argument.required else f"[{word}]"


def _row(parameter: Any) -> str:
    is_argument = parameter.param_type_name == "argument"
    names = [_argument(parameter)] if is_argument else [*parameter.opts, *parameter.secondary_opts]
    annotation = getattr(parameter.type_descriptor, "annotation", None)
    kind = getattr(annotation, "__name__", str(annotation))
    default = "required" if parameter.required else _default(parameter.default)
    text = (parameter.help or "").replace("|", "\\|")
    return f"| {', '.join(f'`{name}`' for name in names)} | {kind} | {default} | {text} |"


def _default(value: Any) -> str:
    if value is None or value in ((), []) or callable(value):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
