"""Build a chip store from the events of a STAC catalogue."""

from pathlib import Path
from typing import Any, NamedTuple

from prefect import flow
from prefect.futures import PrefectFuture

from flows.map_event import PASSES_AT_ONCE
from flows.passes import history_name
from flows.progress import Progress, run_logger
from pipeline_lib.model import Event, PlannedPass, Stored
from pipeline_lib.options.map_event import MapOptions
from pipeline_lib.options.train import Recipe
from pipeline_lib.steps.decide import refuse_impossible
from pipeline_lib.steps.event_chips import TaughtPass, nearest_overpass
from pipeline_lib.steps.map_event import Place
from pipeline_lib.steps.workspace import workspace_of
from tasks.chips import prepare_overpass, write_chips
from tasks.display import all_shown, unvisited
from tasks.plan import plan_event
from tasks.prepare import prepare_history, prepare_pass
from tasks.search import search


class _Chain(NamedTuple):
    """The futures of one pass."""

    planned: PlannedPass
    scene: PrefectFuture[Stored]
    history: PrefectFuture[Stored | None]
    overpass: PrefectFuture[Stored] | None
    lag_days: float

    def stages(self) -> list[tuple[str, PrefectFuture[Any]]]:
        """Name and future of each; passes may share a history and an overpass."""
        name = self.planned.acquisition.acquisition_id
        named: list[tuple[str, PrefectFuture[Any]]] = [(f"history of {name}", self.history), (name, self.scene)]
        return named if self.overpass is None else [*named, (f"overpass near {name}", self.overpass)]


@flow(
    name="build-chips",
    flow_run_name="chips for {recipe.name}",
    description="Build a chip store from the radar passes of STAC events, labelled by Sentinel-2.",
    task_runner=PASSES_AT_ONCE,
    result_serializer="json",
)
def build_chips(recipe: Recipe, events: list[Event], catalog: str, out: str, options: MapOptions | None = None) -> int:
    """Prepare every pass of ``events`` as for mapping, label it by the Sentinel-2 overpass nearest in time, cut chips.

    Args:
        recipe: whose bands the store holds, and whose ``distill.max_lag_days`` says how close in time is close.
        events: where and when; each is a group that no split parts.
        catalog: URL of a STAC API, or planetary-computer, earth-search, cdse.
        out: the chip store to write; the prepared passes are kept beside it, as a mapping run keeps them.
        options: of search, plan and preparation; defaults where None.

    Returns:
        Number of chips.

    Raises:
        OverbankError: an event has no pass, or an asset cannot be read.
    """
    wanted = options or MapOptions()
    for event in events:
        refuse_impossible(event, wanted)
    started = []
    for event in events:
        place = Place(workspace=workspace_of(Path(out).parent, event.event_id).folder)
        chains = _prepared(recipe, event, catalog, wanted, place)
        run_logger().info("%s: %d passes", event.event_id, len(chains))
        started += [(event, chain, place) for chain in chains]
    stages = {future.task_run_id: (name, future) for _, chain, _ in started for name, future in chain.stages()}
    progress = Progress(run_logger(), len(stages) + 1)
    with all_shown():
        progress.follow(stages.values())
        taught = [(_taught(event, chain), place) for event, chain, place in started]
        count = write_chips(recipe, unvisited(taught), out)
        progress.finished(f"{count} chips in {out}")
    return count


def _prepared(recipe: Recipe, event: Event, catalog: str, options: MapOptions, place: Place) -> list[_Chain]:
    """Start preparing every pass of an event with its references and its overpass."""
    found = search(event, catalog, options.search)
    plan = plan_event(event, catalog, found, options, place)
    given = unvisited(plan)
    started: dict[str, PrefectFuture[Any]] = {}
    chains = []
    for planned in plan.passes:
        references = history_name(planned)
        if references not in started:
            started[references] = prepare_history.submit(given, unvisited(planned), place)
        near = nearest_overpass(found, planned, recipe.distill.max_lag_days)
        if near is not None and near[0].acquisition_id not in started:
            started[near[0].acquisition_id] = prepare_overpass.submit(given, unvisited(near[0]), place)
        history = unvisited(started[references])
        scene = prepare_pass.submit(given, unvisited(planned), history, place, return_state=False)
        overpass = None if near is None else started[near[0].acquisition_id]
        chains.append(_Chain(planned, scene, started[references], overpass, 0.0 if near is None else near[1]))
    return chains


def _taught(event: Event, chain: _Chain) -> TaughtPass:
    """Wait for a pass."""
    return TaughtPass(
        event_id=event.event_id,
        planned=chain.planned,
        scene=chain.scene.result(),
        history=chain.history.result(),
        overpass=None if chain.overpass is None else chain.overpass.result(),
        lag_days=chain.lag_days,
    )
