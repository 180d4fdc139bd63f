"""The steps of a mapping run, each keyed by everything it depends on, so that a killed run continues where it was."""

from pipeline_lib.model import MappingPlan, PlannedPass, Record, Stored
from pipeline_lib.steps.derive import derive
from pipeline_lib.steps.detect import detect_water, needs_of
from pipeline_lib.steps.hardware import gpu_count
from pipeline_lib.steps.keys import water_key
from pipeline_lib.steps.mapped import Ancillaries, MappedPass
from pipeline_lib.steps.prepare import compared
from pipeline_lib.store import Store
from pipeline_lib.water import Need

SMALL_PIXELS = 64_000_000
"""A grid of up to so many pixels has few blocks for the processors to share, and two passes of it fit into memory."""


class Place(Record):
    """Where a run keeps its data and computes."""

    workspace: str
    dask_address: str | None = None
    dask_patience_s: float = 900.0
    """How long the cluster may be without any worker before the run fails."""


def runs_network(plan: MappingPlan) -> bool:
    """Whether detection will run a network."""
    chosen = plan.options.detect
    return Need.MODEL in needs_of(chosen.detector, chosen.parameters)


def optical_comes_first(plan: MappingPlan) -> bool:
    """Whether passes are laid onto the optical composite, and so have to wait for it."""
    return plan.options.prepare.correct_against_optical


def passes_together(plan: MappingPlan) -> int:
    """How many passes to map side by side: two while a stage of one keeps but one processor busy, and memory allows."""
    rows, columns = plan.grid.shape
    return 2 if rows * columns <= SMALL_PIXELS else 1


def uses_gpu(plan: MappingPlan) -> bool:
    """Whether detection will run a network on a GPU of this machine."""
    return runs_network(plan) and gpu_count() > 0


def detect_pass(
    plan: MappingPlan,
    scene: Stored,
    history: Stored | None,
    ancillaries: Ancillaries,
    store: Store,
    resources: dict[str, float] | None = None,
) -> Stored:
    """Detect water in one pass with the plan's detector, on workers that have ``resources``."""
    chosen = plan.options.detect
    history = compared(store, scene, history)
    terrain, occurrence = ancillaries.terrain, ancillaries.occurrence
    key = water_key(plan, scene, history, terrain, occurrence, on_gpu=bool(resources))
    return detect_water(
        store,
        scene=scene,
        history=history,
        terrain=terrain,
        occurrence=occurrence,
        name=chosen.detector,
        parameters=chosen.parameters,
        key=key,
        resources=resources,
    )


def derive_pass(
    plan: MappingPlan,
    planned: PlannedPass,
    scene: Stored,
    history: Stored | None,
    water: Stored,
    ancillaries: Ancillaries,
    store: Store,
) -> Stored:
    """Derive the flood of one pass from its water."""
    history = compared(store, scene, history)
    return derive(store, plan, planned, scene, history, water, ancillaries.terrain, ancillaries.occurrence)


def restricted(plan: MappingPlan, mapped: list[MappedPass]) -> MappingPlan:
    """The plan of what was done: without the passes that failed, so that its digest is not that of the whole."""
    return plan.model_copy(update={"passes": tuple(one.planned for one in mapped)})
