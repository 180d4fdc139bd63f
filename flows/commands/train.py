"""``overbank train``."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command("train")(train_command)
    app.command("chips")(chips_command)


def train_command(
    recipe: Annotated[Path, typer.Argument(help="Recipe (YAML); see the folder recipes/.")],
    out: Annotated[Path, typer.Option(help="Folder of the model to write.")],
    data: Annotated[Path | None, typer.Option(help="Folder of the recipe's data; simulated worlds need none.")] = None,
    workspace: Annotated[
        Path | None, typer.Option(help="Folder of chips and checkpoints; OUT.training without it.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the recipe's seed.")] = None,
    test_fold: Annotated[
        int | None, typer.Option(help="Instead of the recipe's test fold; -1 keeps none for testing.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto (the GPU where there is one), cpu or cuda.")] = "auto",
    flow: Annotated[bool, typer.Option(help="Run as a Prefect flow; --no-flow trains in this process alone.")] = True,
) -> None:
    """Train a model by a recipe; killed and started again, it goes on where it was."""
    from pipeline_lib.steps.train import metrics_table, progress_line, read_recipe
    from pipeline_lib.steps.train import train_model as train_here

    wanted = read_recipe(recipe, seed=seed, test_fold=test_fold)
    if flow:
        from flows.embedded import set_prefect_environment

        set_prefect_environment()
        from flows.train import train_model

        where = str(data) if data else None, str(workspace) if workspace else None
        trained = train_model(wanted, str(out), *where, device=device)
    else:
        trained = train_here(
            wanted,
            data,
            out,
            workspace=workspace,
            report=lambda p: typer.echo(progress_line(p), err=True),
            device=device,
        )
    typer.echo(metrics_table(trained))


def chips_command(
    recipe: Annotated[Path, typer.Argument(help="Recipe (YAML) whose bands the store is to hold.")],
    events: Annotated[list[Path], typer.Argument(help="Events (YAML or GeoJSON); each is a group no split parts.")],
    catalog: Annotated[
        str,
        typer.Option("--catalog", "--catalogue", help="URL of a STAC API, or planetary-computer, earth-search, cdse."),
    ],
    out: Annotated[Path, typer.Option(help="Chip store to write (Zarr); give it to a recipe of dataset: store.")],
) -> None:
    """Build a chip store from STAC events: radar passes labelled by the Sentinel-2 overpass nearest in time."""
    from pipeline_lib.steps.event import read_event
    from pipeline_lib.steps.train import read_recipe

    wanted, read = read_recipe(recipe), [read_event(path) for path in events]
    from flows.embedded import set_prefect_environment

    set_prefect_environment()
    from flows.chips import build_chips

    typer.echo(f"{build_chips(wanted, read, catalog, str(out))} chips in {out}")
