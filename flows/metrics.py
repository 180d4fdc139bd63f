"""What a run took, stage by stage: a file beside the event's data and a table on the run."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from prefect.artifacts import create_table_artifact
from prefect.runtime import flow_run

from pipeline_lib.steps.gate import Outcome
from pipeline_lib.steps.map_event import Place
from pipeline_lib.steps.metrics import RunMetrics, metrics_rows, save_metrics
from tasks.display import show
from tasks.metering import taken


class Watch:
    """Learns how the run ended."""

    def __init__(self) -> None:
        """Begin without an outcome."""
        self.state, self.version = "Not finished", 0

    def ended(self, outcome: Outcome) -> None:
        """The run ended in this way."""
        self.state, self.version = outcome.state, outcome.product.version if outcome.product else 0


@contextmanager
def measured_run(out: str, event_id: str, place: Place) -> Iterator[Watch]:
    """Collect what the stages inside the block took; kept and shown also where the run fails or is suspended."""
    taken(place)  # what an earlier run in this process left behind is not ours
    watch, started = Watch(), datetime.now(UTC)
    try:
        yield watch
    finally:
        run = RunMetrics(
            event_id=event_id,
            started=started,
            ended=datetime.now(UTC),
            run_id=flow_run.id,
            outcome=watch.state,
            version=watch.version,
            stages=taken(place),
        )
        if run.stages:
            save_metrics(Path(out), run)
            show(create_table_artifact, key="stages", table=metrics_rows(run), description="What each stage took")
