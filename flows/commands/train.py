"""``overbank train``."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("train")(train_command)


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

        trained = train_model(wanted, str(out), str(data) if data else None, str(workspace) if workspace else None)
    else:
        trained = train_here(
            wanted, data, out, workspace=workspace, report=lambda p: typer.echo(progress_line(p), err=True)
        )
    typer.echo(metrics_table(trained))
