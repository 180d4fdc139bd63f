"""``overbank evaluate``, ``overbank score`` and ``overbank segment``."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command("evaluate")(evaluate_command)
    app.command("score")(score_command)
    app.command("segment")(segment_command)


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
    against: Annotated[
        Path | None, typer.Option(help="scores.json of another method on the same chips: say which one is better.")
    ] = None,
) -> None:
    """Score a detector or a model on a labelled data set."""
    from flows.named_values import named_values
    from pipeline_lib.errors import InputError
    from pipeline_lib.options.evaluate import EvaluateOptions
    from pipeline_lib.steps.evaluate import evaluate, read_evaluation, write_evaluation
    from pipeline_lib.steps.score_text import difference_text, score_text

    if target not in {"auto", "water", "flood"}:
        raise InputError(f"--target is {target!r}; expected auto, water or flood.")
    options = EvaluateOptions(
        dataset=dataset,
        root=root,
        split=split,
        detector=detector,
        model=model,
        parameters=named_values(option),
        target=target,
    )
    other = None if against is None else read_evaluation(against)
    evaluation = evaluate(options, plot=plot)
    if out is not None:
        write_evaluation(evaluation, out)
    typer.echo(score_text(evaluation))
    if other is not None:
        typer.echo(difference_text(evaluation, other))


def score_command(
    predicted: Annotated[Path, typer.Argument(help="Folder of a published event, or a class raster.")],
    reference: Annotated[Path, typer.Argument(help="Outside map: class raster, or polygons of water.")],
    layer: Annotated[str, typer.Option(help="Layer of the event: flood_extent, water_extent ...")] = "flood_extent",
    reference_format: Annotated[
        str, typer.Option("--format", help="auto, codes, gfm, dswx-s1, dswx-hls, polygons.")
    ] = "auto",
    positive: Annotated[str, typer.Option(help="Codes of the predicted map that mean water, as 1,3.")] = "1",
    reference_positive: Annotated[str, typer.Option(help="The same of the reference; with --format codes.")] = "1",
    reference_negative: Annotated[str, typer.Option(help="Codes of the reference that mean dry.")] = "0",
    area: Annotated[Path | None, typer.Option(help="Polygons inside which the reference was mapped.")] = None,
    exclusion: Annotated[
        Path | None, typer.Option(help="Raster that is 1 where the reference gives no answer, as GFM's exclusion mask.")
    ] = None,
    grid: Annotated[
        str, typer.Option(help="Compare on the grid of the predicted or of the reference map.")
    ] = "predicted",
    out: Annotated[Path | None, typer.Option(help="Write scores.json here.")] = None,
) -> None:
    """Compare a flood map with an outside map on the pixels valid in both."""
    from pipeline_lib.options.evaluate import ScoreOptions
    from pipeline_lib.steps.evaluate import write_evaluation
    from pipeline_lib.steps.score import score_maps
    from pipeline_lib.steps.score_text import score_text

    options = ScoreOptions.model_validate(
        {
            "layer": layer,
            "reference_format": reference_format,
            "positive": _codes(positive),
            "reference_positive": _codes(reference_positive),
            "reference_negative": _codes(reference_negative),
            "area": area,
            "exclusion": exclusion,
            "grid": grid,
        }
    )
    evaluation = score_maps(predicted, reference, options)
    if out is not None:
        write_evaluation(evaluation, out)
    typer.echo(score_text(evaluation))


def _codes(text: str) -> tuple[int, ...]:
    from pipeline_lib.errors import InputError

    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"Codes are {text!r}; expected whole numbers as 1,3.") from error


def segment_command(
    raster: Annotated[Path, typer.Argument(help="Radar backscatter, or an optical image with --optical.")],
    out: Annotated[Path, typer.Option(help="GeoTIFF of labels to write (0 = no data).")],
    method: Annotated[str, typer.Option(help="region-growing, hysteresis, kmeans, gmm, split-merge.")] = "split-merge",
    option: Annotated[list[str] | None, typer.Option(help="Method's option as NAME=VALUE; may be repeated.")] = None,
    optical: Annotated[
        bool, typer.Option("--optical", help="Bands are reflectance or grey values, not radar.")
    ] = False,
) -> None:
    """Cut an image into segments by region growing, clustering, or split and merge."""
    from flows.named_values import named_values
    from pipeline_lib.steps.segment import segment_raster

    count = segment_raster(raster, out, method=method, parameters=named_values(option), optical=optical)
    typer.echo(f"{count} segments in {out}")
