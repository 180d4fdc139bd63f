"""Step: ask a catalogue for everything an event may need."""

import logging
from datetime import datetime, timedelta

from shapely.geometry import shape

from pipeline_lib.catalog.client import CatalogIO
from pipeline_lib.catalog.items import product_of
from pipeline_lib.catalog.merge import acquisitions_of, prefer_terrain_corrected, without_doubles
from pipeline_lib.catalog.search import CatalogSession, Query
from pipeline_lib.model import Acquisition, CatalogItem, CatalogReference, Event, Record
from pipeline_lib.options.search import ProductChoice, SearchOptions

logger = logging.getLogger(__name__)


class Found(Record):
    """What a catalogue has for an event; hrefs are unsigned. Deciding is the plan's business."""

    passes: tuple[Acquisition, ...]
    """Sentinel-1 passes during the event, in order of time."""
    references: tuple[Acquisition, ...] = ()
    """Sentinel-1 passes before the event, any orbit, in order of time."""
    dem: tuple[CatalogItem, ...] = ()
    water_occurrence: tuple[CatalogItem, ...] = ()
    optical: tuple[Acquisition, ...] = ()
    """Sentinel-2 passes before and during the event, in order of time."""
    notes: tuple[str, ...] = ()
    """What a person should know: missing collections, skipped items, doubles. The same catalogue gives the same notes,
    however often it had to be asked, so that the same plan comes out."""


def search_event(
    event: Event, catalog: CatalogReference, options: SearchOptions | None = None, *, io: CatalogIO | None = None
) -> Found:
    """Search a catalogue for passes, possible references and ancillary layers of an event.

    Args:
        event: where and when.
        catalog: which catalogue, from `pipeline_lib.catalog.profiles.resolve_catalog`.
        options: products, periods and patience; defaults where None.
        io: transport; made from ``options`` where None.

    Raises:
        CatalogError: the catalogue is down, is not a STAC API, or contradicts itself. Nothing partial is returned.
    """
    wanted = options or SearchOptions()
    session = CatalogSession.open(catalog, wanted, io)
    before = event.start - timedelta(days=wanted.reference_days)
    radar, notes = _radar(session, event, before)
    optical, optical_notes = _optical(session, event) if wanted.optical else ([], [])
    dem, _ = without_doubles(session.find(Query("dem", event.aoi)))
    occurrence, _ = without_doubles(session.find(Query("water_occurrence", event.aoi)))
    notes += _missing_notes(session)
    if session.io.retries:
        logger.warning("%s was asked again %d time(s): %s", catalog.url, len(session.io.retries), session.io.retries)
    return Found(
        passes=tuple(one for one in radar if one.end >= event.start),
        references=tuple(one for one in radar if one.end < event.start),
        dem=tuple(sorted(dem, key=lambda item: item.item_id)),
        water_occurrence=tuple(sorted(occurrence, key=lambda item: item.item_id)),
        optical=tuple(optical),
        notes=tuple(dict.fromkeys([*sorted(session.notes), *notes, *optical_notes])),
    )


def _missing_notes(session: CatalogSession) -> list[str]:
    """Collections that are missed; one of the Sentinel-1 products that were asked for is enough."""
    choice = session.options.product
    radar = {"rtc", "grd"} if choice is ProductChoice.AUTO else {choice.value.lower()}
    enough = set() if radar <= set(session.missing) else radar
    return [f"The catalogue has no {names}." for role, names in session.missing.items() if role not in enough]


def _radar(session: CatalogSession, event: Event, since: datetime) -> tuple[list[Acquisition], list[str]]:
    """Sentinel-1 passes since the first possible reference: RTC, and GRD where RTC is missing or GRD is asked for."""
    choice, area = session.options.product, shape(event.aoi)
    found: dict[str, list[Acquisition]] = {"rtc": [], "grd": []}
    notes: list[str] = []
    for role in ("rtc", "grd"):
        if choice in {ProductChoice.AUTO, ProductChoice(role.upper())}:
            items = session.find(Query(role, event.aoi, since, event.end))
            found[role], merged_notes = acquisitions_of(items, product_of(role), area)
            notes += merged_notes
    corrected, detected = prefer_terrain_corrected(found["rtc"], found["grd"])
    if corrected and detected:
        notes.append(f"{len(detected)} pass(es) exist as GRD only and are terrain-corrected here.")
    return sorted([*corrected, *detected], key=lambda one: (one.start, one.acquisition_id)), notes


def _optical(session: CatalogSession, event: Event) -> tuple[list[Acquisition], list[str]]:
    """Sentinel-2 passes with little enough cloud, tile by tile."""
    since = event.start - timedelta(days=session.options.optical_days)
    items = session.find(Query("optical", event.aoi, since, event.end))
    clear = [item for item in items if _cloud_percent(item) <= session.options.max_cloud_percent]
    passes, notes = acquisitions_of(clear, product_of("optical"), shape(event.aoi))
    if len(clear) < len(items):
        limit = session.options.max_cloud_percent
        notes.append(f"{len(items) - len(clear)} Sentinel-2 tiles with more than {limit:g} % cloud are left out.")
    return passes, notes


def _cloud_percent(item: CatalogItem) -> float:
    """Cloud cover, percent; a tile that does not say is kept."""
    value = item.facts.get("eo:cloud_cover")
    return float(value) if isinstance(value, (int, float)) else 0.0
