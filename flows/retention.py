"""Housekeeping: disk and database stay bounded over months of running."""

import itertools
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from prefect import flow, get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterId,
)
from prefect.client.schemas.objects import State, TaskRun
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings

from pipeline_lib.steps.retention import Removed, RetentionOptions
from tasks.retention import forget

OURS = (
    "build-chips",
    "evaluate-model",
    "map-event",
    "map-events",
    "map-watched-pass",
    "mirror-events",
    "retention",
    "train-model",
    "update-reference",
    "watch-catalogue",
)
"""Names of overbank's flows: a server may run those of others, whose records are not ours to remove."""

PAGE = 200


@flow(
    name="retention",
    description="Remove old intermediate data, and old records and results of runs and polls.",
    result_serializer="json",
)
def retention(out: str, options: RetentionOptions | None = None) -> Removed:
    """Remove what is older than the options say; published products are never touched.

    Args:
        out: Folder of published events.
        options: How long each kind of thing is kept.
    """
    options = options or RetentionOptions()
    removed = forget(out, options)
    before = datetime.now(UTC) - timedelta(days=options.runs_days)
    runs, results = _forget_runs(before)
    get_run_logger().info(
        "Forgot %d datasets; removed %d groups (%.1f MB), %d polls, %d runs, %d results.",
        removed.datasets,
        removed.groups,
        removed.freed_bytes / 1e6,
        removed.history_lines,
        runs,
        results,
    )
    return removed


def _forget_runs(before: datetime) -> tuple[int, int]:
    """Delete our flow runs that ended before, with task runs, logs and artifacts, and what they answered.

    Returns:
        How many runs, and how many results of them.
    """
    runs, results = 0, 0
    with get_client(sync_client=True) as client:
        while ended := client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=list(OURS))),
            flow_run_filter=FlowRunFilter(end_time=FlowRunFilterEndTime(before_=before)),
            limit=PAGE,
        ):
            for run in ended:
                results += _forget_results([run.state, *(task.state for task in _task_runs(client, run.id))])
                with suppress(ObjectNotFound):  # another retention run was faster
                    client.delete_flow_run(run.id)
                    runs += 1
    return runs, results


def _task_runs(client: SyncPrefectClient, flow_run_id: UUID) -> Iterator[TaskRun]:
    """Every task run of a flow run."""
    of_run = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))
    for offset in itertools.count(step=PAGE):
        page = client.read_task_runs(flow_run_filter=of_run, limit=PAGE, offset=offset)
        yield from page
        if len(page) < PAGE:
            return


def _forget_results(states: Iterable[State[Any] | None]) -> int:
    """Remove what runs answered, or what stopped them: Prefect keeps it for ever, in files of the machine they ran on.

    That folder may hold results of others, and a record of the server may name any path: only files in the folder go,
    and only those that one of ``states`` names.
    """
    place, count = get_current_settings().results.local_storage_path, 0
    for state in states:
        key = getattr(state and state.data, "storage_key", None)  # a state without a result has none
        path = place / (key or "")  # an absolute key is the whole path
        if path.parent == place and path.is_file():
            path.unlink(missing_ok=True)
            count += 1
    return count
