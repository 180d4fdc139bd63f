"""Map one flood event: search, plan, prepare, detect, derive, mosaic, assess, publish."""

from pathlib import Path
from typing import Any, cast

from prefect import flow
from prefect.futures import PrefectFuture
from prefect.runtime import flow_run
from prefect.states import Completed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.approval import approved
from flows.metrics import measured_run
from flows.passes import history_name, map_passes
from flows.progress import Progress, run_logger
from pipeline_lib.errors import IncompleteEventError, OverbankError, shown
from pipeline_lib.model import Event, MappingPlan, Product, Stored
from pipeline_lib.options.map_event import MapOptions
from pipeline_lib.steps.decide import refuse_impossible
from pipeline_lib.steps.gate import AWAITING, BELOW_RULE, MIRROR_BEHIND, PUBLISHED, REJECTED, Outcome
from pipeline_lib.steps.map_event import Place, optical_comes_first, restricted
from pipeline_lib.steps.mapped import Ancillaries, Mapped, with_shifts
from pipeline_lib.steps.mirror import mirror_of
from pipeline_lib.steps.published import published_product
from pipeline_lib.steps.workspace import need_place, workspace_of
from tasks.cluster import dropped_on_cancel
from tasks.derive import mosaic_event
from tasks.display import all_shown, unvisited
from tasks.gate import assess
from tasks.mirror import mirror_events
from tasks.plan import plan_event
from tasks.prepare import (
    compare_with_optical,
    prepare_composite,
    prepare_occurrence,
    prepare_terrain,
)
from tasks.publish import publish_event
from tasks.search import search

PASSES_AT_ONCE = cast("TaskRunner[PrefectFuture[Any]]", ThreadPoolTaskRunner(max_workers=2))
"""One pass reads while another computes; more would hold more memory and read no faster on a small machine."""


def _run_name() -> str:
    """``map po-2024``, whatever form the event parameter came in."""
    event: Any = flow_run.parameters.get("event")
    return f"map {event['event_id'] if isinstance(event, dict) else event.event_id}"


@flow(
    name="map-event",
    flow_run_name=_run_name,
    description="Map one flood event from a STAC catalogue and publish it.",
    task_runner=PASSES_AT_ONCE,
    result_serializer="json",
)
def map_event(event: Event, catalog: str, out: str, options: MapOptions | None = None) -> Product | None:
    """Map ``event`` with what ``catalog`` holds and publish it under ``out/<event_id>``.

    Args:
        event: Where and when.
        catalog: Which archive: planetary-computer, earth-search, cdse, or the URL of any STAC API.
        out: Folder of published events. The pages are served from it: leave it as it is.
        options: Options of every step; the defaults where None. `approval.required` holds the map for a person.

    Returns:
        The published product; None where nothing is published (below the publish-if rule, rejected, or waiting for
        approval), which the name of the run's state says.

    Raises:
        OverbankError: nothing could be mapped.
        IncompleteEventError: published, but some passes failed.
    """
    return final_state(  # type: ignore[no-any-return]
        map_and_publish(event, catalog, out, options or MapOptions())
    )


def final_state(outcome: Outcome) -> Any:
    """What a flow returns: the product, or a completed state whose name and message say why there is no new one.

    Raises:
        IncompleteEventError: some passes failed.
    """
    if outcome.failures:
        _raise_incomplete(outcome)
    if outcome.mirror:
        return Completed(name=MIRROR_BEHIND, message=outcome.mirror, data=outcome.product)
    if outcome.state == PUBLISHED:
        return outcome.product
    return Completed(name=outcome.state, message=outcome.reason, data=outcome.product)


def map_and_publish(event: Event, catalog: str, out: str, options: MapOptions) -> Outcome:
    """The body of `map_event`, for flows that map an event and do something more.

    Returns:
        How it ended; passes that failed are named in it.

    Raises:
        OverbankError: nothing could be mapped.
    """
    refuse_impossible(event, options)
    need_place(Path(out))
    place = Place(
        workspace=workspace_of(Path(out), event.event_id).folder,
        dask_address=options.dask_address,
        dask_patience_s=options.dask_patience_s,
    )
    with all_shown(), measured_run(out, event.event_id, place) as watch, dropped_on_cancel():
        outcome = _map_and_publish(event, catalog, out, options, place)
        watch.ended(outcome)
    return outcome


def _map_and_publish(event: Event, catalog: str, out: str, options: MapOptions, place: Place) -> Outcome:
    """Every stage in its order."""
    seen = published_product(Path(out), event.event_id)
    plan = plan_event(event, catalog, search(event, catalog, options.search), options, place)
    progress = Progress(run_logger(), total=_stages(plan))
    ancillaries, composite = _prepare_ancillaries(plan, place, progress)
    passes, failures = map_passes(plan, ancillaries, place, progress)
    done = restricted(plan, passes)
    mapped = _seen_from_above(
        Mapped(
            plan=done,
            passes=tuple(passes),
            ancillaries=ancillaries,
            mosaic=mosaic_event(unvisited(done), passes, place),
        ),
        composite,
        place,
    )
    progress.finished(f"mosaic of {len(passes)} passes")
    outcome = _publish_or_hold(mapped, out, options, place, since=0 if seen is None else seen.version)
    progress.finished(f"{outcome.state}: {event.event_id}")
    return outcome.model_copy(update={"failures": {name: str(error) for name, error in failures.items()}})


def _publish_or_hold(mapped: Mapped, out: str, options: MapOptions, place: Place, *, since: int) -> Outcome:
    """Publish where the rule is met and, if one must, a person approved; version ``since`` was there at the begin."""
    assessment = assess(mapped, out, options.publish_if, place)
    known = published_product(Path(out), assessment.event_id)
    if not assessment.worth:
        run_logger().warning("Not published: %s", assessment.reason)
        return Outcome(state=BELOW_RULE, reason=assessment.reason, product=known, assessment=assessment)
    grounds = assessment.grounds
    if options.approval.required and not assessment.unchanged:
        request = approved(assessment, mapped, out, options.approval)
        if request.decision is None or not request.decision.approved:
            run_logger().warning("Not published: %s", request.standing)
            state = AWAITING if request.decision is None else REJECTED
            return Outcome(state=state, reason=request.standing, product=known, assessment=assessment)
        grounds = request.grounds
    product = publish_event(mapped, out, place, grounds, since)
    behind = _mirrored(out, assessment.event_id)
    return Outcome(state=PUBLISHED, reason=assessment.reason, product=product, assessment=assessment, mirror=behind)


def _mirrored(out: str, event_id: str) -> str:
    """Copy what is published to the mirror, if there is one; say why where that fails, which undoes nothing."""
    try:
        if mirror_of(Path(out)) is not None:
            mirror_events(out, event_id).need_whole()
    except OverbankError as error:
        run_logger().warning("%s", error)
        return str(error)
    return ""


def _stages(plan: MappingPlan) -> int:
    """How many stages a plan will take."""
    orbits = {history_name(planned) for planned in plan.passes}
    return 2 + bool(plan.optical) + len(orbits) + 3 * len(plan.passes) + 2


def _prepare_ancillaries(
    plan: MappingPlan, place: Place, progress: Progress
) -> tuple[Ancillaries, PrefectFuture[Stored | None] | None]:
    """Terrain and long-term water, side by side, and Sentinel-2 before the event where the plan has it."""
    given = unvisited(plan)
    terrain = prepare_terrain.submit(given, place)
    occurrence = prepare_occurrence.submit(given, place)
    composite = prepare_composite.submit(given, place) if plan.optical else None
    named = [("terrain", terrain), ("water occurrence", occurrence)]
    if composite is not None and optical_comes_first(plan):
        composite.wait()
    progress.follow(named if composite is None else [*named, ("optical composite", composite)])
    return Ancillaries(terrain=terrain.result(), occurrence=occurrence.result()), composite


def _seen_from_above(mapped: Mapped, composite: PrefectFuture[Stored | None] | None, place: Place) -> Mapped:
    """Compare the passes with Sentinel-2. A flood map does not wait for clear sky: what fails is a note of the plan."""
    if composite is None:
        return mapped
    try:
        stored = composite.result()
        if stored is None:
            return mapped
        mapped = mapped.model_copy(update={"composite": stored})
        scenes = [one.scene for one in mapped.passes]
        shifts = compare_with_optical(unvisited(mapped.plan), scenes, stored, place)
    except OverbankError as error:
        run_logger().warning("Sentinel-2 could not be used: %s", error)
        notes = (*mapped.plan.notes, f"Sentinel-2 could not be used: {error}")
        return mapped.model_copy(update={"plan": mapped.plan.model_copy(update={"notes": notes})})
    return with_shifts(mapped, shifts)


def _raise_incomplete(outcome: Outcome) -> None:
    """Say what is missing from an event."""
    mapped, failures = len(outcome.assessment.passes), outcome.failures
    reasons = "; ".join(f"{name}: {shown(error)}" for name, error in failures.items())
    event_id, version = outcome.assessment.event_id, outcome.product.version if outcome.product else 0
    state = f"Published {event_id} version {version}" if outcome.state == PUBLISHED else f"{outcome.state}: {event_id}"
    raise IncompleteEventError(
        f"{state} with {mapped} of {mapped + len(failures)} passes; missing are {reasons}. Run again to complete it: "
        "what is done is kept."
    )
