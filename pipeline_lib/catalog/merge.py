"""Items to acquisitions: slices of a pass are put together, and of re-processed doubles the newest is kept."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from pipeline_lib.catalog.footprint import area_m2, geometry_of, share_of, union_of
from pipeline_lib.catalog.items import POLARISATIONS
from pipeline_lib.model import Acquisition, CatalogItem, CatalogReference, OrbitDirection, ProductType
from pipeline_lib.model.instant import instant_of

MAX_GAP = {ProductType.L2A: timedelta(minutes=15)}
"""Tiles of one Sentinel-2 datatake carry times minutes apart."""
MAX_SLICE_GAP = timedelta(seconds=120)
"""Slices of a datatake abut; up to about four missing ones are bridged, and the plan says so."""
NOTABLE_GAP = timedelta(seconds=5)
SAME_PASS = timedelta(minutes=30)
"""What one platform shows of an area within this time is one pass: its next orbit is 98 minutes later."""
SAME_GROUND = 0.8
"""Two items of one moment are doubles where they share this much of the smaller footprint."""

_BUCKET_S = 600
"""Doubles start within so many seconds of each other."""

_NEWNESS = (
    "s2:processing_baseline",
    "s2:generation_time",
    "s1:processing_datetime",
    "updated",
    "created",
    "published",
)


def acquisitions_of(
    items: Iterable[CatalogItem], product: ProductType, area: Any, catalogs: Sequence[CatalogReference] = ()
) -> tuple[list[Acquisition], list[str]]:
    """Merge items of one product into passes, in order of time.

    Slices belong together where platform, datatake (else absolute orbit, else relative orbit) and flight direction are
    the same and sensing goes on without a longer break.

    Args:
        items: parsed items, in any order, doubles allowed.
        product: what all of them are.
        area: area of interest, lon/lat geometry; gives each acquisition its coverage.
        catalogs: that the items come from, in the order in which they are preferred.

    Returns:
        The acquisitions, and notes about doubles and gaps.
    """
    kept, notes = without_doubles(items, catalogs)
    if product is not ProductType.L2A:
        kept, borrowed = with_directions(kept)
        notes += borrowed
    groups: dict[tuple[object, ...], list[CatalogItem]] = defaultdict(list)
    for item in kept:
        groups[_pass_key(item)].append(item)
    passes: list[Acquisition] = []
    for group in groups.values():
        for run in _runs(sorted(group, key=lambda item: (item.start, item.item_id)), product):
            passes.append(_acquisition(run, product, area))
            notes += _gap_notes(passes[-1])
    return sorted(passes, key=lambda one: (one.start, one.acquisition_id)), notes


def without_doubles(
    items: Iterable[CatalogItem], catalogs: Sequence[CatalogReference] = ()
) -> tuple[list[CatalogItem], list[str]]:
    """Of items that show the same moment and ground, one alone; and a note for each that is left out for a newer one.

    Args:
        items: of one product, in any order.
        catalogs: in the order in which they are preferred; of one catalogue, the newest processing is kept.
    """
    ranks = {catalog: rank for rank, catalog in enumerate(catalogs)}

    def worth(item: CatalogItem) -> tuple[object, ...]:
        """An earlier catalogue counts more than a newer processing."""
        return (-ranks.get(item.catalog, len(ranks)) if item.catalog else 0, *_newness(item))

    kept: list[CatalogItem] = []
    notes: list[str] = []
    near: dict[tuple[object, ...], list[CatalogItem]] = defaultdict(list)
    for item in sorted(items, key=worth, reverse=True):
        name, here = (item.collection, item.item_id), int(item.start.timestamp() // _BUCKET_S)
        places = [(item.facts.get("platform"), here + step) for step in (-1, 0, 1)]
        candidates = [other for place in (name, *places) for other in near[place]]
        newer = next((other for other in candidates if _doubles(item, other)), None)
        if newer is None:
            kept.append(item)
            near[name].append(item)
            near[places[1]].append(item)
        elif newer.item_id != item.item_id and newer.catalog == item.catalog:
            notes.append(f"{item.item_id} shows the same as {newer.item_id}, which is newer and used instead.")
    return kept, notes


def with_directions(items: list[CatalogItem]) -> tuple[list[CatalogItem], list[str]]:
    """Items that state no flight direction with that of their neighbours; and a note for each.

    A neighbour is another slice of the same datatake, or an item of the same relative orbit over the same ground, which
    a satellite crosses in one direction only. Where neighbours disagree, or there are none, nothing is made up.
    """
    by_orbit: dict[tuple[object, object], list[CatalogItem]] = defaultdict(list)
    for item in items:
        if item.facts.get("sat:orbit_state"):
            for kind in ("overbank:datatake", "sat:relative_orbit"):
                by_orbit[kind, item.facts.get(kind)].append(item)
    found, notes = [], []
    for item in items:
        direction = None if item.facts.get("sat:orbit_state") else _direction_beside(item, by_orbit)
        if direction is not None:
            notes.append(f"{item.item_id} states no flight direction; {direction}, as its neighbours say.")
            item = item.model_copy(update={"facts": {**item.facts, "sat:orbit_state": direction}})  # noqa: PLW2901
        found.append(item)
    return found, notes


def _direction_beside(item: CatalogItem, by_orbit: dict[tuple[object, object], list[CatalogItem]]) -> str | None:
    """The one direction of an item's neighbours."""
    takes, orbits = (item.facts.get(kind) for kind in ("overbank:datatake", "sat:relative_orbit"))
    near = by_orbit["overbank:datatake", takes] if takes is not None else []
    if not near and orbits is not None:
        near = [
            other
            for other in by_orbit["sat:relative_orbit", orbits]
            if share_of(geometry_of(item.footprint), geometry_of(other.footprint)) >= SAME_GROUND
        ]
    said = {str(other.facts["sat:orbit_state"]) for other in near}
    return said.pop() if len(said) == 1 else None


def same_passes(acquisitions: Iterable[Acquisition]) -> list[list[Acquisition]]:
    """Acquisitions that are one pass of one platform, as several products or broken off, in order of time."""
    groups: list[list[Acquisition]] = []
    for one in sorted(acquisitions, key=lambda item: (item.start, item.acquisition_id)):
        group = next((near for near in reversed(groups) if _is_same_pass(near[0], one)), None)
        if group is None:
            groups.append([one])
        else:
            group.append(one)
    return groups


def _is_same_pass(first: Acquisition, one: Acquisition) -> bool:
    """Whether two acquisitions, of which one may not know its orbit, are of one pass."""
    orbits = {orbit for orbit in (first.relative_orbit, one.relative_orbit) if orbit is not None}
    return first.platform == one.platform and len(orbits) < 2 and one.start - first.start < SAME_PASS


def _pass_key(item: CatalogItem) -> tuple[object, ...]:
    facts = item.facts
    orbit = facts.get("overbank:datatake") or facts.get("sat:absolute_orbit") or facts.get("sat:relative_orbit")
    return (facts.get("platform"), orbit, facts.get("sat:orbit_state"))


def _runs(ordered: list[CatalogItem], product: ProductType) -> list[list[CatalogItem]]:
    """Cut a pass where sensing breaks off for longer than a slice or two."""
    runs: list[list[CatalogItem]] = []
    for item in ordered:
        if runs and item.start - max(one.end for one in runs[-1]) <= MAX_GAP.get(product, MAX_SLICE_GAP):
            runs[-1].append(item)
        else:
            runs.append([item])
    return runs


def _acquisition(slices: list[CatalogItem], product: ProductType, area: Any) -> Acquisition:
    first = slices[0].facts
    platform, orbit, state = str(first["platform"]), first.get("sat:relative_orbit"), first.get("sat:orbit_state")
    relative = orbit if isinstance(orbit, int) else None
    direction = OrbitDirection(str(state)) if state else None
    common = set.intersection(*(set(item.assets) for item in slices))
    start, end = min(item.start for item in slices), max(item.end for item in slices)
    parts = [platform, f"{start:%Y%m%dT%H%M%S}"]
    parts += [f"R{relative:03d}"] if relative is not None else []
    parts += [direction.value[0].upper()] if direction else []
    return Acquisition(
        acquisition_id="_".join(parts),
        platform=platform,
        product=product,
        start=start,
        end=end,
        polarisations=tuple(pol for pol in POLARISATIONS if pol in common),
        relative_orbit=relative,
        orbit_direction=direction,
        slices=tuple(slices),
        coverage=round(share_of(area, union_of([item.footprint for item in slices])), 6),
    )


def _gap_notes(acquisition: Acquisition) -> list[str]:
    if acquisition.product is ProductType.L2A:
        return []
    differing = {tuple(sorted(set(item.assets) & set(POLARISATIONS))) for item in acquisition.slices}
    if len(differing) > 1:
        return [f"{acquisition.acquisition_id} has slices of different polarisations; only the common ones are used."]
    pairs = zip(acquisition.slices, acquisition.slices[1:], strict=False)
    gaps = [(after.start - before.end).total_seconds() for before, after in pairs]
    return [
        f"{acquisition.acquisition_id} lacks {gap:.0f} s between two of its slices: one may not be published yet."
        for gap in gaps
        if gap > NOTABLE_GAP.total_seconds()
    ]


def _newness(item: CatalogItem) -> tuple[str, ...]:
    return (*(_sortable(str(item.facts.get(name, ""))) for name in _NEWNESS), item.item_id)


def _sortable(text: str) -> str:
    """A time in UTC, so that instants are compared whatever zone they are written in; other text as it is."""
    moment = instant_of(text)
    return text if moment is None else moment.isoformat(timespec="microseconds")


def _doubles(one: CatalogItem, other: CatalogItem) -> bool:
    """Same platform, most of the sensing time in common, and most of the ground."""
    if one.item_id == other.item_id and one.collection == other.collection:
        return True
    if one.facts.get("platform") != other.facts.get("platform") or one.facts.get("platform") is None:
        return False
    tiles = [(item.facts.get("grid:code") or item.facts.get("s2:mgrs_tile")) for item in (one, other)]
    if all(tiles):
        datatakes = {str(take) for item in (one, other) if (take := item.facts.get("overbank:datatake"))}
        near = (
            abs(one.start - other.start) <= MAX_GAP[ProductType.L2A]
        )  # archives date a tile by itself or its datatake
        return _tile(tiles[0]) == _tile(tiles[1]) and len(datatakes) <= 1 and near
    common = (min(one.end, other.end) - max(one.start, other.start)).total_seconds()
    shorter = min((one.end - one.start).total_seconds(), (other.end - other.start).total_seconds())
    if common < 0 or (shorter > 0 and common < 0.5 * shorter):
        return False
    mine, theirs = geometry_of(one.footprint), geometry_of(other.footprint)
    smaller = min(area_m2(mine), area_m2(theirs))
    return area_m2(mine.intersection(theirs)) >= SAME_GROUND * smaller


def _tile(value: object) -> str:
    return str(value).removeprefix("MGRS-").removeprefix("T")
