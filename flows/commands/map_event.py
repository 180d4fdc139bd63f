"""``overbank map``, ``overbank plan`` and ``overbank demo``."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.events import mirrored

if TYPE_CHECKING:
    from pipeline_lib.model import Event, Product
    from pipeline_lib.options.map_event import MapOptions

EventFile = Annotated[
    Path | None, typer.Argument(help="Event as YAML or JSON; or give --id, --bbox/--aoi, --start, --end.")
]
Catalog = Annotated[
    list[str],
    typer.Option(
        "--catalog",
        "--catalogue",
        help="URL of a STAC API, planetary-computer, earth-search or cdse; several times: in the order preferred.",
    ),
]
DemCatalog = Annotated[
    str | None,
    typer.Option(help="Elevation from this catalogue or raster; from the first of --catalog that has it without it."),
]
PLANETARY_COMPUTER = ["planetary-computer"]
EventId = Annotated[str | None, typer.Option("--id", help="Identifier of the event; names its folder.")]
Bbox = Annotated[str | None, typer.Option(help="west,south,east,north in degrees (WGS 84).")]
Aoi = Annotated[
    Path | None, typer.Option(help="File with the area: GeoJSON, GeoPackage, Shapefile, KML, KMZ, FlatGeobuf, GPX.")
]
Start = Annotated[str | None, typer.Option(help="First day or moment of the flood (ISO 8601, UTC).")]
End = Annotated[str | None, typer.Option(help="Last day or moment of the flood (ISO 8601, UTC).")]
Detector = Annotated[str, typer.Option(help="Water detector; `overbank detectors` lists them.")]
Pixel = Annotated[float, typer.Option(help="Pixel of the map, metres.")]
OptionsFile = Annotated[Path | None, typer.Option("--options", help="YAML file with options of every step.")]
Optical = Annotated[
    bool, typer.Option("--optical/--no-optical", help="Show the time before by Sentinel-2, and compare passes with it.")
]
Orbits = Annotated[
    list[Path] | None, typer.Option(help="Precise orbits for GRD: .EOF files or folders of them; several times.")
]
Dask = Annotated[str | None, typer.Option(help="Address of a Dask scheduler; threads of this process without it.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command("map")(map_command)
    app.command("plan")(plan_command)
    app.command("demo")(demo_command)


def map_command(
    event_file: EventFile = None,
    catalog: Catalog = PLANETARY_COMPUTER,
    out: Annotated[Path, typer.Option(help="Folder of published events.")] = Path("out"),
    event_id: EventId = None,
    bbox: Bbox = None,
    aoi: Aoi = None,
    start: Start = None,
    end: End = None,
    detector: Detector = "default",
    pixel: Pixel = 10.0,
    options_file: OptionsFile = None,
    dask: Dask = None,
    optical: Optical = True,
    orbits: Orbits = None,
    dem_catalog: DemCatalog = None,
    again: Annotated[bool, typer.Option("--again", help="Map again even if nothing is new.")] = False,
    approve: Annotated[bool, typer.Option("--approve", help="Publish only after `overbank events approve`.")] = False,
) -> None:
    """Map a flood event and publish it under OUT/<event id>."""
    from pipeline_lib.steps.event import catalog_names

    event = _event(event_file, event_id, bbox, aoi, start, end)
    options = _options(
        options_file, detector, pixel, dask, approve=approve, optical=optical, orbits=orbits, dem_catalog=dem_catalog
    )
    product = run_map(event, catalog_names(catalog), out, options, again=again)
    show(product)
    if product is not None:
        mirrored(out, event.event_id)


def plan_command(
    event_file: EventFile = None,
    catalog: Catalog = PLANETARY_COMPUTER,
    event_id: EventId = None,
    bbox: Bbox = None,
    aoi: Aoi = None,
    start: Start = None,
    end: End = None,
    detector: Detector = "default",
    pixel: Pixel = 10.0,
    options_file: OptionsFile = None,
    optical: Optical = True,
    orbits: Orbits = None,
    dem_catalog: DemCatalog = None,
    write: Annotated[Path | None, typer.Option(help="Write the plan to this YAML file as well.")] = None,
) -> None:
    """Show what `map` would do, without reading a pixel."""
    from pipeline_lib.steps.decide import search_and_plan
    from pipeline_lib.steps.event import catalog_names
    from pipeline_lib.steps.plan import plan_text, write_plan

    event = _event(event_file, event_id, bbox, aoi, start, end)
    options = _options(options_file, detector, pixel, None, optical=optical, orbits=orbits, dem_catalog=dem_catalog)
    plan = search_and_plan(event, catalog_names(catalog), options)
    typer.echo(plan_text(plan))
    if write is not None:
        write_plan(plan, write)


def demo_command(
    out: Annotated[Path, typer.Option(help="Folder for the simulated archive and the published event.")] = Path("demo"),
    size: Annotated[int, typer.Option(help="Side of the simulated area, pixels of 10 m.")] = 1024,
    seed: Annotated[int, typer.Option(help="Seed of the simulation.")] = 7,
    again: Annotated[bool, typer.Option("--again", help="Map again even if nothing is new.")] = False,
) -> None:
    """Simulate an archive with a flood, serve it as a STAC API, map the flood, and score it against the truth."""
    from pipeline_lib.options.map_event import MapOptions
    from pipeline_lib.options.world import WorldOptions
    from pipeline_lib.steps.event import read_event
    from pipeline_lib.steps.score_event import score_event, scores_text
    from pipeline_lib.world.build import build_world
    from pipeline_lib.world.server import serve

    typer.echo(f"Simulated archive of {size} x {size} pixels, seed {seed}: {out / 'world'}", err=True)
    world = build_world(out / "world", WorldOptions(size=size, seed=seed))
    with serve(world) as url:
        typer.echo(f"STAC API with its assets: {url}", err=True)
        event = read_event(world / "event.yaml")
        product = run_map(event, url, out / "events", MapOptions(), again=again)
    if product is not None:
        typer.echo(scores_text(score_event(out / "events", event.event_id, world)))
        show(product)


def run_map(event: "Event", catalog: str, out: Path, options: "MapOptions", *, again: bool) -> "Product | None":
    """Map an event in this process; return what is published, None where nothing is."""
    from pipeline_lib.steps.decide import refuse_impossible, search_and_plan
    from pipeline_lib.steps.published import published_product
    from pipeline_lib.steps.workspace import need_place

    refuse_impossible(event, options)  # the flow does so as well, but after the seconds that its server takes to start
    need_place(out)
    if not again:
        current = published_product(out, event.event_id)
        if current and current.plan_digest == search_and_plan(event, catalog, options).digest:
            typer.echo("Nothing new in the catalogue: this is what is published (--again maps anew).", err=True)
            return current
    from flows.embedded import set_prefect_environment, shown_progress

    set_prefect_environment()
    from flows.map_event import map_event

    with shown_progress():
        state = map_event(event, catalog, str(out.resolve()), options, return_state=True)
    if os.environ.get("OVERBANK_DEBUG"):
        _show_metrics(out, event.event_id)
    product: Product | None = state.result()
    if state.name != "Completed":
        typer.echo(f"{state.name}. {state.message}", err=True)
    return product


def _show_metrics(out: Path, event_id: str) -> None:
    """What each stage took."""
    from pipeline_lib.steps.metrics import latest_metrics, metrics_text

    typer.echo(metrics_text(latest_metrics(out, event_id)), err=True)


def show(product: "Product | None") -> None:
    """Print the figures of what is published and the path of its page."""
    from pipeline_lib.steps.summary import summary_text

    if product is not None:
        typer.echo(summary_text(product))


def _event(
    event_file: Path | None,
    event_id: str | None,
    bbox: str | None,
    aoi: Path | None,
    start: str | None,
    end: str | None,
) -> "Event":
    from pipeline_lib.steps.event import event_of_flags, read_event

    if event_file is not None:
        return read_event(event_file)
    return event_of_flags(event_id, bbox, aoi, start, end)


def _options(
    options_file: Path | None,
    detector: str,
    pixel: float,
    dask: str | None,
    *,
    approve: bool = False,
    optical: bool = True,
    orbits: list[Path] | None = None,
    dem_catalog: str | None = None,
) -> "MapOptions":
    from pipeline_lib.steps.event import read_map_options

    return read_map_options(
        options_file,
        detector=detector,
        pixel_m=pixel,
        dask_address=dask,
        approve=approve,
        optical=optical,
        orbits=tuple(path.resolve() for path in orbits or ()),
        dem_catalog=dem_catalog,
    )
