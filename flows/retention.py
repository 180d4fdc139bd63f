"""Housekeeping: disk and database stay bounded over months of running."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from prefect import flow, get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterEndTime
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings

from pipeline_lib.steps.retention import Removed, RetentionOptions
from tasks.retention import forget

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
    runs, results = _forget_runs(before), _forget_results(before)
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


def _forget_results(before: datetime) -> int:
    """Remove what runs of before answered, or what stopped them: Prefect keeps it in files of this machine for ever."""
    place, count = get_current_settings().results.local_storage_path, 0
    for path in place.iterdir() if place.is_dir() else ():
        with suppress(FileNotFoundError):  # another retention run was faster
            if path.is_file() and path.stat().st_mtime < before.timestamp():
                path.unlink()
                count += 1
    return count
