"""Runs whose process is gone, and that nobody reported: found by asking, and ended as Crashed.

A run on the desk gives a sign of life every 30 s (Prefect's heartbeat, an event). An automation that waits for their
absence makes SQLite's database locked and events lost; here the server is asked, which writes nothing. Only a run that
is Running can be dead: one that waits for a person, a slot or its time has no process, and none is missed.
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from uuid import UUID

import psutil
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.responses import SetStateStatus
from prefect.events.filters import EventFilter, EventNameFilter, EventResourceFilter
from prefect.states import Crashed

HEARTBEAT = "prefect.flow-run.heartbeat"
SILENT_S = 90.0
"""Three missed heartbeats of 30 s."""
GONE_S = 45.0
"""One missed heartbeat, where all workers are on this machine and it has no process of the run any more."""
UNWATCHED_S = SILENT_S - 30.0
"""Whoever did not look for so long (a laptop that slept, a server that was away) waits for signs of life first."""
PAGE = 200


class DeadRuns:
    """Remembers since when it has been watching without a break: silence counts only while somebody listens."""

    def __init__(self, *, local: bool, clock: Callable[[], float] = time.time) -> None:
        """Where ``local``, all workers are on this machine; ``clock`` gives seconds, also while the machine sleeps."""
        self._local = local
        self._clock = clock
        self._since = 0.0
        self._last: float | None = None

    def end(self, client: SyncPrefectClient) -> list[UUID]:
        """Mark dead runs as Crashed; return which."""
        now, last = self._clock(), self._last
        self._last = None  # should the server not answer
        if last is None or now - last > UNWATCHED_S:
            self._since = now
        listened, ended = now - self._since, []
        if listened >= GONE_S:
            silent = (run for run in _running(client) if self._is_dead(client, run, now, listened))
            ended = [run.id for run in silent if _end(client, run)]
        self._last = now
        return ended

    def _is_dead(self, client: SyncPrefectClient, run: FlowRun, now: float, listened: float) -> bool:
        """Whether a run has been silent for too long; one that never gave a sign of life is not judged."""
        process = _process_is_here(run)
        longest = GONE_S if process is False and self._local else SILENT_S
        if process or run.state is None or listened < longest or now - run.state.timestamp.timestamp() < longest:
            return False
        beat = _last_heartbeat(client, run.id)
        return beat is not None and now - beat.timestamp() >= longest


def _running(client: SyncPrefectClient) -> Iterator[FlowRun]:
    """Every run that is under way."""
    under_way = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING])))
    offset = 0
    while page := client.read_flow_runs(flow_run_filter=under_way, limit=PAGE, offset=offset):
        yield from page
        offset += len(page)


def _process_is_here(run: FlowRun) -> bool | None:
    """Whether this machine has the run's process, stopped or not; None where the run does not say which it is."""
    if not (run.infrastructure_pid or "").isdigit():
        return None
    try:
        process = psutil.Process(int(run.infrastructure_pid or 0))
        return bool(process.environ().get("PREFECT__FLOW_RUN_ID") == str(run.id))
    except psutil.NoSuchProcess:
        return False
    except (psutil.AccessDenied, OSError):
        return None


def _last_heartbeat(client: SyncPrefectClient, run_id: UUID) -> datetime | None:
    """When a run last gave a sign of life."""
    wanted = EventFilter(
        event=EventNameFilter(name=[HEARTBEAT]), resource=EventResourceFilter(id=[f"prefect.flow-run.{run_id}"])
    )
    found = client.read_events(wanted, limit=1).events
    return found[0].occurred.astimezone(UTC) if found else None


def _end(client: SyncPrefectClient, run: FlowRun) -> bool:
    """Mark one run as Crashed, unless it went on or ended meanwhile."""
    now = client.read_flow_run(run.id).state
    if now is None or run.state is None or now.id != run.state.id:
        return False
    crashed: State[None] = Crashed(message=f"no heartbeat for {SILENT_S:g} s, or its process is gone")
    return client.set_flow_run_state(run.id, crashed).status == SetStateStatus.ACCEPT
