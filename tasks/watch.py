"""Ask the catalogue of a watch."""

from datetime import UTC, datetime
from pathlib import Path

from prefect import task

from pipeline_lib.steps import watch as steps
from tasks.retry import ONCE


@task(name="poll catalogue", task_run_name="poll catalogue for {name}", **ONCE)
def poll(name: str, out: str, since: datetime | None = None) -> steps.PollResult:
    """Every page of the catalogue, then the decision; the search itself retries with backoff."""
    return steps.poll(steps.register_of(Path(out)), name, datetime.now(UTC), since=since)
