"""``overbank up``, ``down`` and ``status``: a desk that runs by itself on one machine."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from flows.desk.services import Desk

Out = Annotated[Path, typer.Option(help="Folder of published events.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command("up")(up)
    app.command("down")(down)
    app.command("status")(status)
    app.command("tend", hidden=True)(tend)


def up(
    out: Out = Path("out"),
    host: Annotated[str, typer.Option(help="Address to listen on; beyond loopback --auth is needed.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the Prefect UI.")] = 4200,
    pages_port: Annotated[int, typer.Option(help="Port of the event pages.")] = 4280,
    dask_workers: Annotated[int, typer.Option(help="Processes of a local Dask cluster; 0 for threads.")] = 0,
    auth: Annotated[str | None, typer.Option(help="user:password of the server.", envvar="OVERBANK_AUTH")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return once everything is up.")] = False,
) -> None:
    """Start server, worker, schedules and pages, and keep them running."""
    from flows.desk.services import Desk
    from flows.desk.setup import apply
    from flows.desk.start import check_exposure, start_detached
    from flows.desk.supervisor import Supervisor

    desk = Desk(out=out.resolve(), host=host, port=port, pages_port=pages_port, dask_workers=dask_workers, auth=auth)
    check_exposure(desk)
    if detach:
        start_detached(desk)
    else:
        Supervisor(desk, apply).run(lambda line: typer.echo(line, err=True))
    typer.echo(f"UI: {desk.ui_url}  pages: {desk.pages_url}  events: {desk.out}")


def down(out: Out = Path("out")) -> None:
    """Stop a desk and everything it started."""
    from flows.desk.start import stop

    typer.echo("stopped" if stop(_desk(out)) else f"no desk runs for {out}")


def tend(
    out: Annotated[Path, typer.Option(envvar="OVERBANK_OUT", help="Folder of published events.")],
    local: Annotated[bool, typer.Option("--local", help="All workers are on this machine.")] = False,
) -> None:
    """Deliver news, end dead runs and send lost events again, until stopped: a part of every desk."""
    from flows.embedded import set_prefect_environment

    set_prefect_environment()
    from flows.desk.tend import tend as look_after

    look_after(out.resolve(), lambda line: typer.echo(line, err=True), local=local)


def status(
    out: Out = Path("out"),
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for a program.")] = False,
) -> None:
    """Say what runs, what is watched, and what was published."""
    from flows.desk.start import status_document, status_lines

    if as_json:
        document = status_document(_desk(out))
        typer.echo(json.dumps(document, indent=2))
        raise typer.Exit(0 if document["healthy"] else 1)
    lines, healthy = status_lines(_desk(out))
    for line in lines:
        typer.echo(line)
    raise typer.Exit(0 if healthy else 1)


def _desk(out: Path) -> "Desk":
    from flows.desk.services import desk_of

    return desk_of(out)
