"""Forgetting what need not be kept: intermediates that nobody used lately, what killed writers left, old history."""

from datetime import datetime, timedelta
from pathlib import Path

from pydantic import Field

from pipeline_lib.model import Record
from pipeline_lib.options import Options
from pipeline_lib.steps import outbox
from pipeline_lib.steps.watch import register_of
from pipeline_lib.steps.workspace import store_of
from pipeline_lib.store import GRACE


class RetentionOptions(Options):
    """How long things are kept. Published products are never removed here."""

    intermediates_days: float = Field(default=30.0, ge=0)
    """Intermediate datasets not used for so long are removed; they can be made again."""
    history_days: float = Field(default=400.0, ge=0)
    """Polls older than this are forgotten."""
    news_days: float = Field(default=90.0, ge=0)
    """Messages that were delivered, or given up, so long ago are forgotten."""
    runs_days: float = Field(default=90.0, ge=0)
    """Overbank's own runs that ended longer ago are removed from the Prefect server, and their results from the machine
    of the retention run."""


class Removed(Record):
    """What was removed."""

    datasets: int
    """That were not used for long: not found any more."""
    groups: int
    """Of datasets that were forgotten earlier, and of writers that were killed."""
    freed_bytes: int
    """That the groups took."""
    history_lines: int


def forget(out: Path, options: RetentionOptions, now: datetime) -> Removed:
    """Remove old intermediates, leftovers of killed writers, and old polls.

    A dataset is as old as its last use. It is not found any more from now on, and its bytes are removed a day later
    (`pipeline_lib.store.GRACE`), when no run can be reading it any more.

    Raises:
        StoreError: the store cannot be listed, or the register of watches cannot be opened.
    """
    store = store_of(out)
    swept = store.sweep(now - GRACE)
    datasets = store.forget(now - timedelta(days=options.intermediates_days))
    outbox.forget(out, now - timedelta(days=options.news_days))
    lines = register_of(out).prune(now - timedelta(days=options.history_days))
    return Removed(datasets=datasets, groups=swept.groups, freed_bytes=swept.bytes, history_lines=lines)
