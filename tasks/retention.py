"""Forget old intermediates."""

from datetime import UTC, datetime
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from pipeline_lib.steps import retention


@task(name="forget old data", cache_policy=NO_CACHE)
def forget(out: str, options: retention.RetentionOptions) -> retention.Removed:
    """Remove old intermediates, leftovers and polls under a folder of events."""
    return retention.forget(Path(out), options, datetime.now(UTC))
