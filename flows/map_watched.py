"""Map the passes of one event that a watch found, and report back to the watch how it went."""

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.exceptions import Pause
from prefect.runtime import flow_run

from flows.map_event import PASSES_AT_ONCE, final_state, map_and_publish
from pipeline_lib.errors import SupersededError
from pipeline_lib.model import Event, Product
from pipeline_lib.options.map_event import MapOptions
from pipeline_lib.steps.gate import Outcome
from pipeline_lib.steps.published import is_retracted
from pipeline_lib.steps.watch import register_of, report_mapped, widened
from pipeline_lib.watch import PassState, Register


def _run_name() -> str:
    """``po: S1A_20240511T053002_R066_D``."""
    given: Any = flow_run.parameters
    return f"{given.get('watch')}: {given.get('pass_id')}"


@flow(
    name="map-watched-pass",
    flow_run_name=_run_name,
    description="Map the event that a newly found pass belongs to; asked for by watch-catalogue.",
    task_runner=PASSES_AT_ONCE,
    result_serializer="json",
)
def map_watched(
    watch: str,
    pass_id: str,
    fingerprint: str,
    event: Event,
    catalog: str,
    out: str,
    options: MapOptions,
    more_passes: dict[str, str] | None = None,
) -> Product | None:
    """Map the event of a watched pass.

    Args:
        watch: Name of the watch.
        pass_id: The pass, as the register knows it.
        fingerprint: Of the slices that this run is to map.
        event: The event the pass belongs to.
        catalog: Profile name or URL.
        out: Folder of published events.
        options: Of every step.
        more_passes: Further passes of the event that this run is to map, each with its fingerprint.

    Returns:
        The published product; None where the pass was not worth an event, or was not approved.
    """
    register = register_of(Path(out))
    passes = {pass_id: fingerprint, **(more_passes or {})}
    try:
        outcome = _map_up_to_date(register, watch, event, catalog, out, options)
    except Pause:
        raise  # suspended until a person decides: neither mapped nor failed
    except BaseException:
        for one, asked_with in passes.items():
            register.settle(watch, one, asked_with, PassState.FAILED)
        raise
    for one, asked_with in passes.items():
        report_mapped(register, watch, one, asked_with, outcome)
    return final_state(outcome)  # type: ignore[no-any-return]


def _map_up_to_date(
    register: Register, watch: str, event: Event, catalog: str, out: str, options: MapOptions
) -> Outcome:
    """Map the event with every pass of it that is known when the run ends.

    A run of a later pass may publish in between: this one, which knew fewer passes, must not undo it.
    """
    wanted = widened(register, watch, event)
    outcome: Outcome | None = None
    while True:
        must = options.approval.required or is_retracted(Path(out), wanted.event_id)  # a person took it back
        held = options.model_copy(update={"approval": options.approval.model_copy(update={"required": must})})
        try:
            outcome = map_and_publish(wanted, catalog, out, held)
        except SupersededError:
            if widened(register, watch, wanted) == wanted:
                raise
        now = widened(register, watch, wanted)
        if outcome is not None and now == wanted:
            return outcome
        wanted = now
