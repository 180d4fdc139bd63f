"""Map several events, one after the other: one that fails does not stop the others."""

from prefect import flow, get_run_logger

from flows.map_event import map_event
from pipeline_lib.errors import OverbankError, shown
from pipeline_lib.model import Event, Product
from pipeline_lib.options.map_event import MapOptions


@flow(
    name="map-events",
    description="Map several events; one that fails does not stop the others.",
    result_serializer="json",
)
def map_events(events: list[Event], catalog: str, out: str, options: MapOptions | None = None) -> list[Product]:
    """Map each event as a run of its own under this one.

    Args:
        events: What to map.
        catalog: URL of a STAC API, or a profile name.
        out: Folder of published events.
        options: Of every step, the same for all.

    Returns:
        The products of the events that are published, in their order.

    Raises:
        OverbankError: after all were tried, naming those that failed and why.
    """
    products, failures = [], {}
    for event in events:
        try:
            product = map_event(event, catalog, out, options)
            if product is not None:
                products.append(product)
        except OverbankError as error:
            get_run_logger().exception("Event %s was not mapped", event.event_id)
            failures[event.event_id] = error
    if failures:
        reasons = "; ".join(f"{name}: {shown(error)}" for name, error in failures.items())
        raise OverbankError(f"{len(failures)} of {len(events)} events were not mapped: {reasons}.")
    return products
