"""``overbank watch``: areas that are mapped automatically."""

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.map_event import PLANETARY_COMPUTER, Catalog, DemCatalog

Name = Annotated[str, typer.Argument(help="Name of the watch.")]
Out = Annotated[Path, typer.Option(help="Folder of published events; holds the register of watches.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for a program.")]
OUT = Path("out")


def register(app: typer.Typer) -> None:
    """Add the ``watch`` group to the app."""
    group = typer.Typer(help="Watch areas: every new pass is mapped by itself.", no_args_is_help=True)
    for name, command in (
        ("add", add),
        ("list", list_watches),
        ("show", show),
        ("edit", edit),
        ("pause", pause),
        ("resume", resume),
        ("remove", remove),
        ("history", history),
        ("backfill", backfill),
        ("poll", poll_now),
    ):
        group.command(name)(command)
    app.add_typer(group, name="watch")


def add(
    name: Name,
    aoi: Annotated[
        Path | None, typer.Option(help="File with the area: GeoJSON, GeoPackage, Shapefile, KML, KMZ, FlatGeobuf, GPX.")
    ] = None,
    bbox: Annotated[str | None, typer.Option(help="west,south,east,north in degrees (WGS 84).")] = None,
    catalog: Catalog = PLANETARY_COMPUTER,
    dem_catalog: DemCatalog = None,
    every: Annotated[str, typer.Option(help="How often to ask: 15m, 2h, 1d.")] = "15m",
    grace: Annotated[str, typer.Option(help="How long a partial pass waits for further slices.")] = "210m",
    since: Annotated[str | None, typer.Option(help="First moment of interest (ISO 8601); now without it.")] = None,
    publish_if: Annotated[float, typer.Option(help="Least flooded area that opens an event, km2.")] = 0.5,
    anomaly: Annotated[
        float, typer.Option(help="Least flooded share, in multiples of what the pass's history shows dark; 0: any.")
    ] = 0.0,
    revise: Annotated[
        bool, typer.Option("--revise", help="Map a pass again from a better product: RTC after GRD, a precise orbit.")
    ] = False,
    approve: Annotated[bool, typer.Option("--approve", help="A person must approve what is published.")] = False,
    options_file: Annotated[Path | None, typer.Option("--options", help="YAML file with mapping options.")] = None,
    out: Out = OUT,
) -> None:
    """Watch an area."""
    from pipeline_lib.steps.event import catalog_names, read_map_options
    from pipeline_lib.steps.watch import register_of
    from pipeline_lib.steps.watch_text import added_text, watch_of_flags
    from pipeline_lib.steps.workspace import need_place

    watch = watch_of_flags(
        name,
        bbox=bbox,
        aoi=aoi,
        catalog=catalog_names(catalog),
        revise=revise,
        every=every,
        grace=grace,
        since=since,
        publish_if={"min_flood_km2": publish_if, "min_anomaly": anomaly},
        options=read_map_options(options_file, approve=approve, dem_catalog=dem_catalog),
    )
    need_place(out)
    register_of(out).add(watch)
    typer.echo(added_text(watch, every))


def list_watches(out: Out = OUT, as_json: AsJson = False) -> None:
    """List the watches and how they are doing."""
    from pipeline_lib.steps.watch import register_of
    from pipeline_lib.steps.watch_text import watch_documents, watch_lines

    if as_json:
        typer.echo(json.dumps(watch_documents(register_of(out)), indent=2))
        return
    for line in watch_lines(register_of(out)):
        typer.echo(line)


def show(name: Name, out: Out = OUT, as_json: AsJson = False) -> None:
    """Show one watch whole: area, rules, options, and how it is doing."""
    import yaml

    from pipeline_lib.steps.watch import register_of
    from pipeline_lib.steps.watch_text import watch_document

    register = register_of(out)
    document = watch_document(register, register.watch(name))
    text = json.dumps(document, indent=2) if as_json else yaml.safe_dump(document, sort_keys=False).rstrip()
    typer.echo(text)


def edit(
    name: Name,
    catalog: Annotated[
        list[str] | None,
        typer.Option("--catalog", "--catalogue", help="As of `watch add`; several times: in the order preferred."),
    ] = None,
    every: Annotated[str | None, typer.Option(help="How often to ask: 15m, 2h, 1d.")] = None,
    grace: Annotated[str | None, typer.Option(help="How long a partial pass waits for further slices.")] = None,
    publish_if: Annotated[float | None, typer.Option(help="Least flooded area that opens an event, km2.")] = None,
    anomaly: Annotated[float | None, typer.Option(help="Least flooded share; 0: any.")] = None,
    revise: Annotated[
        bool | None, typer.Option("--revise/--no-revise", help="Whether a better product makes a revision.")
    ] = None,
    approve: Annotated[
        bool | None, typer.Option("--approve/--no-approve", help="Whether a person must approve what is published.")
    ] = None,
    options_file: Annotated[Path | None, typer.Option("--options", help="YAML file with mapping options.")] = None,
    out: Out = OUT,
) -> None:
    """Change a watch; what it knows stays. For another area add another watch."""
    from pipeline_lib.steps.event import catalog_names, read_map_options
    from pipeline_lib.steps.watch import register_of
    from pipeline_lib.steps.watch_text import edited

    register_of(out).edit(
        name,
        lambda watch: edited(
            watch,
            catalog=catalog_names(catalog) if catalog else None,
            revise=revise,
            every=every,
            grace=grace,
            publish_if={"min_flood_km2": publish_if, "min_anomaly": anomaly},
            approve=approve,
            options=None if options_file is None else read_map_options(options_file),
        ),
    )
    typer.echo(f"Changed {name}; `overbank watch show {name}` shows it.")


def pause(name: Name, out: Out = OUT) -> None:
    """Stop polling for a while."""
    from pipeline_lib.steps.watch import register_of

    register_of(out).pause(name, paused=True)
    typer.echo(f"Paused {name}.")


def resume(name: Name, out: Out = OUT) -> None:
    """Poll again; what appeared meanwhile is found."""
    from pipeline_lib.steps.watch import register_of

    register_of(out).pause(name, paused=False)
    typer.echo(f"Resumed {name}.")


def remove(name: Name, out: Out = OUT) -> None:
    """Forget a watch; what it published stays."""
    from pipeline_lib.steps.watch import register_of

    register_of(out).remove(name)
    typer.echo(f"Removed {name}; its events stay under {out}.")


def history(name: Name, out: Out = OUT, limit: Annotated[int, typer.Option(help="Polls to show.")] = 20) -> None:
    """Show the passes a watch knows and its latest polls."""
    from pipeline_lib.steps.watch import register_of
    from pipeline_lib.steps.watch_text import history_lines

    for line in history_lines(register_of(out), name, limit):
        typer.echo(line)


def backfill(
    name: Name, since: Annotated[str, typer.Option(help="Look back to this moment (ISO 8601).")], out: Out = OUT
) -> None:
    """Map what was sensed since a moment in the past."""
    from pipeline_lib.steps.watch_text import instant

    _poll(out, name, instant(since))


def poll_now(
    name: Annotated[str | None, typer.Argument(help="One watch; all that are not paused without it.")] = None,
    out: Out = OUT,
) -> None:
    """Ask the catalogue now, and map what is due in this process."""
    _poll(out, name, None)


def _poll(out: Path, name: str | None, since: datetime | None) -> None:
    from flows.embedded import set_prefect_environment, shown_progress

    set_prefect_environment()
    from flows.watch_catalogue import watch_catalogue

    with shown_progress():
        asked = watch_catalogue(str(out.resolve()), name=name, since=since, inline=True)
    typer.echo(f"{asked} pass(es) mapped.")
