"""Log lines of Dask workers reach the run that asked for the work.

A worker knows no run: the library's lines would end in its own output. Every Dask task of a stage therefore carries the
ids of its run as an annotation; a plugin on the workers sends each line with the ids of the task that wrote it, and the
run's process hands the line to Prefect's own handler.
"""

import logging
from typing import Any

from distributed import Client, Worker
from distributed.diagnostics.plugin import WorkerPlugin
from distributed.utils import thread_state  # type: ignore[attr-defined]
from prefect.context import TaskRunContext

LIBRARY = "pipeline_lib"
TOPIC = "overbank-log"
MARK = "overbank_run"
_own: set[str] = set()
"""Flow runs of this process."""


def identity() -> dict[str, dict[str, str]]:
    """The annotation of the current task run; empty outside of one."""
    context = TaskRunContext.get()
    if context is None or context.task_run.flow_run_id is None:
        return {}
    run = str(context.task_run.flow_run_id)
    _own.add(run)
    return {MARK: {"flow_run_id": run, "task_run_id": str(context.task_run.id)}}


def forward_logs(client: Client) -> None:
    """Bring the lines of a cluster's workers into this process; asking twice changes nothing."""
    client.register_plugin(WorkerLogs())
    client.subscribe_topic(TOPIC, _received)  # type: ignore[no-untyped-call]


class WorkerLogs(WorkerPlugin):
    """Sends the library's log lines on a worker to whoever runs the work."""

    name = "overbank-logs"
    idempotent = True

    def setup(self, worker: Worker) -> None:
        """Listen to the library on this worker."""
        self._handler = _Sender(worker)
        logger = logging.getLogger(LIBRARY)
        logger.addHandler(self._handler)
        if logger.getEffectiveLevel() > logging.INFO:
            logger.setLevel(logging.INFO)

    def teardown(self, worker: Worker) -> None:  # noqa: ARG002 - the signature of plugins
        """Stop listening."""
        logging.getLogger(LIBRARY).removeHandler(self._handler)


class _Sender(logging.Handler):
    """On a worker: a line and the ids of the run it belongs to."""

    def __init__(self, worker: Worker) -> None:
        super().__init__(logging.INFO)
        self._worker = worker

    def emit(self, record: logging.LogRecord) -> None:
        """Send one line; lines outside a run's task stay in the worker's own output."""
        if hasattr(record, "flow_run_id"):
            return  # received from a worker in this same process
        task = self._worker.state.tasks.get(getattr(thread_state, "key", None))
        ids = (task.annotations or {}).get(MARK) if task is not None else None
        if ids is None:
            return
        line = {
            "name": record.name,
            "levelno": record.levelno,
            "levelname": record.levelname,
            "created": record.created,
        }
        self._worker.log_event(TOPIC, {**line, **ids, "msg": f"[{self._worker.name}] {record.getMessage()}"})


def _received(event: tuple[float, dict[str, Any]]) -> None:
    """In the run's process: hand a line to the library's logger, which knows by the ids where it belongs."""
    _, line = event
    if line.get("flow_run_id") in _own:
        record = logging.makeLogRecord(line)
        logging.getLogger(record.name).handle(record)
