"""What a published event is made of, as addresses: one for the event, one for each catalogue item."""

from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

from pydantic import JsonValue

from pipeline_lib.model import CatalogItem, CatalogReference, MappingPlan, Product
from pipeline_lib.steps.summary import local_path


def event_address(product: Product) -> str:
    """Where the event is published, the same for every version; characters as they are, none in percent."""
    return f"file://{local_path(product.collection_href).parent.resolve().as_posix()}"


def item_addresses(plan: MappingPlan) -> dict[str, str]:
    """Addresses and ids of the STAC items that the event was made from, those first that say most of the map.

    An address has no user, password or query: those open a catalogue, and do not name an item.
    """
    return {
        f"{_root(item.catalog or plan.catalog)}/collections/{item.collection}/items/{item.item_id}": item.item_id
        for item in _items(plan)
    }


def _root(catalog: CatalogReference) -> str:
    """The address of a catalogue, without what opens it."""
    parts = urlsplit(catalog.url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def _items(plan: MappingPlan) -> Iterator[CatalogItem]:
    """Every item of a plan: passes, then their references, then the rest."""
    for planned in plan.passes:
        yield from planned.acquisition.slices
    for planned in plan.passes:
        for reference in planned.references:
            yield from reference.slices
    yield from plan.dem
    yield from plan.water_occurrence
    for acquisition in plan.optical:
        yield from acquisition.slices


def version_facts(plan: MappingPlan, product: Product) -> dict[str, JsonValue]:
    """What tells one version of an event from another."""
    figures = product.figures.model_dump(mode="json", include={"flood_area_km2", "passes", "last_pass"})
    return {
        "version": product.version,
        "published": product.published.isoformat(),
        "plan_digest": product.plan_digest,
        "software": product.software,
        "catalogue_items": len(item_addresses(plan)),
        **figures,
    }
