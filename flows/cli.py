"""The ``overbank`` command: collects the commands, and turns deliberate errors into one sentence and an exit code."""

import importlib
import os
import pkgutil
import sys
from typing import Annotated, NoReturn

import typer

from flows import commands

FIRST = ("map_event", "watch", "up", "events", "serve", "detect")
"""Commands that ``overbank --help`` lists first; the others follow by name."""


def groups() -> list[str]:
    """Modules of `flows.commands`, each with a ``register(app)``, in the order of ``overbank --help``."""
    found = sorted(module.name for module in pkgutil.iter_modules(commands.__path__))
    return [name for name in FIRST if name in found] + [name for name in found if name not in FIRST]


def show_version(wanted: bool) -> None:
    """Print version and provenance, and leave, where ``--version`` was given."""
    if wanted:
        from pipeline_lib.steps.provenance import version_text

        typer.echo(version_text())
        raise typer.Exit


def build_app() -> typer.Typer:
    """Assemble the command from its groups."""
    app = typer.Typer(
        name="overbank",
        help="Flood maps from Sentinel-1: search, map, publish, watch.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )

    @app.callback()
    def options(
        version: Annotated[  # noqa: ARG001 - its callback has printed and left
            bool,
            typer.Option(
                "--version", is_eager=True, callback=show_version, help="Print version and provenance, and leave."
            ),
        ] = False,
        debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and every log line.")] = False,
    ) -> None:
        """What every command knows."""
        if debug:
            os.environ["OVERBANK_DEBUG"] = "1"

    for group in groups():
        importlib.import_module(f"flows.commands.{group}").register(app)
    return app


def main() -> NoReturn:
    """Run the command line; never a traceback for a deliberate error unless ``--debug``."""
    try:
        build_app()()
    except Exception as error:  # the outermost frame: everything ends here, as a sentence or as a traceback
        if os.environ.get("OVERBANK_DEBUG"):
            raise
        sentence, code = describe(error)
        sys.stderr.write(f"overbank: {sentence}\n")
        sys.exit(code)
    sys.exit(0)


def describe(error: BaseException) -> tuple[str, int]:
    """One sentence and an exit code for an error; unexpected ones ask for ``--debug``."""
    from pydantic import ValidationError

    from pipeline_lib.errors import InputError, OverbankError

    if isinstance(error, OverbankError):
        return str(error), error.exit_code
    if isinstance(error, ValidationError):
        problems = []
        for problem in error.errors(include_url=False):
            cause = problem.get("ctx", {}).get("error")
            where = ".".join(map(str, problem["loc"]))
            problems.append(
                str(cause)
                if isinstance(cause, OverbankError)
                else f"{where or error.title}: {problem['msg']} (got {problem['input']!r:.80})"
            )
        return "; ".join(problems), InputError.exit_code
    if "ephemeral Prefect API server" in str(error):
        waited = os.environ.get("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "20")
        return (
            f"the embedded Prefect server did not answer within {waited} s, as it may on a machine that is busy, or "
            "where a newer Prefect made its database; try again, set PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS "
            "to more seconds or PREFECT_HOME to an empty folder, or name a server that runs with PREFECT_API_URL "
            "(`overbank up` starts one)"
        ), 70
    return f"unexpected {type(error).__name__}: {error} (run again with --debug for the traceback)", 70
