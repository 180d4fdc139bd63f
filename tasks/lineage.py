"""The event as an asset of Prefect: each version materializes it, from the items of the catalogue it was made from.

Prefect's ``@materialize`` tells of an asset whenever its task ends. Publishing the same again is no new version, and a
run killed between the two would never tell: so the same events are emitted here, with ids that a version has for good.
"""

from hashlib import sha256

from prefect.assets import Asset, AssetProperties
from prefect.context import AssetContext
from prefect.events import emit_event
from prefect.types.names import MAX_ASSET_KEY_LENGTH, RESTRICTED_ASSET_CHARACTERS

from pipeline_lib.model import MappingPlan, Product
from pipeline_lib.steps import lineage, summary

MOST_ITEMS = 80
"""A server refuses an event with more than 100 related resources, and the run, its deployment and its tags are some."""
_FORBIDDEN = str.maketrans(dict.fromkeys(RESTRICTED_ASSET_CHARACTERS, "-"))


def asset_key(address: str) -> str:
    """``address`` by Prefect's rule for keys; what had to be changed ends in a digest, so that no two become one."""
    cleaned = address.translate(_FORBIDDEN)
    if cleaned == address and len(address) <= MAX_ASSET_KEY_LENGTH:
        return address
    ending = f"-{sha256(address.encode()).hexdigest()[:8]}"
    return cleaned[: MAX_ASSET_KEY_LENGTH - len(ending)] + ending


def materialized(plan: MappingPlan, product: Product) -> None:
    """Tell of the version, and of what it was made from; a version that is told of again is told of once."""
    event = Asset(
        key=asset_key(lineage.event_address(product)),
        properties=AssetProperties(
            name=plan.event.title or product.event_id,
            url=summary.page_link(product),
            description=f"Flood map of {product.event_id}, by {product.software}.",
        ),
    )
    items = [
        Asset(key=asset_key(address), properties=AssetProperties(name=name, url=address))
        for address, name in list(lineage.item_addresses(plan).items())[:MOST_ITEMS]
    ]
    version = (event.key, product.version, product.published)
    for number, item in enumerate(items):
        emit_event(
            "prefect.asset.referenced",
            id=summary.event_identity("referenced", *version, number),
            resource=AssetContext.asset_as_resource(item),
            related=[],
        )
    emit_event(
        "prefect.asset.materialization.succeeded",
        id=summary.event_identity("materialized", *version),
        resource=AssetContext.asset_as_resource(event),
        related=[AssetContext.asset_as_related(item) for item in items]
        + [AssetContext.related_materialized_by("overbank")],
        payload=lineage.version_facts(plan, product),
    )
