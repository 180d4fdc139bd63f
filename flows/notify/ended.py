"""Runs that ended badly become messages: asked of the server again and again, so that none is lost on the way."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.utilities.urls import url_for

from pipeline_lib.atomic import write_atomically
from pipeline_lib.model import Record
from pipeline_lib.steps.outbox import FAILURE, Message, outbox_folder, put

EACH = ("mapping", "reference", "housekeeping", "training")
"""Tags of runs of which each failure is told."""
REPEATED = {"poll": "Polling", "mirror": "Mirror of events"}
"""Tags of runs that are made again by themselves: a failure is told at most every six hours."""
QUIET = timedelta(hours=6)
LOOK_BACK = timedelta(minutes=30)
"""A run's end may be written down some time after it; what was told is not told again."""
PAGE = 200


class Looked(Record):
    """When the server was asked for runs that ended."""

    first: datetime
    """What failed before anybody looked is no news."""
    last: datetime


def collect(client: SyncPrefectClient, out: Path) -> int:
    """Put a message for every run that ended badly since the last look; return how many are new.

    Raises:
        StoreError: the folder cannot be written.
    """
    now = datetime.now(UTC)
    place = outbox_folder(out) / ".looked"
    looked = _looked(place) or Looked(first=now, last=now)
    new, offset = 0, 0
    chosen = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.FAILED, StateType.CRASHED])),
        end_time=FlowRunFilterEndTime(after_=max(looked.first, looked.last - LOOK_BACK)),
        tags=FlowRunFilterTags(any_=[*EACH, *REPEATED]),
    )
    while page := client.read_flow_runs(
        flow_run_filter=chosen, sort=FlowRunSort.END_TIME_DESC, limit=PAGE, offset=offset
    ):
        new += sum(_tell(out, run) for run in page)
        offset += len(page)
    write_atomically(place, Looked(first=looked.first, last=now).model_dump_json())
    return new


def _tell(out: Path, run: FlowRun) -> bool:
    """Put the message of one run; whether it is new."""
    ended, state = run.end_time, run.state
    if ended is None or state is None:
        return False
    text = " ".join(part for part in (state.message, url_for(run) or f"(run {run.id})") if part)
    repeated = next((tag for tag in REPEATED if tag in run.tags), None)
    if repeated is None:
        subject = f"Run {run.name} {state.name}"
        return put(out, Message(kind=FAILURE, about=str(run.id), subject=subject, body=text, at=ended))
    subject = f"{REPEATED[repeated]} {state.name}"
    text += f" (told at most every {QUIET.total_seconds() / 3600:g} hours)"
    return put(out, Message(kind=FAILURE, about=repeated, subject=subject, body=text, at=ended), again_after=QUIET)


def _looked(place: Path) -> Looked | None:
    """When runs were looked at; None where they never were, or nobody knows."""
    try:
        return Looked.model_validate_json(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
