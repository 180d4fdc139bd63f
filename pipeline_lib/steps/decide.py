"""From an event and a catalogue to a plan: what ``overbank plan`` shows and ``overbank map`` does."""

from pipeline_lib.catalog.profiles import resolve_catalog
from pipeline_lib.grid import choose_grid
from pipeline_lib.model import Event, MappingPlan
from pipeline_lib.options.map_event import MapOptions
from pipeline_lib.steps.plan import make_plan
from pipeline_lib.steps.search import Found, search_event
from pipeline_lib.water.registry import DEFAULT_DETECTOR, detector


def refuse_impossible(event: Event, options: MapOptions) -> None:
    """Refuse, before a catalogue is asked, what no answer of it could make possible.

    Raises:
        AreaError: the area cannot be put on one grid.
        UnknownNameError: no such detector.
        InputError: the detector's options are wrong.
    """
    choose_grid(event.aoi, pixel_m=options.plan.pixel_m)
    detector(_detector_name(options), dict(options.detector_options))


def plan_event(event: Event, catalog: str, found: Found, options: MapOptions) -> MappingPlan:
    """Take every decision of a run that `refuse_impossible` let pass, before a pixel is read.

    Raises:
        NoAcquisitionError: nothing was found.
    """
    chosen = {
        "plan": options.plan.model_dump(mode="json"),
        "prepare": options.prepare.model_dump(mode="json"),
        "calibrate": options.calibrate.model_dump(mode="json"),
        "detect": {"detector": _detector_name(options), "parameters": dict(options.detector_options)},
        "derive": options.derive.model_dump(mode="json"),
        "publish": options.publish.model_dump(mode="json"),
    }
    return make_plan(event, resolve_catalog(catalog), found, chosen)


def search_and_plan(event: Event, catalog: str, options: MapOptions) -> MappingPlan:
    """Search and plan without an orchestrator: what ``overbank plan`` shows."""
    refuse_impossible(event, options)
    reference = resolve_catalog(catalog)
    return plan_event(event, catalog, search_event(event, reference, options.search), options)


def _detector_name(options: MapOptions) -> str:
    """Of the detector that runs."""
    return DEFAULT_DETECTOR if options.detector == "default" else options.detector
