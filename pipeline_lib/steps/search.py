"""Step: ask catalogues, one after the other, for everything an event may need."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from shapely.geometry import shape

from pipeline_lib.catalog.client import CatalogIO
from pipeline_lib.catalog.footprint import share_of, union_of
from pipeline_lib.catalog.items import product_of
from pipeline_lib.catalog.merge import acquisitions_of, without_doubles
from pipeline_lib.catalog.profiles import FOLDER, catalogs_of
from pipeline_lib.catalog.search import CatalogSession, Query
from pipeline_lib.errors import CatalogError, shown
from pipeline_lib.load.dem import dem_file
from pipeline_lib.load.scene_folder import SceneFolder
from pipeline_lib.model import Acquisition, CatalogItem, CatalogReference, Event, ProductType, Record
from pipeline_lib.options.search import ProductChoice, SearchOptions

logger = logging.getLogger(__name__)

WHOLE = 0.999
"""Share of the area from which a layer of tiles counts as whole: footprints are rounded."""


class Found(Record):
    """What catalogues have for an event; hrefs are unsigned. Deciding is the plan's business."""

    passes: tuple[Acquisition, ...]
    """Sentinel-1 passes during the event, in order of time; a pass that exists as several products is here as each."""
    references: tuple[Acquisition, ...] = ()
    """Sentinel-1 passes before the event, any orbit, in order of time, as `passes`."""
    dem: tuple[CatalogItem, ...] = ()
    water_occurrence: tuple[CatalogItem, ...] = ()
    optical: tuple[Acquisition, ...] = ()
    """Sentinel-2 passes before and during the event, in order of time."""
    notes: tuple[str, ...] = ()
    """What a person should know: missing collections, skipped items, doubles. The same catalogue gives the same notes,
    however often it had to be asked, so that the same plan comes out."""
    unanswered: tuple[str, ...] = ()
    """Catalogues that could not be searched, where others could: what they hold may be missing."""


@dataclass
class _Answer:
    """What one catalogue has."""

    catalog: CatalogReference
    items: dict[str, list[CatalogItem]]
    """By role."""
    missing: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def search_event(
    event: Event,
    catalogs: CatalogReference | Sequence[CatalogReference],
    options: SearchOptions | None = None,
    *,
    io: CatalogIO | None = None,
) -> Found:
    """Search catalogues for passes, possible references and ancillary layers of an event.

    Each slice of a pass comes from the first catalogue that has it; elevation and water occurrence come from the first
    that has them for the whole area. A catalogue that fails is left out, and said, as long as another one answers.

    Args:
        event: where and when.
        catalogs: in the order in which they are preferred, from `pipeline_lib.catalog.profiles.catalogs_of`.
        options: products, periods and patience; defaults where None.
        io: transport; made from ``options`` for each catalogue where None.

    Raises:
        CatalogError: every catalogue is down, is no STAC API, or contradicts itself. Nothing partial is returned.
        InputError: the elevation model that the options name is neither a catalogue nor a raster.
    """
    wanted = options or SearchOptions()
    order = (catalogs,) if isinstance(catalogs, CatalogReference) else tuple(catalogs)
    answers, failures = _ask_all(event, order, wanted, io)
    area = shape(event.aoi)
    radar, notes = _radar(answers, area, order)
    tiles, cloud_notes = _clear([answer.items["optical"] for answer in answers], wanted)
    optical, optical_notes = acquisitions_of(tiles, product_of("optical"), area, order)
    dem = _elevation(event, answers, wanted, io)
    occurrence = _first_whole([answer.items["water_occurrence"] for answer in answers], area)
    notes = [note for answer in answers for note in sorted(answer.notes)] + notes + _missing_notes(answers, wanted, dem)
    return Found(
        passes=tuple(one for one in radar if one.end >= event.start),
        references=tuple(one for one in radar if one.end < event.start),
        dem=tuple(sorted(dem, key=lambda item: item.item_id)),
        water_occurrence=tuple(sorted(occurrence, key=lambda item: item.item_id)),
        optical=tuple(optical),
        notes=tuple(dict.fromkeys([*failures.values(), *notes, *optical_notes, *cloud_notes])),
        unanswered=tuple(failures),
    )


def _ask_all(
    event: Event, catalogs: Sequence[CatalogReference], options: SearchOptions, io: CatalogIO | None
) -> tuple[list[_Answer], dict[str, str]]:
    """The answer of each catalogue, and of those that fail what is to be said.

    Raises:
        CatalogError: none answers.
    """
    answers: list[_Answer] = []
    failures: dict[str, CatalogError] = {}
    for catalog in catalogs:
        try:
            answers.append(_ask(event, catalog, options, io))
        except CatalogError as error:
            failures[catalog.url] = error
            logger.warning("%s is left out: %s", catalog.url, error)
    if not answers:
        raise next(iter(failures.values()))
    return answers, {url: f"The catalogue {url} is left out: {shown(error)}" for url, error in failures.items()}


def _ask(event: Event, catalog: CatalogReference, options: SearchOptions, io: CatalogIO | None) -> _Answer:
    """Everything that one catalogue has."""
    before = event.start - timedelta(days=options.reference_days)
    since = event.start - timedelta(days=options.optical_days)
    queries = {
        **{role: Query(role, event.aoi, before, event.end) for role in _radar_roles(options)},
        **({"optical": Query("optical", event.aoi, since, event.end)} if options.optical else {}),
        "dem": Query("dem", event.aoi),
        "water_occurrence": Query("water_occurrence", event.aoi),
    }
    items: dict[str, list[CatalogItem]] = {"rtc": [], "grd": [], "optical": []}
    if catalog.profile == FOLDER:
        folder = SceneFolder.read(catalog)
        items |= {role: folder.find(query) for role, query in queries.items()}
        return _Answer(catalog=catalog, items=items, notes=folder.notes)
    session = CatalogSession.open(catalog, options, io)
    items |= {role: session.find(query) for role, query in queries.items()}
    if session.io.retries:
        logger.warning("%s was asked again %d time(s): %s", catalog.url, len(session.io.retries), session.io.retries)
    return _Answer(catalog=catalog, items=items, missing=session.missing, notes=session.notes)


def _radar_roles(options: SearchOptions) -> tuple[str, ...]:
    """Roles of the Sentinel-1 products that are asked for."""
    return ("rtc", "grd") if options.product is ProductChoice.AUTO else (options.product.value.lower(),)


def _radar(
    answers: Sequence[_Answer], area: Any, catalogs: Sequence[CatalogReference]
) -> tuple[list[Acquisition], list[str]]:
    """Sentinel-1 passes as every product they exist as, in order of time; GRD of all catalogues is one product."""
    found: list[Acquisition] = []
    notes: list[str] = []
    made: dict[tuple[ProductType, str], list[CatalogItem]] = {}
    for answer in answers:
        for role in ("rtc", "grd"):
            for item in answer.items[role]:
                collection = item.collection if role == "rtc" else ""
                made.setdefault((product_of(role), collection), []).append(item)
    for (product, _), items in made.items():
        passes, merged_notes = acquisitions_of(items, product, area, catalogs)
        found += passes
        notes += merged_notes
    return sorted(found, key=lambda one: (one.start, one.acquisition_id, one.make)), notes


def _elevation(
    event: Event, answers: Sequence[_Answer], options: SearchOptions, io: CatalogIO | None
) -> list[CatalogItem]:
    """Tiles of the elevation model: of the catalogue or the file that is named, else of the first that has them."""
    area = shape(event.aoi)
    if options.dem_catalog is None:
        return _first_whole([answer.items["dem"] for answer in answers], area)
    raster = dem_file(options.dem_catalog)
    if raster is not None:
        return [raster]
    catalogs = catalogs_of(options.dem_catalog)
    sessions = [CatalogSession.open(catalog, options, io) for catalog in catalogs]
    return _first_whole([session.find(Query("dem", event.aoi)) for session in sessions], area)


def _first_whole(layers: Iterable[list[CatalogItem]], area: Any) -> list[CatalogItem]:
    """The first layer that covers the area, else the one that covers most of it."""
    best: list[CatalogItem] = []
    most = 0.0
    for layer in layers:
        tiles, _ = without_doubles(layer)
        share = share_of(area, union_of([tile.footprint for tile in tiles])) if tiles else 0.0
        if share > most:
            best, most = tiles, share
        if most >= WHOLE:
            break
    return best


def _missing_notes(answers: Sequence[_Answer], options: SearchOptions, dem: Sequence[CatalogItem]) -> list[str]:
    """Collections that are missed in every catalogue; one of the Sentinel-1 products that were asked for is enough."""
    absent = set.intersection(*(set(answer.missing) for answer in answers))
    radar = set(_radar_roles(options))
    enough = set() if radar <= absent else radar
    enough |= {"dem"} if dem else set()
    first = answers[0].missing
    subject = "The catalogue has" if len(answers) == 1 else "No catalogue has"
    no = "no " if len(answers) == 1 else ""
    return [f"{subject} {no}{names}." for role, names in first.items() if role in absent - enough]


def _clear(layers: Iterable[list[CatalogItem]], options: SearchOptions) -> tuple[list[CatalogItem], list[str]]:
    """Sentinel-2 tiles with little enough cloud."""
    items = [item for layer in layers for item in layer]
    clear = [item for item in items if _cloud_percent(item) <= options.max_cloud_percent]
    limit = options.max_cloud_percent
    left = len(items) - len(clear)
    return clear, [f"{left} Sentinel-2 tiles with more than {limit:g} % cloud are left out."] if left else []


def _cloud_percent(item: CatalogItem) -> float:
    """Cloud cover, percent; a tile that does not say is kept."""
    value = item.facts.get("eo:cloud_cover")
    return float(value) if isinstance(value, (int, float)) else 0.0
