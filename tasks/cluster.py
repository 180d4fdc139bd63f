"""Where a task computes: threads of this process or a Dask cluster by its address, and a slot of the GPU."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import dask
from distributed import Client
from prefect.concurrency.sync import concurrency
from prefect.exceptions import TerminationSignal

from pipeline_lib.errors import ClusterError
from tasks.worker_logs import forward_logs

GPU_SLOT = "overbank-gpu"
"""Global concurrency limit that `overbank up` makes: as many slots as GPUs, so that runs share none by accident."""
LEASE_S = 120.0
"""A killed run gives its slot back after so long."""

PATIENCE_S = 900.0
"""So long a cluster may be without any worker unless a run says otherwise: queues take their time."""
CHECK_S = 5.0
"""How often a run looks whether its cluster has any worker."""


@dataclass
class _Borrowed:
    """An open client, and how many tasks use it."""

    client: Client
    closing: ExitStack
    """Closes the client, and then lets Dask compute where it did before."""
    users: int = 0
    lost: str = ""
    """Why its computations were given up; empty where they were not."""
    over: threading.Event = field(default_factory=threading.Event)


_lock = threading.Lock()
_clients: dict[str, _Borrowed] = {}
"""By address of the scheduler."""
_empty_since: dict[str, float] = {}
"""When each cluster was first seen without a worker (monotonic clock); not in it while it has one. Kept beyond a client
that gave up: the stage after does not wait anew."""


@contextmanager
def computing(address: str | None, patience_s: float = PATIENCE_S) -> Iterator[Client | None]:
    """Compute on the cluster at ``address`` inside the block; on this process's threads where it is None.

    Tasks of one flow run side by side on threads and share one client, which is the process's default while any of
    them needs it: a client of its own for each would take the default away from the others when it closes.

    Raises:
        ClusterError: the cluster was without any worker for ``patience_s``: Dask itself would wait for ever, and with
            its client gone it would compute on the threads of this process, which is not where it was told to.
    """
    if not address:
        yield None
        return
    borrowed = _borrow(address, patience_s)
    try:
        _need_cluster(borrowed)
        yield borrowed.client
    except Exception as error:
        _need_cluster(borrowed, error)
        raise
    finally:
        _give_back(address)


def _need_cluster(borrowed: _Borrowed, cause: Exception | None = None) -> None:
    if borrowed.lost:
        raise ClusterError(borrowed.lost) from cause


def _borrow(address: str, patience_s: float) -> _Borrowed:
    with _lock:
        borrowed = _clients.get(address)
        if borrowed is None:
            borrowed = _clients[address] = _opened(address)
            if _goes_on(address, borrowed, patience_s):
                watch = threading.Thread(
                    target=_watch, args=(address, borrowed, patience_s), name="workers", daemon=True
                )
                watch.start()
        borrowed.users += 1
        return borrowed


def _opened(address: str) -> _Borrowed:
    """A client of a cluster; where it is lost, Dask says that it has none instead of computing somewhere else."""
    with ExitStack() as opening:
        opening.enter_context(dask.config.set(scheduler="dask.distributed"))
        client = Client(address, set_as_default=True)  # type: ignore[no-untyped-call]
        opening.callback(client.close)
        forward_logs(client)
        return _Borrowed(client, closing=opening.pop_all())


def _give_back(address: str) -> None:
    with _lock:
        borrowed = _clients[address]
        borrowed.users -= 1
        if borrowed.users:
            return
        del _clients[address]
        borrowed.over.set()
        if not borrowed.lost:
            _empty_since.pop(address, None)
        # Before another opens: each client puts Dask's scheduler back to what it found, and one that opened meanwhile
        # would find, and in the end leave behind, a scheduler without a client.
        borrowed.closing.close()


def _watch(address: str, borrowed: _Borrowed, patience_s: float) -> None:
    """Give up what is computed on a cluster that has no worker and gets none."""
    while not borrowed.over.wait(CHECK_S):
        if not _goes_on(address, borrowed, patience_s):
            return


def _goes_on(address: str, borrowed: _Borrowed, patience_s: float) -> bool:
    """Whether the cluster has a worker or may yet get one in time; where not, its computations end here."""
    try:
        populated = bool(borrowed.client.scheduler_info(n_workers=1)["workers"])
    except Exception:  # noqa: BLE001 - a scheduler that does not answer ends the computation by itself
        return False
    if waited_without(address, populated=populated, now=time.monotonic()) <= patience_s:
        return True
    borrowed.lost = (
        f"The Dask cluster at {address} has had no worker for {patience_s:g} s (dask_patience_s). Start "
        "workers and run again: what is done is kept."
    )
    borrowed.client.close()  # type: ignore[no-untyped-call]
    return False


def waited_without(address: str, *, populated: bool, now: float) -> float:
    """Seconds that the cluster has been without a worker as far as this process knows; negative while it has one."""
    if populated:
        _empty_since.pop(address, None)
        return -1.0
    return now - _empty_since.setdefault(address, now)


@contextmanager
def dropped_on_cancel() -> Iterator[None]:
    """Leave the clusters at once where the run is cancelled inside the block.

    Tasks compute on threads, which a signal does not reach; without its client a thread's computation ends with an
    error, the scheduler forgets what was asked for, and the task gives its slot of the GPU back as it leaves.
    """
    try:
        yield
    except TerminationSignal:
        with _lock:
            clients = [borrowed.client for borrowed in _clients.values()]
        for client in clients:
            client.close()  # type: ignore[no-untyped-call]
        raise


def gpu_resources(client: Client | None) -> dict[str, float]:
    """What Dask tasks that run a network ask for: one ``GPU`` where workers of the cluster say that they have any.

    The scheduler then sees to it that no GPU is shared; workers say so by ``--resources GPU=1``.
    """
    if client is None:
        return {}
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return {"GPU": 1.0} if any(worker["resources"].get("GPU") for worker in workers) else {}


@contextmanager
def gpu_slot(*, needed: bool) -> Iterator[None]:
    """Hold a slot of the GPU inside the block, waiting for one if need be; nothing where it is not needed.

    Where no such limit exists (no desk runs), nobody else is there to share with, and the block runs at once.
    """
    if not needed:
        yield
        return
    with concurrency(GPU_SLOT, occupy=1, lease_duration=LEASE_S, strict=False):
        yield
