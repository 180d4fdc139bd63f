"""``overbank detect`` and ``overbank detectors``."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command("detect")(detect_command)
    app.command("detectors")(detectors_command)


def detect_command(
    scene: Annotated[Path, typer.Argument(help="Raster of calibrated backscatter: VV and/or VH, dB or linear power.")],
    out: Annotated[Path, typer.Option(help="Folder for water.tif, likelihood.tif and water.png.")],
    reference: Annotated[
        Path | None, typer.Option(help="Raster of the same grid and orbit from before the flood.")
    ] = None,
    detector: Annotated[str, typer.Option(help="Water detector; `overbank detectors` lists them.")] = "default",
    option: Annotated[
        list[str] | None, typer.Option(help="Detector's own option as NAME=VALUE (VALUE in JSON); may be repeated.")
    ] = None,
    scale: Annotated[
        str | None, typer.Option(help="db, linear (power) or amplitude; told from the file without it.")
    ] = None,
    polarisations: Annotated[
        str | None, typer.Option(help="Names of the bands in order, as VV,VH; told from the file without it.")
    ] = None,
    nodata: Annotated[
        str | None, typer.Option(help="One more value that is no data; none: every value was measured.")
    ] = None,
) -> None:
    """Find water in any Sentinel-1 raster of your own."""
    from flows.named_values import named_values
    from pipeline_lib.errors import InputError
    from pipeline_lib.steps.detect import detect_raster

    if scale not in {None, "db", "linear", "amplitude"}:
        raise InputError(f"--scale is {scale!r}; it can be db, linear or amplitude.")
    try:
        fill = None if nodata is None else float("nan" if nodata == "none" else nodata)
    except ValueError as error:
        raise InputError(f"--nodata is {nodata!r}; expected a number, or none.") from error
    names = tuple(name.strip() for name in polarisations.split(",")) if polarisations else None
    found = detect_raster(
        scene,
        out,
        reference=reference,
        name=detector,
        parameters=named_values(option),
        scale=scale,  # type: ignore[arg-type]
        polarisations=names,
        nodata=fill,
    )
    share = 100 * found.water_px / found.observed_px if found.observed_px else 0.0
    typer.echo(f"Water: {found.water_km2:.2f} km2, {share:.1f} % of {found.observed_px} observed pixels.")
    for note in found.notes:
        typer.echo(f"  {note}")
    for path in (found.water, found.likelihood, found.picture):
        typer.echo(str(path))


def detectors_command() -> None:
    """List the water detectors and what each needs beyond the scene."""
    from pipeline_lib.steps.detect import detector_cards

    for position, card in enumerate(detector_cards()):
        needs = ", ".join(card.needs) or "nothing but the scene"
        typer.echo(f"{card.name}{' (default)' if position == 0 else ''}\n    {card.summary}\n    needs: {needs}")
