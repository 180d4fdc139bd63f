"""Step: take every decision before the first pixel is read, and keep it as a file a person can read."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import yaml
from shapely.geometry import shape

from pipeline_lib.atomic import write_atomically
from pipeline_lib.catalog.product import choose_passes
from pipeline_lib.catalog.profiles import is_whole_dem
from pipeline_lib.catalog.select import ancillary_notes, choose_optical, gap_notes
from pipeline_lib.errors import NoAcquisitionError, NoReferenceError
from pipeline_lib.grid import choose_grid
from pipeline_lib.load.sea import cell_name, sea_cells
from pipeline_lib.model import Acquisition, CatalogReference, Event, MappingPlan, PlannedPass, ProductType
from pipeline_lib.model.area import meant
from pipeline_lib.options.map_event import MapOptions
from pipeline_lib.place import described
from pipeline_lib.steps.plan_text import plan_text
from pipeline_lib.steps.search import Found
from pipeline_lib.water.registry import chosen_detector

__all__ = ["make_plan", "plan_text", "write_plan"]


def make_plan(
    event: Event,
    catalogs: CatalogReference | Sequence[CatalogReference],
    found: Found,
    options: MapOptions | None = None,
) -> MappingPlan:
    """Decide grid, passes, references and ancillary layers of an event.

    Args:
        event: where and when.
        catalogs: where ``found`` comes from, in the order in which they were asked.
        found: what `pipeline_lib.steps.search.search_event` found.
        options: of the run, defaults where None. ``plan`` shows in the decisions, ``search`` has shown already; those
            of the steps are recorded for them (`StepOptions`), with the detector by its own name.

    Raises:
        NoAcquisitionError: no pass of the event can be used.
        NoReferenceError: no pass has a reference, and `PlanOptions.require_references`.
        UnknownNameError: no such detector.
        InputError: the detector's options are wrong.
        AreaError: the area cannot be put on one grid.
    """
    given = options or MapOptions()
    wanted = given.plan
    steps = given.steps.model_copy(update={"detect": chosen_detector(given.detector, given.detector_options)})
    catalog, *more = (catalogs,) if isinstance(catalogs, CatalogReference) else catalogs
    passes, notes = choose_passes(
        found.passes, found.references, event, wanted, elevation=bool(found.dem), catalogs=(catalog, *more)
    )
    if not passes:
        raise NoAcquisitionError(_nothing_found(event, (catalog, *more), found, notes))
    if wanted.require_references and not any(planned.references for planned in passes):
        raise NoReferenceError(
            f"None of the {len(passes)} passes has a reference before {event.start:%Y-%m-%d} on its relative orbit "
            f"(guard of {wanted.guard_days:g} days). Search further back (reference_days), or map each pass by itself "
            "(require_references: false)."
        )
    grid = choose_grid(event.aoi, pixel_m=wanted.pixel_m)
    optical, optical_notes = choose_optical(found.optical, event, grid, wanted)
    return MappingPlan(
        event=event,
        catalog=catalog,
        more_catalogs=tuple(more),
        grid=grid,
        passes=passes,
        dem=found.dem,
        water_occurrence=found.water_occurrence,
        optical=optical,
        options=steps,
        notes=tuple(dict.fromkeys([*notes, *_cover_notes(event, found, passes), *optical_notes, *found.notes])),
    )


def _cover_notes(event: Event, found: Found, passes: tuple[PlannedPass, ...]) -> Iterator[str]:
    """What of the area is not covered by passes and ancillary layers, and what follows."""
    yield from gap_notes(passes, event)
    yield from ancillary_notes("The elevation model", found.dem, event, "slope and HAND are unknown there")
    without = "reference water rests on the reference passes alone there"
    yield from ancillary_notes("Long-term water occurrence", found.water_occurrence, event, without)
    yield from _sea_notes(event, found, [planned.acquisition for planned in passes])


def _sea_notes(event: Event, found: Found, passes: Iterable[Acquisition]) -> list[str]:
    """What is taken for open sea when radar images are placed on the map."""
    if not is_whole_dem(found.dem) or all(one.product is not ProductType.GRD for one in passes):
        return []
    names = ", ".join(cell_name(cell) for cell in sea_cells(event.aoi, found.dem))
    return [f"The elevation model has no tile {names}: open sea; GRD is placed there at sea level."] if names else []


def write_plan(plan: MappingPlan, path: Path) -> Path:
    """Write a plan as JSON (``.json``) or YAML (any other suffix); the file appears complete or not at all.

    Hrefs are written without their queries: some catalogues hand out signed ones, and a plan is shown and kept.

    Raises:
        StoreError: the place cannot be written.
    """
    content = plan.document
    text = (
        json.dumps(content, indent=2, ensure_ascii=False)
        if path.suffix == ".json"
        else yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    )
    write_atomically(path, text.rstrip("\n") + "\n")
    return path


def _nothing_found(event: Event, catalogs: Sequence[CatalogReference], found: Found, notes: list[str]) -> str:
    """Why there is nothing to map, and the next best thing."""
    period = f"{event.start:%Y-%m-%d %H:%M} to {event.end:%Y-%m-%d %H:%M}"
    have = "has" if len(catalogs) == 1 else "have"
    names = " and ".join(catalog.url for catalog in catalogs)
    text = f"{names} {have} no usable Sentinel-1 acquisition over the area from {period}."
    if found.passes and notes:
        text += f" {notes[0]}"
    elif found.references:
        text += f" The last one before is {found.references[-1].acquisition_id}; widen the period."
    elif notes or found.notes:
        text += f" {(*notes, *found.notes)[0]}"
    else:
        text += " There is none before it either: check the area, the dates and the catalogue."
    area = shape(event.aoi)
    return f"{text} The area is {described(area)}.{meant(area.bounds)}"
