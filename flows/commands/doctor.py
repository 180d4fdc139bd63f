"""``overbank doctor``."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("doctor")(doctor_command)


def doctor_command(
    catalog: Annotated[
        str | None,
        typer.Option(
            "--catalog",
            "--catalogue",
            help="Catalogue that must be reachable: a name or a URL; all known ones without it.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder that results are to be written to.")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Say what would go wrong on this machine, and how to mend it; exit code 1 where a run would fail."""
    import json

    from pipeline_lib.steps.doctor import doctor_text, examine, exit_code

    findings = examine(catalog, out)
    if as_json:
        typer.echo(json.dumps([one.model_dump(mode="json") for one in findings], indent=2))
    else:
        typer.echo(doctor_text(findings), nl=False)
    raise typer.Exit(exit_code(findings))
