"""``overbank models``: list, show, export, quantize, compare."""

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[str, typer.Argument(help="Folder of a model, or the name of a shipped one.")]


def register(app: typer.Typer) -> None:
    """Add the ``models`` group to the app."""
    group = typer.Typer(help="Trained models: what there is, and other forms of it.", no_args_is_help=True)
    for name, command in (
        ("list", list_command),
        ("show", show),
        ("export", export),
        ("quantize", quantize),
        ("compare", compare),
    ):
        group.command(name)(command)
    app.add_typer(group, name="models")


def list_command() -> None:
    """List the models that come with overbank."""
    from pipeline_lib.steps.models import list_models

    for line in list_models():
        typer.echo(f"{line.name}  finds {line.target} in {line.bands}  {line.megabytes:.2f} MB\n    {line.description}")


def show(model: Model) -> None:
    """Show a model's card; every file's digest is checked."""
    from pipeline_lib.steps.models import show_model

    typer.echo(show_model(model))


def export(model: Model, out: Annotated[Path, typer.Option(help="Folder to make.")]) -> None:
    """Copy a model (safetensors, ONNX, card, STAC item) to a folder of its own."""
    from pipeline_lib.steps.models import export_model

    for path in sorted(export_model(model, out).iterdir()):
        typer.echo(str(path))


def quantize(
    model: Model,
    dataset: Annotated[str | None, typer.Option(help="Set whose chips calibrate; simulated scenes without.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of that set.")] = None,
) -> None:
    """Add an int8 version to a model folder."""
    from pipeline_lib.steps.models import quantize_model

    typer.echo(str(quantize_model(model, data, dataset).onnx(int8=True)))


def compare(
    models: Annotated[list[str], typer.Argument(help="Models; NAME@BACKEND chooses a backend for one.")],
    dataset: Annotated[str, typer.Option(help="Labelled set to compare on.")],
    data: Annotated[Path, typer.Option(help="Folder of that set.")],
    split: Annotated[str | None, typer.Option(help="Split of the set; all labelled chips without.")] = None,
) -> None:
    """Compare models on one labelled set: pooled figures, one line a model."""
    from pipeline_lib.steps.models import compare_models

    rows = compare_models(models, dataset, data, split=split)
    names = list(rows[0])
    typer.echo(f"| {' | '.join(names)} |\n{'|---' * len(names)}|")
    for row in rows:
        shown = (f"{value:.4f}" if isinstance(value, float) else str(value) for value in row.values())
        typer.echo(f"| {' | '.join(shown)} |")
