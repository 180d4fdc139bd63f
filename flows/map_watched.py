"""Map one pass that a watch found, and report back to the watch how it went."""

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.runtime import flow_run

from flows.map_event import map_event
from pipeline_lib.model import Event, Product
from pipeline_lib.options.map_event import MapOptions
from pipeline_lib.steps.watch import register_of
from pipeline_lib.watch import PassState


def _run_name() -> str:
    """``po: S1A_20240511T053002_R066_D``."""
    given: Any = flow_run.parameters
    return f"{given.get('watch')}: {given.get('pass_id')}"


@flow(
    name="map-watched-pass",
    flow_run_name=_run_name,
    description="Map the event that a newly found pass belongs to; asked for by watch-catalogue.",
)
def map_watched(
    watch: str, pass_id: str, fingerprint: str, event: Event, catalog: str, out: str, options: MapOptions
) -> Product:
    """Map the event of a watched pass.

    Args:
        watch: name of the watch.
        pass_id: the pass, as the register knows it.
        fingerprint: of the slices that this run is to map.
        event: the event the pass belongs to.
        catalog: profile name or URL.
        out: folder of published events.
        options: of every step.
    """
    register = register_of(Path(out))
    try:
        product: Product = map_event(event, catalog, out, options)
    except BaseException:
        register.settle(watch, pass_id, fingerprint, PassState.FAILED)
        raise
    area = product.figures.get("flood_area_km2")
    flood_km2 = float(area) if isinstance(area, (int, float)) else None
    register.settle(watch, pass_id, fingerprint, PassState.MAPPED, flood_km2=flood_km2)
    return product
