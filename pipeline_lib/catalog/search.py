"""Every item of a collection over an area and a period, to the last page, or a clear error: never a silent part."""

import json
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pystac import Link
from pystac.errors import STACError
from pystac_client import Client
from pystac_client.exceptions import APIError
from pystac_client.item_search import ItemSearch
from shapely import union_all
from shapely.geometry import mapping, shape

from pipeline_lib.catalog.client import CatalogIO, NotFoundError
from pipeline_lib.catalog.footprint import geometry_of
from pipeline_lib.catalog.items import UnusableItemError, parse_item
from pipeline_lib.catalog.profiles import profile_of
from pipeline_lib.catalog.safety import UnsafeHrefError, policy_of
from pipeline_lib.errors import CatalogError
from pipeline_lib.model import CatalogItem, CatalogReference
from pipeline_lib.model.area import crosses_antimeridian
from pipeline_lib.options.search import SearchOptions

MAX_VERTICES = 400
"""An area with more is simplified (outwards) for the question, and exactly compared with the answer."""
MAX_EMPTY_PAGES = 20
ROUNDS = 3
"""How often a search is repeated whose pages contradict each other before it counts as failed."""


class _InconsistentPagesError(Exception):
    """Pages that cannot all be true; asking again may help."""


@dataclass(frozen=True)
class Query:
    """One question to one collection."""

    role: str
    """``rtc``, ``grd``, ``optical``, ``dem`` or ``water_occurrence``."""
    area: dict[str, Any]
    """GeoJSON area, EPSG:4326."""
    start: datetime | None = None
    """Sensing that ends before is left out; None for things without a date."""
    end: datetime | None = None


@dataclass
class CatalogSession:
    """An opened catalogue; answers `Query`s one after the other within one total time."""

    catalog: CatalogReference
    options: SearchOptions
    io: CatalogIO
    client: Client
    notes: list[str] = field(default_factory=list)
    """What a person should know about the answers so far: skipped and repaired items."""
    missing: dict[str, str] = field(default_factory=dict)
    """Roles for which the catalogue has no collection, with the names that were tried."""

    @classmethod
    def open(cls, catalog: CatalogReference, options: SearchOptions, io: CatalogIO | None = None) -> "CatalogSession":
        """Read the catalogue's root.

        Raises:
            CatalogError: it is down, is not a STAC API, or cannot search items.
        """
        transport = io or CatalogIO(policy_of(catalog), options)
        try:
            client = Client.open(catalog.url, stac_io=transport)
        except (APIError, STACError, KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, CatalogError):
                raise
            raise CatalogError(f"{catalog.url} is not the root of a STAC API ({type(error).__name__}).") from error
        return cls(catalog, options, transport, client)

    def find(self, query: Query) -> list[CatalogItem]:
        """All usable items that answer a query; what is skipped is noted.

        Raises:
            CatalogError: the catalogue fails, or its pages keep contradicting each other.
        """
        collection = self._existing(query.role)
        if collection is None:
            return []
        failure = ""
        for attempt in range(ROUNDS):
            try:
                raw = self._drain(self._search(collection, query))
            except _InconsistentPagesError as error:
                failure = str(error)
                self.io.pause(attempt, failure)
                continue
            return self._parsed(raw, query)
        raise CatalogError(
            f"The catalogue {self.catalog.url} contradicts itself on {collection}: {failure}, {ROUNDS} times. "
            "Nothing is mapped from a part of the answer; try again later."
        )

    def some_radar_item(self) -> CatalogItem:
        """Any usable Sentinel-1 item, to try the catalogue with.

        Raises:
            CatalogError: it cannot be asked, or its first radar items cannot be used.
        """
        profile, policy = profile_of(self.catalog), policy_of(self.catalog)
        for role in ("rtc", "grd"):
            if (name := self._existing(role)) is None:
                continue
            address = f"{self.catalog.url.rstrip('/')}/collections/{name}/items"
            page = self._json(self.io.request(address, parameters={"limit": 5}))
            for feature in page.get("features") or ():
                with suppress(UnusableItemError, UnsafeHrefError):
                    return parse_item(feature, role, profile, policy, f"{self.catalog.url}/")[0]
        raise CatalogError(f"The catalogue {self.catalog.url} shows no usable Sentinel-1 item to try.")

    def _existing(self, role: str) -> str | None:
        """The first collection of a role that the catalogue has."""
        names = profile_of(self.catalog).collections_of(role)
        root = self.catalog.url.rstrip("/")
        for name in names:
            try:
                found = json.loads(self.io.request(f"{root}/collections/{name}"))
            except NotFoundError:
                continue
            if isinstance(found, dict) and found.get("id") == name:
                return name
        if names:
            self.missing[role] = " or ".join(names)
        return None

    def _search(self, collection: str, query: Query) -> ItemSearch:
        period = None if query.start is None or query.end is None else (query.start, query.end)
        try:
            with warnings.catch_warnings():
                # pystac-client warns where a catalogue's links do not name POST (as of its release after 0.9.1); it is
                # asked by POST all the same, and says so itself if it cannot be.
                warnings.simplefilter("ignore", UserWarning)
                return self.client.search(
                    collections=[collection],
                    intersects=mapping(_question_area(query.area)),
                    datetime=period,
                    limit=self.options.page_size,
                )
        except (APIError, STACError, NotImplementedError, ValueError) as error:
            raise CatalogError(f"The catalogue {self.catalog.url} does not offer item search ({error}).") from error

    def _drain(self, search: ItemSearch) -> list[dict[str, Any]]:
        """Features of every page, once each.

        Raises:
            _InconsistentPagesError: a token comes back, or fewer items arrive than are promised.
            CatalogError: more items than `SearchOptions.max_items`.
        """
        found: dict[object, dict[str, Any]] = {}
        promised: set[int] = set()
        doubt = ""
        for page in self._pages(search):
            features = page.get("features")
            if not isinstance(features, list):
                raise _InconsistentPagesError("a page is not a list of items")
            returned = page.get("numberReturned")
            if isinstance(returned, int) and returned != len(features):
                doubt = f"a page of {len(features)} items says that it holds {returned}"
            for feature in features:
                if isinstance(feature, dict):
                    found[_identity(feature, len(found))] = feature
            promised = _promised(page) or promised  # the latest word counts: items may appear while paging
            if len(found) > self.options.max_items:
                raise CatalogError(
                    f"The catalogue finds more than {self.options.max_items} items; search a smaller area or period."
                )
        if len(found) in promised:
            return list(found.values())  # the last page was read and every item is there, whatever else is said
        if doubt:
            raise _InconsistentPagesError(doubt)
        if promised and len(found) < min(promised):
            raise _InconsistentPagesError(f"{len(found)} items arrived of {min(promised)} promised")
        return list(found.values())

    def _pages(self, search: ItemSearch) -> Iterator[dict[str, Any]]:
        """Pages until there is no next one; empty pages with a next one are legal and not the end."""
        asked: set[str] = set()
        empty = 0
        page = self._json(self.io.request(search.url, search.method, None, search.get_parameters()))
        while True:
            yield page
            step = next(
                (link for link in page.get("links") or [] if isinstance(link, dict) and link.get("rel") == "next"), None
            )
            if step is None or not isinstance(step.get("href"), str):
                return
            token = json.dumps([step["href"], step.get("body")], sort_keys=True)
            empty = 0 if page.get("features") else empty + 1
            if token in asked or empty > MAX_EMPTY_PAGES:
                raise _InconsistentPagesError("the same page comes again and again")
            asked.add(token)
            page = self._json(self.io.read_text(Link.from_dict(step), parameters=search.get_parameters()))

    def _json(self, text: str) -> dict[str, Any]:
        page = json.loads(text)
        if not isinstance(page, dict):
            raise _InconsistentPagesError("a page is not a JSON object")
        return page

    def _parsed(self, raw: list[dict[str, Any]], query: Query) -> list[CatalogItem]:
        """Records of the items that truly intersect; skipped ones are noted with the reason."""
        profile, policy = profile_of(self.catalog), policy_of(self.catalog)
        area = shape(query.area)
        kept: list[CatalogItem] = []
        for feature in raw:
            try:
                item, repairs = parse_item(feature, query.role, profile, policy, f"{self.catalog.url}/")
            except (UnusableItemError, UnsafeHrefError) as error:
                self.notes.append(f"Item {str(feature.get('id'))[:120]!r} is skipped: {error}")
                continue
            self.notes += [f"Item {item.item_id}: {repair}." for repair in repairs]
            in_time = (query.start is None or item.end >= query.start) and (
                query.end is None or item.start <= query.end
            )
            if in_time and geometry_of(item.footprint).intersects(area):
                kept.append(item.model_copy(update={"catalog": self.catalog}))
        return kept


def _question_area(area: dict[str, Any]) -> Any:
    """The area as asked for: a detailed one as boxes, one each side of the antimeridian, but never smaller."""
    geometry = shape(area)
    parts = list(getattr(geometry, "geoms", [geometry]))
    if sum(len(part.exterior.coords) for part in parts) <= MAX_VERTICES:
        return geometry
    if not crosses_antimeridian(area):
        return geometry.envelope
    sides = ([part for part in parts if part.centroid.x < 0], [part for part in parts if part.centroid.x >= 0])
    return union_all([union_all(side).envelope for side in sides if side])


def _identity(feature: dict[str, Any], position: int) -> object:
    """What makes a feature the same as one of another page; without an id each counts for itself."""
    item_id = feature.get("id")
    return (feature.get("collection"), item_id) if isinstance(item_id, str) else position


def _promised(page: dict[str, Any]) -> set[int]:
    """How many items a page says there are in all; archives that say it twice may contradict themselves."""
    context = page.get("context")
    said = (page.get("numberMatched"), context.get("matched") if isinstance(context, dict) else None)
    return {value for value in said if isinstance(value, int) and not isinstance(value, bool)}
