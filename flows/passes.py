"""The passes of an event, mapped side by side: what is submitted in which order, and what became of it."""

from typing import Any, NamedTuple

from prefect.futures import PrefectFuture

from flows.progress import Progress
from pipeline_lib.errors import OverbankError
from pipeline_lib.model import MappingPlan, PlannedPass, Stored, digest_of
from pipeline_lib.steps.map_event import Place, passes_together
from pipeline_lib.steps.mapped import Ancillaries, MappedPass
from tasks.derive import derive_flood
from tasks.detect import detect_water
from tasks.display import unvisited
from tasks.prepare import prepare_history, prepare_pass


class _Chain(NamedTuple):
    """The futures of one pass."""

    planned: PlannedPass
    scene: PrefectFuture[Stored]
    history: PrefectFuture[Stored | None]
    water: PrefectFuture[Stored]
    flood: PrefectFuture[Stored]


def map_passes(
    plan: MappingPlan, ancillaries: Ancillaries, place: Place, progress: Progress
) -> tuple[list[MappedPass], dict[str, Exception]]:
    """Map every pass; one that fails does not stop the others. Raise only where none could be mapped."""
    histories: dict[str, PrefectFuture[Stored | None]] = {}
    chains: list[_Chain] = []
    together = passes_together(plan)
    for start in range(0, len(plan.passes), together):
        chains += _submitted(plan, plan.passes[start : start + together], histories, ancillaries, place)
    progress.follow([("history", history) for history in histories.values()] + _named_futures(chains))
    failures = {chain.planned.acquisition.acquisition_id: error for chain in chains if (error := _failure(chain))}
    if len(failures) == len(chains):
        raise next(iter(failures.values()))
    good = [chain for chain in chains if chain.planned.acquisition.acquisition_id not in failures]
    mapped = [
        MappedPass(
            planned=chain.planned, scene=chain.scene.result(), water=chain.water.result(), flood=chain.flood.result()
        )
        for chain in good
    ]
    return mapped, failures


def _submitted(
    plan: MappingPlan,
    passes: tuple[PlannedPass, ...],
    histories: dict[str, PrefectFuture[Stored | None]],
    ancillaries: Ancillaries,
    place: Place,
) -> list[_Chain]:
    """Submit passes stage by stage: pass by pass, a thread would stand idle in every stage that awaits another."""
    given = unvisited(plan)
    for planned in passes:
        if history_name(planned) not in histories:
            histories[history_name(planned)] = prepare_history.submit(given, unvisited(planned), place)
    before = [unvisited(histories[history_name(planned)]) for planned in passes]
    whole = [(given, unvisited(planned)) for planned in passes]
    scenes = [
        prepare_pass.submit(*one, history, place, return_state=False)
        for one, history in zip(whole, before, strict=True)
    ]
    waters = [
        detect_water.submit(*one, unvisited(scene), history, ancillaries, place, return_state=False)
        for one, scene, history in zip(whole, scenes, before, strict=True)
    ]
    floods = [
        derive_flood.submit(*one, unvisited(scene), history, unvisited(water), ancillaries, place, return_state=False)
        for one, scene, history, water in zip(whole, scenes, before, waters, strict=True)
    ]
    return [
        _Chain(planned, scene, histories[history_name(planned)], water, flood)
        for planned, scene, water, flood in zip(passes, scenes, waters, floods, strict=True)
    ]


def history_name(planned: PlannedPass) -> str:
    """Passes with the same references share one history."""
    return digest_of([reference.acquisition_id for reference in planned.references])


def _named_futures(chains: list[_Chain]) -> list[tuple[str, PrefectFuture[Any]]]:
    """What each future of a pass is called in the log."""
    return [
        (f"{stage} {chain.planned.acquisition.acquisition_id}", future)
        for chain in chains
        for stage, future in (("scene", chain.scene), ("water", chain.water), ("flood", chain.flood))
    ]


def _failure(chain: _Chain) -> Exception | None:
    """The first error of a pass, in the order of its stages; None where it was mapped."""
    for future in (chain.scene, chain.history, chain.water, chain.flood):
        future.wait()
        if future.state.is_failed() or future.state.is_crashed():
            error = future.state.result(raise_on_failure=False)
            return error if isinstance(error, Exception) else OverbankError(str(future.state.message))
    return None
