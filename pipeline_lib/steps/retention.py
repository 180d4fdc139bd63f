"""Forgetting what need not be kept: intermediates that nobody used lately, what killed writers left, old history."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import Field

from pipeline_lib.model import Record
from pipeline_lib.options import Options
from pipeline_lib.steps.watch import register_of
from pipeline_lib.store import Store


class RetentionOptions(Options):
    """How long things are kept. Published products are never removed here."""

    intermediates_days: float = Field(default=30.0, ge=0)
    """Intermediate datasets not used for so long are removed; they can be made again."""
    history_days: float = Field(default=400.0, ge=0)
    """Polls older than this are forgotten."""
    runs_days: float = Field(default=90.0, ge=0)
    """Records of ended runs older than this are removed from the Prefect server."""


class Removed(Record):
    """What was removed."""

    datasets: int
    leftovers: int
    freed_bytes: int
    history_lines: int


def forget(out: Path, options: RetentionOptions, now: datetime) -> Removed:
    """Remove old intermediates, leftovers of killed writers, and old polls.

    A dataset is as old as its last use: reading one touches it. Its folder is renamed before it is deleted, so that
    no reader finds half of one.

    Raises:
        StoreError: the register of watches cannot be opened.
    """
    store = Store(out / ".overbank" / "store")
    leftovers = store.sweep()
    limit = (now - timedelta(days=options.intermediates_days)).timestamp()
    datasets, freed = 0, 0
    for folder in sorted(store.root.glob("*/*.zarr")):
        if folder.stat().st_mtime >= limit:
            continue
        doomed = folder.with_name(f".{folder.name}.forgotten")
        folder.rename(doomed)
        freed += sum(part.stat().st_size for part in doomed.rglob("*") if part.is_file())
        shutil.rmtree(doomed)
        datasets += 1
    lines = register_of(out).prune(now - timedelta(days=options.history_days))
    return Removed(datasets=datasets, leftovers=leftovers, freed_bytes=freed, history_lines=lines)
