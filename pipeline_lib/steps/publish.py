"""Publish an event from what is in the store."""

from datetime import datetime, timezone
from pathlib import Path

import xarray as xr

from pipeline_lib.model import MappingPlan, PlannedPass, Product, Stored
from pipeline_lib.options.publish import PublishOptions
from pipeline_lib.publish.environment import environment
from pipeline_lib.publish.publication import Publication, PublishedPass, publish
from pipeline_lib.steps.provenance import software
from pipeline_lib.store import Store


def publish_event(
    store: Store,
    plan: MappingPlan,
    passes: list[tuple[PlannedPass, Stored, Stored]],
    event: Stored,
    out: Path,
    options: PublishOptions | None = None,
) -> Product:
    """Publish a version of the event under ``out/<event_id>``: rasters, polygons, STAC, quicklook, page.

    Readers see the version before until this one is complete. Publishing the same again changes nothing.

    Args:
        store: where scenes, floods and the event are.
        plan: of the run.
        passes: each with its Scene and its FloodMap.
        event: of `pipeline_lib.steps.derive.mosaic_event`.
        out: folder of all events.
        options: what is written; defaults where None.

    Raises:
        StoreError: the folder is not writable or full, or another process is publishing the same event.
    """
    opened = [
        PublishedPass(planned=planned, scene=store.open(scene), flood=store.open(flood), key=flood.key)
        for planned, scene, flood in passes
    ]
    publication = Publication(
        plan=plan,
        passes=tuple(sorted(opened, key=lambda one: one.planned.acquisition.start)),
        event=_event(store, event),
        event_key=event.key,
        options=options or PublishOptions(),
        software=software(),
        environment=environment(),
        published=datetime.now(timezone.utc),
    )
    return publish(publication, out)


def _event(store: Store, event: Stored) -> xr.Dataset:
    """The event with its lists as lists, whatever the store made of one-element ones."""
    dataset = store.open(event)
    for name in ("pass_times", "pass_ids"):
        value = dataset.attrs[name]
        dataset.attrs[name] = [value] if isinstance(value, str) else list(value)
    return dataset
