"""Bring the mirror of published events up to date."""

from pathlib import Path

from prefect import task

from pipeline_lib.steps import mirror
from tasks.retry import ONCE


@task(name="mirror events", **ONCE)
def mirror_events(out: str, event_id: str | None = None, *, check: bool = False) -> mirror.Followed:
    """Copy what the mirror lacks of one event, or of all; there must be a mirror."""
    return mirror.follow(Path(out), event_id, check=check) or mirror.Followed(to="")
