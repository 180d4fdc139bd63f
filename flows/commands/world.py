"""``overbank world``: the simulated flood, built into a folder, served as an archive, and what maps of it score."""

from pathlib import Path
from typing import Annotated

import typer

world_app = typer.Typer(
    no_args_is_help=True, help="The simulated flood with exact truth: build it, serve it, score a map."
)


@world_app.command("build")
def build(
    folder: Annotated[Path, typer.Argument(help="Where the world is to be.")],
    seed: Annotated[int, typer.Option(help="Another seed is another landscape and flood.")] = 7,
    size: Annotated[int, typer.Option(help="Pixels of 10 m along each side.")] = 1152,
    grd: Annotated[bool, typer.Option("--grd", help="Also write GRD products (SAFE); takes a minute more.")] = False,
) -> None:
    """Simulate a flood and write it in the formats of the real archives, with the truth of every date."""
    from pipeline_lib.steps.world import build_world

    typer.echo(build_world(folder, seed=seed, size=size, grd=grd))


@world_app.command("serve")
def serve_command(
    folder: Annotated[Path, typer.Argument(help="A world folder, as `overbank world build` makes it.")],
    host: Annotated[str, typer.Option(help="Address to listen on; other machines reach 0.0.0.0.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8080,
    fault: Annotated[
        list[str] | None, typer.Option(help="Break every request that this fault is made for; may be repeated.")
    ] = None,
) -> None:
    """Serve a world folder as a STAC API with its assets, until stopped."""
    from pipeline_lib.world.server.faults import Faults, Rule
    from pipeline_lib.world.server.serving import serve_until_stopped

    faults = Faults([Rule(name, times=None) for name in fault]) if fault else None
    serve_until_stopped(folder, host, port, faults=faults, ready=lambda url: typer.echo(f"STAC API with assets: {url}"))


@world_app.command("score")
def score_command(
    event_id: Annotated[str, typer.Argument(help="A published event, mapped from the world's archive.")],
    folder: Annotated[Path, typer.Argument(help="The world's folder.")],
    out: Annotated[Path, typer.Option(help="Folder of published events.")] = Path("out"),
) -> None:
    """Score a published event against the exact truth of the simulated flood, pass by pass."""
    from pipeline_lib.steps.score_event import score_event, scores_text

    typer.echo(scores_text(score_event(out, event_id, folder)))


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(world_app, name="world")
