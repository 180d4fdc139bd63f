"""Housekeeping: disk and database stay bounded over months of running."""

from datetime import UTC, datetime, timedelta

from prefect import flow, get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterEndTime
from prefect.exceptions import ObjectNotFound

from pipeline_lib.steps.retention import Removed, RetentionOptions
from tasks.retention import forget

PAGE = 200


@flow(
    name="retention",
    description="Remove old intermediate data and old records of runs and polls.",
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
    runs = _forget_runs(datetime.now(UTC) - timedelta(days=options.runs_days))
    get_run_logger().info(
        "Forgot %d datasets; removed %d groups (%.1f MB), %d polls, %d runs.",
        removed.datasets,
        removed.groups,
        removed.freed_bytes / 1e6,
        removed.history_lines,
        runs,
    )
    return removed


def _forget_runs(before: datetime) -> int:
    """Delete ended flow runs of before; their task runs, logs and artifacts go with them."""
    count = 0
    ended = FlowRunFilter(end_time=FlowRunFilterEndTime(before_=before))
    with get_client(sync_client=True) as client:
        while runs := client.read_flow_runs(flow_run_filter=ended, limit=PAGE):
            for run in runs:
                try:
                    client.delete_flow_run(run.id)
                except ObjectNotFound:
                    continue  # another retention run was faster
                count += 1
    return count
