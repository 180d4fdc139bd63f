"""Ask the catalogue of a watch."""

from datetime import UTC, datetime
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from pipeline_lib.steps import watch as steps


@task(name="poll catalogue", task_run_name="poll catalogue for {name}", cache_policy=NO_CACHE)
def poll(name: str, out: str, since: datetime | None = None) -> steps.PollResult:
    """Every page of the catalogue, then the decision; the search itself retries with backoff."""
    return steps.poll(steps.register_of(Path(out)), name, datetime.now(UTC), since=since)
