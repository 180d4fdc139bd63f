"""A plan as text: what will be done, in the order in which a person asks."""

from shapely.geometry import shape

from pipeline_lib.catalog.footprint import area_m2
from pipeline_lib.model import Acquisition, MappingPlan, PlannedPass
from pipeline_lib.place import described


def plan_text(plan: MappingPlan) -> str:
    """Render a plan for people, about one line a decision."""
    return "\n".join([*_head(plan), "", *_passes(plan), "", *_ancillary(plan), *_notes(plan)]) + "\n"


def _head(plan: MappingPlan) -> list[str]:
    event, grid = plan.event, plan.grid
    area = shape(event.aoi)
    box = ",".join(f"{bound:.4f}" for bound in area.bounds)
    rows, columns = grid.shape
    return [
        f"Event      {event.event_id}" + (f": {event.title}" if event.title else ""),
        f"Period     {event.start:%Y-%m-%d %H:%M} to {event.end:%Y-%m-%d %H:%M} UTC",
        f"Area       {area_m2(area) / 1e6:,.1f} km2 within {box}: {described(area)}",
        *(
            f"{'Catalogue' if not number else '    then':<9}  {one.profile}, {one.url}"
            for number, one in enumerate((plan.catalog, *plan.more_catalogs))
        ),
        f"Grid       {rows} x {columns} pixels of {grid.pixel_m:g} m in {grid.crs}",
        f"Plan       {plan.digest}",
    ]


def _passes(plan: MappingPlan) -> list[str]:
    count = len(plan.passes)
    return [f"{count} pass{'' if count == 1 else 'es'} to map:", *(line for one in plan.passes for line in _pass(one))]


def _pass(planned: PlannedPass) -> list[str]:
    one = planned.acquisition
    slices = f", {len(one.slices)} slices merged" if len(one.slices) > 1 else ""
    lines = [f"  {_acquisition(one)}, {one.coverage:.1%} of the area{slices}"]
    if not planned.references:
        return [*lines, "      compared with nothing"]
    first, last = planned.references[0], planned.references[-1]
    platforms = "/".join(sorted({other.platform for other in planned.references}))
    span = f"{first.start:%Y-%m-%d}" + (f" to {last.start:%Y-%m-%d}" if last is not first else "")
    other = f" as {first.make}" if planned.is_mixture else ""
    return [*lines, f"      compared with {len(planned.references)} of {platforms}{other}, {span}"]


def _acquisition(one: Acquisition) -> str:
    orbit = f"orbit {one.relative_orbit} {one.orbit_direction}" if one.relative_orbit is not None else "orbit unknown"
    polarisations = "+".join(pol.upper() for pol in one.polarisations)
    return f"{one.start:%Y-%m-%d %H:%M} {one.platform} {one.product} {polarisations}, {orbit}"


def _ancillary(plan: MappingPlan) -> list[str]:
    dates = ", ".join(f"{one.start:%Y-%m-%d}" for one in plan.optical)
    optical = f"Sentinel-2 before the event, {dates}" if plan.optical else "none"
    return [
        f"Elevation         {_tiles(len(plan.dem))}",
        f"Water occurrence  {_tiles(len(plan.water_occurrence))}",
        f"Optical           {optical}",
    ]


def _tiles(count: int) -> str:
    return "none" if count == 0 else f"{count} tile{'' if count == 1 else 's'}"


def _notes(plan: MappingPlan) -> list[str]:
    return ["", "Notes:", *(f"  - {note}" for note in plan.notes)] if plan.notes else []
