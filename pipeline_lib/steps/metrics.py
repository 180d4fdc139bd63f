"""What each stage of a run took, kept beside the run's data and shown as a table."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline_lib.atomic import write_atomically
from pipeline_lib.errors import InputError, StoreError
from pipeline_lib.model import Record
from pipeline_lib.steps.workspace import workspace_of

FOLDER = "metrics"
KEPT = 20
"""Runs of an event whose metrics are kept."""


class StageMetrics(Record):
    """One stage of a run. Stages that ran at once share evenly what the processes used meanwhile."""

    stage: str
    subject: str
    """Which pass, orbit or event."""
    pixels: int
    """Of the grid, times the layers in time that were stacked."""
    wall_s: float
    cpu_s: float
    """User and system seconds of all computing processes."""
    archive_bytes: int
    """Pixels read from the archive, decoded."""
    read_bytes: int
    """Read from files."""
    written_bytes: int
    peak_memory_bytes: int
    """Largest resident memory of all computing processes together, sampled ten times a second."""
    ok: bool = True
    """Whether the stage succeeded."""


class RunMetrics(Record):
    """A run."""

    event_id: str
    started: datetime
    ended: datetime
    run_id: str | None
    outcome: str
    """State of the run, as its name in the UI."""
    version: int
    """What readers saw afterwards; 0 where nothing was published."""
    stages: tuple[StageMetrics, ...]

    @property
    def cpu_s(self) -> float:
        """Of all stages."""
        return sum(one.cpu_s for one in self.stages)


def save_metrics(out: Path, run: RunMetrics) -> Path:
    """Write a run's metrics beside the event's data; the oldest beyond `KEPT` are removed.

    Raises:
        StoreError: the folder cannot be written.
    """
    folder = Path(workspace_of(out, run.event_id).folder) / FOLDER
    path = folder / f"{run.started:%Y%m%dT%H%M%S%f}.json"
    write_atomically(path, run.model_dump_json(indent=1))
    try:
        for old in sorted(folder.glob("[0-9]*.json"))[:-KEPT]:
            old.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"The old metrics in {folder} cannot be removed: {error}; see to permissions.") from error
    return path


def latest_metrics(out: Path, event_id: str) -> RunMetrics:
    """Metrics of the latest run.

    Raises:
        InputError: no run of the event is known here.
    """
    return _runs(out, event_id)[-1]


def fullest_metrics(out: Path, event_id: str) -> RunMetrics:
    """Metrics of the run that took most among those kept: the one that computed and did not reuse.

    Raises:
        InputError: no run of the event is known here.
    """
    return max(_runs(out, event_id), key=lambda run: run.cpu_s)


def _runs(out: Path, event_id: str) -> list[RunMetrics]:
    """The runs that are kept, oldest first."""
    folder = Path(workspace_of(out, event_id).folder) / FOLDER
    runs = [RunMetrics.model_validate(json.loads(path.read_text())) for path in sorted(folder.glob("[0-9]*.json"))]
    if not runs:
        raise InputError(f"No metrics of {event_id} are kept in {out}; they are written by `overbank map`.")
    return runs


def metrics_rows(run: RunMetrics) -> list[dict[str, Any]]:
    """One row a stage, for a table."""
    return [
        {
            "stage": one.stage if one.ok else f"{one.stage} (failed)",
            "Mpx": f"{one.pixels / 1e6:,.2f}",
            "wall s": f"{one.wall_s:,.2f}",
            "cpu s": f"{one.cpu_s:,.2f}",
            "archive MB": f"{one.archive_bytes / 1e6:,.1f}",
            "read MB": f"{one.read_bytes / 1e6:,.1f}",
            "written MB": f"{one.written_bytes / 1e6:,.1f}",
            "peak MB": f"{one.peak_memory_bytes / 1e6:,.0f}",
            "of": one.subject,
        }
        for one in run.stages
    ]


def metrics_text(run: RunMetrics) -> str:
    """The same for a terminal."""
    rows = metrics_rows(run)
    if not rows:
        return "no stage was measured"
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in rows[0]}
    head = f"{run.outcome}, {run.started:%Y-%m-%d %H:%M} UTC: {(run.ended - run.started).total_seconds():.1f} s wall, "
    lines = [head + f"{run.cpu_s:.1f} cpu-s in stages"]
    table = [{name: name for name in widths}, *rows]
    lines += ["  ".join(row[name].ljust(width) for name, width in widths.items()).rstrip() for row in table]
    return "\n".join(lines)
