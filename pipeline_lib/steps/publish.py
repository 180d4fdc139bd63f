"""Publish an event from what is in the store."""

from datetime import datetime, timezone
from pathlib import Path

import xarray as xr

from pipeline_lib.flood.depth import water_depth
from pipeline_lib.model import Grounds, Product, digest_of
from pipeline_lib.publish.environment import environment
from pipeline_lib.publish.publication import Publication, PublishedPass, publish
from pipeline_lib.steps.mapped import Mapped, MappedPass
from pipeline_lib.steps.optical import optical_shift, true_colour
from pipeline_lib.steps.provenance import software
from pipeline_lib.store import Store


def publication_of(mapped: Mapped, store: Store, decision: Grounds | None = None) -> Publication:
    """Everything that a version of the event would be made of, opened lazily; nothing is written.

    Args:
        mapped: the event.
        store: where its datasets are.
        decision: why it may be published; goes into the event's item.

    Raises:
        StoreError: a dataset is missing.
    """
    plan, composite = mapped.plan, mapped.composite
    opened = [
        PublishedPass(planned=one.planned, scene=_scene(store, one), flood=store.open(one.flood), key=one.flood.key)
        for one in mapped.passes
    ]
    return Publication(
        plan=plan,
        passes=tuple(sorted(opened, key=lambda one: one.planned.acquisition.start)),
        event=_event(store, mapped),
        event_key=mapped.mosaic.key if composite is None else digest_of([mapped.mosaic.key, composite.key]),
        options=plan.options.publish,
        software=software(),
        environment=environment(),
        published=datetime.now(timezone.utc),
        decision=decision,
    )


def publish_event(
    mapped: Mapped, out: str, store: Store, decision: Grounds | None = None, since: int | None = None
) -> Product:
    """Publish a version of the event under ``out/<event_id>``: rasters, polygons, STAC, quicklook, page.

    Readers see the version before until this one is complete. Publishing the same again changes nothing. Arguments
    are those of `publication_of`, and ``out``, the folder of all events; ``since`` is the version when the run began.

    Raises:
        SupersededError: the event was retracted since, or published with these passes and more.
        StoreError: the folder is not writable or full, or another process is publishing the same event.
        ModelError: a network that made the map is gone or was changed since.
    """
    return publish(publication_of(mapped, store, decision), Path(out), since)


def _scene(store: Store, one: MappedPass) -> xr.Dataset:
    """A pass, with its shift against optical where that was measured."""
    opened = store.open(one.scene)
    if one.optical_shift is None:
        return opened
    return opened.assign_attrs(optical_shift=optical_shift(store, one.optical_shift).model_dump_json())


def _event(store: Store, mapped: Mapped) -> xr.Dataset:
    """The event, with depth and the optical view of the time before where there are, and its lists as lists again."""
    dataset = store.open(mapped.mosaic)
    for name in ("pass_times", "pass_ids"):
        value = dataset.attrs[name]
        dataset.attrs[name] = [value] if isinstance(value, str) else list(value)
    terrain = mapped.ancillaries.terrain
    if mapped.plan.options.publish.depth and terrain is not None:
        dataset["depth"] = water_depth(
            dataset["flood_extent"], dataset["water_extent"], store.open(terrain)["elevation_m"]
        )
    if mapped.composite is not None:
        before = store.open(mapped.composite)
        dataset = dataset.assign(optical_water=before["water"], true_colour=true_colour(before))
    return dataset
