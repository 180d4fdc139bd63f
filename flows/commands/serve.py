"""``overbank serve``: pages and map tiles of published events."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("serve")(serve_command)


def serve_command(
    out: Annotated[Path, typer.Argument(help="Folder of all events, as given to `overbank map --out`.")],
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for everybody.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
) -> None:
    """Serve pages, files and full-resolution map tiles of events."""
    from pipeline_lib.steps.serve import serve

    serve(out, host, port, ready=lambda url: typer.echo(f"{url} (stop with Ctrl-C)"))
