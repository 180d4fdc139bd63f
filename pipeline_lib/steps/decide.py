"""From an event and a catalogue to a plan: what ``overbank plan`` shows and ``overbank map`` does."""

from pipeline_lib.catalog.profiles import catalogs_of
from pipeline_lib.errors import AreaError
from pipeline_lib.grid import choose_grid
from pipeline_lib.model import Event, MappingPlan, digest_of
from pipeline_lib.options.map_event import MapOptions
from pipeline_lib.projections import need_projections
from pipeline_lib.publish.contents import written_with
from pipeline_lib.steps.keys import named_contents
from pipeline_lib.steps.plan import make_plan
from pipeline_lib.steps.search import Found, search_event
from pipeline_lib.water.registry import chosen_detector


def refuse_impossible(event: Event, options: MapOptions) -> None:
    """Refuse, before a catalogue is asked, what no answer of it could make possible.

    Raises:
        AreaError: the area cannot be put on one grid, or is smaller than the smallest flood that is mapped.
        UnknownNameError: no such detector.
        InputError: the detector's options are wrong, or the projection database is another installation's.
    """
    need_projections()
    grid = choose_grid(event.aoi, pixel_m=options.plan.pixel_m)
    rows, columns = grid.shape
    least_m2 = options.derive.min_mapping_unit_m2
    if rows * columns * options.plan.pixel_m**2 < least_m2:
        raise AreaError(
            f"The area takes {columns} x {rows} pixels of {options.plan.pixel_m:g} m; floods of less than {least_m2:g} "
            "m2 are not mapped (derive.min_mapping_unit_m2), so that nothing could ever be found. Give a larger area."
        )
    chosen_detector(options.detector, options.detector_options)


def plan_event(event: Event, catalog: str, found: Found, options: MapOptions) -> MappingPlan:
    """Take every decision of a run that `refuse_impossible` let pass, before a pixel is read.

    Raises:
        NoAcquisitionError: nothing was found.
    """
    plan = make_plan(event, catalogs_of(catalog), found, options)
    written = digest_of(written_with(plan.options.publish))
    return plan.model_copy(update={"contents": {**named_contents(plan), "publication": written}})


def search_and_plan(event: Event, catalog: str, options: MapOptions) -> MappingPlan:
    """Search and plan without an orchestrator: what ``overbank plan`` shows."""
    refuse_impossible(event, options)
    return plan_event(event, catalog, search_event(event, catalogs_of(catalog), options.search), options)
