"""What a stage takes: time, processor seconds, bytes and memory of this process and of the cluster's workers.

The counters of a process cannot be told apart by thread (Zarr and GDAL have threads of their own), so a ledger closes
its books whenever a stage begins or ends, and divides what was used since then evenly among the stages that ran: the
sum is exact, the shares of stages that overlap are not.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import psutil
from distributed import Client

from pipeline_lib.load.traffic import bytes_read
from pipeline_lib.model import MappingPlan
from pipeline_lib.steps.annotate import annotated
from pipeline_lib.steps.map_event import Place
from pipeline_lib.steps.metrics import StageMetrics
from tasks.cluster import computing
from tasks.worker_logs import identity

SAMPLE_S = 0.1
CLUSTER_SAMPLE_S = 2.0
"""Asking every worker costs a round trip."""
ANSWER_S = 30.0
"""Workers that do not answer for so long are not counted."""


class Usage(NamedTuple):
    """Counters since the processes began, and their memory now."""

    cpu_s: float
    archive: int
    read: int
    written: int
    memory: int


def usage_here() -> Usage:
    """Counters of this process."""
    process = psutil.Process()
    with process.oneshot():
        times, memory = process.cpu_times(), process.memory_info().rss
        files = process.io_counters() if hasattr(process, "io_counters") else None
    read, written = (files.read_chars, files.write_chars) if files else (0, 0)
    return Usage(times.user + times.system, bytes_read(), read, written, memory)


def usage_of(client: Client | None) -> Usage:
    """Counters of this process and of all workers of a cluster."""
    answers = [usage_here()]
    if client is not None:
        answers += answers_of(client, usage_here)
    return Usage(*(sum(part) for part in zip(*answers, strict=True)))


def answers_of(client: Client, question: Callable[[], Any]) -> list[Any]:
    """What every worker answers; nothing where a worker dies over it, or the answers do not come in time.

    A client that is closed while it waits (`tasks.cluster` gives up a cluster without workers) would wait for ever, and
    one that is closed already says so as it can. Counting must not end a stage: what it computes fails by itself.
    """
    try:
        return list(client.run(question, on_error="ignore", callback_timeout=ANSWER_S).values())
    except (OSError, RuntimeError):  # out of time; a connection that was closed; an event loop that was
        return []


@dataclass
class _Account:
    """What one running stage has used so far."""

    cpu_s: float = 0.0
    bytes: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    peak: int = 0


class Ledger:
    """The books of the stages that run at once on the same processes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: list[_Account] = []
        self._last: Usage | None = None
        self._stop = threading.Event()

    def open(self, client: Client | None) -> _Account:
        """Begin an account."""
        account = _Account()
        with self._lock:
            self._settle(client)
            self._running.append(account)
            if len(self._running) == 1:
                self._last = usage_of(client)
                self._stop = threading.Event()
                threading.Thread(target=self._watch, args=(client, self._stop), name="metering", daemon=True).start()
        return account

    def close(self, client: Client | None, account: _Account) -> None:
        """End an account."""
        with self._lock:
            self._settle(client)
            self._running.remove(account)
            if not self._running:
                self._stop.set()

    def _settle(self, client: Client | None) -> None:
        """Divide what was used since the last time."""
        if not self._running or self._last is None:
            return
        now = usage_of(client)
        share = 1.0 / len(self._running)
        for account in self._running:
            # A worker that died takes its counters with it: never less than nothing.
            account.cpu_s += max(0.0, now.cpu_s - self._last.cpu_s) * share
            for index, name in enumerate(("archive", "read", "written")):
                account.bytes[index] += max(0, getattr(now, name) - getattr(self._last, name)) * share
            account.peak = max(account.peak, now.memory)
        self._last = now

    def _watch(self, client: Client | None, stop: threading.Event) -> None:
        """See memory between the beginnings and ends."""
        while not stop.wait(SAMPLE_S if client is None else CLUSTER_SAMPLE_S):
            with self._lock:
                if not stop.is_set():
                    self._settle(client)


_ledgers: dict[str | None, Ledger] = {}
_done: dict[str, list[StageMetrics]] = {}
_guard = threading.Lock()


@contextmanager
def working(place: Place, stage: str, subject: str, plan: MappingPlan, layers: int = 1) -> Iterator[Client | None]:
    """Compute a stage where ``place`` says, and note what it takes; `taken` returns the notes."""
    rows, columns = plan.grid.shape
    with _guard:
        ledger = _ledgers.setdefault(place.dask_address, Ledger())
    with computing(place.dask_address, place.dask_patience_s) as client:
        account, began, ok = ledger.open(client), time.monotonic(), False
        try:
            with annotated(**identity()):
                yield client
            ok = True
        finally:
            ledger.close(client, account)
            note = StageMetrics(
                stage=stage,
                subject=subject,
                pixels=rows * columns * layers,
                wall_s=round(time.monotonic() - began, 3),
                cpu_s=round(account.cpu_s, 3),
                archive_bytes=round(account.bytes[0]),
                read_bytes=round(account.bytes[1]),
                written_bytes=round(account.bytes[2]),
                peak_memory_bytes=account.peak,
                ok=ok,
            )
            with _guard:
                _done.setdefault(place.workspace, []).append(note)


def taken(place: Place) -> tuple[StageMetrics, ...]:
    """What the stages of a run took, in the order in which they ended; they are forgotten here."""
    with _guard:
        return tuple(_done.pop(place.workspace, ()))
