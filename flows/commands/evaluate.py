"""``overbank evaluate``, ``overbank score`` and ``overbank segment``."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command("evaluate")(evaluate_command)


def evaluate_command(
    dataset: Annotated[
        str, typer.Option(help="sen1floods11, etci2021, ombria, cems, chips, world (all water) or world-flood.")
    ],
    root: Annotated[Path, typer.Option(help="Folder of the data set; it may hold one split only.")],
    split: Annotated[
        str | None, typer.Option(help="train, valid, test, bolivia; all labelled chips without it.")
    ] = None,
    detector: Annotated[str | None, typer.Option(help="Water detector; `overbank detectors` lists them.")] = None,
    model: Annotated[Path | None, typer.Option(help="Trained model, instead of a detector.")] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="Detector's own option as NAME=VALUE (VALUE in JSON); may be repeated.")
    ] = None,
    target: Annotated[
        str, typer.Option(help="water, flood (water now and not before), or auto: what the label means.")
    ] = "auto",
    out: Annotated[Path | None, typer.Option(help="Write scores.json here.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Folder for pictures of every chip and the calibration.")] = None,
) -> None:
    """Score a detector or a model on a labelled data set."""
    from pipeline_lib.errors import InputError
    from pipeline_lib.options.evaluate import EvaluateOptions
    from pipeline_lib.steps.evaluate import evaluate, write_evaluation
    from pipeline_lib.steps.score_text import score_text

    if target not in {"auto", "water", "flood"}:
        raise InputError(f"--target is {target!r}; expected auto, water or flood.")
    options = EvaluateOptions(
        dataset=dataset,
        root=root,
        split=split,
        detector=detector,
        model=model,
        parameters=_parameters(option or []),
        target=target,
    )
    evaluation = evaluate(options, plot=plot)
    if out is not None:
        write_evaluation(evaluation, out)
    typer.echo(score_text(evaluation))


def _parameters(pairs: list[str]) -> dict[str, object]:
    import json

    from pipeline_lib.errors import InputError

    found: dict[str, object] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise InputError(f"--option is {pair!r}; expected NAME=VALUE.")
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found
