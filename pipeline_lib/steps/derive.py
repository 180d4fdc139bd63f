"""Derive the flood of each pass, and join the passes into the event."""

import xarray as xr

from pipeline_lib.flood import derive_flood, mosaic, reference_water
from pipeline_lib.flood.archive import archive_statistics
from pipeline_lib.flood.area import inside_area
from pipeline_lib.model import MappingPlan, PlannedPass, Stored
from pipeline_lib.publish.preview import coarse_backscatter, coarse_factor
from pipeline_lib.steps.keys import archive_key, flood_key, mosaic_key
from pipeline_lib.store import Store
from pipeline_lib.water.making import MADE_BY


def derive(
    store: Store,
    plan: MappingPlan,
    planned: PlannedPass,
    scene: Stored,
    history: Stored | None,
    water: Stored,
    terrain: Stored | None,
    occurrence: Stored | None,
) -> Stored:
    """Flood of one pass: water that is not reference water, where the radar can tell.

    The stored FloodMap also carries ``before_db`` (preview_y, preview_x), the mean of the reference passes, coarse
    enough for a page to lay beside the pass itself.

    Raises:
        StoreError: an input is missing or the folder cannot be written.
    """
    place = store.place("flood", flood_key(plan, planned, scene, history, water, terrain, occurrence))
    if store.has(place):
        return place
    options = plan.options.derive
    seen, archive = store.open(scene), _archive(store, plan, history)
    record = None if occurrence is None else store.open(occurrence)
    extent = store.open(water)
    reference = reference_water(
        None if record is None else record.get("water_occurrence"),
        archive,
        options.reference,
        seasonality=None if record is None else record.get("water_seasonality"),
        like=extent["water"],
    )
    land = None if terrain is None else store.open(terrain)
    flood = derive_flood(extent, reference, land, seen, options, archive)
    flood.attrs[MADE_BY] = extent.attrs[MADE_BY]
    flood.attrs["acquisition_id"] = planned.acquisition.acquisition_id
    flood.attrs["datetime"] = planned.acquisition.start.isoformat()
    flood.attrs["reference_passes"] = [reference.acquisition_id for reference in planned.references]
    if archive is not None and history is not None:
        flood["before_db"] = coarse_backscatter(store.open(history), coarse_factor(plan.grid.shape)).compute()
        flood["archive_dark_share"] = archive["dark_share"].astype("float32").where(reference == 0).mean()
    return store.save(place.kind, place.key, _on_grid(flood, extent))


def mosaic_event(store: Store, plan: MappingPlan, floods: list[Stored]) -> Stored:
    """Join the stored FloodMaps of a plan's passes into the event, by the plan's rule."""
    options = plan.options.derive
    place = store.place("event", mosaic_key(plan, floods))
    if store.has(place):
        return place
    passes = [
        (planned.acquisition.start, store.open(flood)) for planned, flood in zip(plan.passes, floods, strict=True)
    ]
    inside = inside_area(plan.event.aoi, passes[0][1]["flood_extent"], plan.grid)
    event = mosaic(passes, options.mosaic_rule, inside)
    return store.save(place.kind, place.key, _on_grid(event, passes[0][1]))


def _archive(store: Store, plan: MappingPlan, history: Stored | None) -> xr.Dataset | None:
    """Statistics of the reference passes, kept in the store: passes of one orbit share them."""
    if history is None:
        return None
    place = store.place("archive", archive_key(plan, history))
    if not store.has(place):
        store.save(place.kind, place.key, archive_statistics(store.open(history), plan.options.derive.reference))
    return store.open(place)


def _on_grid(dataset: xr.Dataset, like: xr.Dataset) -> xr.Dataset:
    """Keep the CRS of the inputs on what was made of them."""
    if "spatial_ref" in like.coords and "spatial_ref" not in dataset.coords:
        dataset = dataset.assign_coords(spatial_ref=like["spatial_ref"])
    return dataset
