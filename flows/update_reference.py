"""Prepare the reference passes of watched areas ahead of time: a new pass is then mapped sooner."""

from datetime import UTC, datetime
from pathlib import Path

from prefect import flow

from flows.progress import Progress, run_logger
from pipeline_lib.steps.map_event import Place
from pipeline_lib.steps.watch import reference_plan, register_of
from pipeline_lib.steps.workspace import workspace_of
from pipeline_lib.watch import Register
from tasks.display import all_shown
from tasks.prepare import prepare_occurrence, prepare_scene, prepare_terrain


@flow(
    name="update-reference",
    description="Prepare the reference passes of every watch ahead of time.",
    result_serializer="json",
)
def update_reference(out: str, name: str | None = None) -> int:
    """Bring the newest reference passes of each relative orbit onto the grid of each watched area.

    Args:
        out: Folder of published events; holds the register of watches.
        name: One watch; all that are not paused where None.

    Returns:
        How many reference passes are prepared.
    """
    register = register_of(Path(out))
    names = [name] if name else [state.watch.name for state in register.watches() if not state.paused]
    with all_shown():
        return sum(_update(out, one, register) for one in names)


def _update(out: str, name: str, register: Register) -> int:
    """Prepare the references of one watch."""
    watch = register.watch(name).watch
    place = Place(workspace=workspace_of(Path(out), name).folder)
    plan = reference_plan(watch, datetime.now(UTC))
    if plan is None:
        return 0
    references = {item.acquisition_id: item for planned in plan.passes for item in planned.references}
    progress = Progress(run_logger(), total=len(references) + 2)
    prepare_terrain(plan, place)
    progress.finished("terrain")
    prepare_occurrence(plan, place)
    progress.finished("water occurrence")
    for identifier, reference in references.items():
        prepare_scene(plan, reference, place)
        progress.finished(f"reference {identifier}")
    return len(references)
