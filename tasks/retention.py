"""Forget old intermediates."""

from datetime import UTC, datetime
from pathlib import Path

from prefect import task

from pipeline_lib.steps import retention
from tasks.retry import ONCE


@task(name="forget old data", **ONCE)
def forget(out: str, options: retention.RetentionOptions) -> retention.Removed:
    """Remove old intermediates, leftovers and polls under a folder of events."""
    return retention.forget(Path(out), options, datetime.now(UTC))
