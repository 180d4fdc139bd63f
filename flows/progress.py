"""How far a run is: a line in the log and a progress bar in the UI for every finished stage."""

import logging
import threading
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from prefect import get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.futures import PrefectFuture, as_completed

from tasks.display import show


def run_logger() -> "logging.Logger | logging.LoggerAdapter[Any]":
    """The logger of the current run, whose lines reach the UI."""
    return get_run_logger()


class Progress:
    """Counts finished stages; ``done`` and ``total`` travel on the log record for displays of other kinds."""

    def __init__(self, logger: "logging.Logger | logging.LoggerAdapter[Any]", total: int) -> None:
        """Start at zero of ``total`` stages."""
        self._logger = logger
        self._total = total
        self._done = 0
        self._waiting = threading.Event()
        text = "Stages of the run"
        self._artifact = show(create_progress_artifact, progress=0.0, key="progress", description=text)

    def finished(self, stage: str) -> None:
        """Count one stage as done and say so."""
        self._done = min(self._done + 1, self._total)
        facts = {"overbank_done": self._done, "overbank_total": self._total, "overbank_stage": stage}
        self._logger.info("%d/%d %s", self._done, self._total, stage, extra=facts)
        if not self._waiting.is_set():  # an update that has not been sent yet will say this, too
            self._waiting.set()
            show(self._update)

    def _update(self) -> None:
        """Move the bar to where the run is now."""
        self._waiting.clear()
        share = 100.0 * self._done / self._total
        update_progress_artifact(artifact_id=self._artifact.result(), progress=share)

    def follow(self, futures: Iterable[tuple[str, PrefectFuture[Any]]]) -> None:
        """Wait for futures, counting each as it ends, whether well or badly."""
        names: dict[UUID, str] = {}
        pending: list[PrefectFuture[Any]] = []
        for name, future in futures:
            names[future.task_run_id] = name
            pending.append(future)
        for future in as_completed(pending):
            future.wait()  # makes the final state known here: the server learns of it later
            failed = not future.state.is_completed()
            self.finished(f"{names[future.task_run_id]}{' FAILED' if failed else ''}")
