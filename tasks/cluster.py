"""Where a task computes: threads of this process or a Dask cluster by its address, and a slot of the GPU."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from distributed import Client
from prefect.concurrency.sync import concurrency
from prefect.exceptions import TerminationSignal

from tasks.worker_logs import forward_logs

GPU_SLOT = "overbank-gpu"
"""Global concurrency limit that `overbank up` makes: as many slots as GPUs, so that runs share none by accident."""
LEASE_S = 120.0
"""A killed run gives its slot back after so long."""

_lock = threading.Lock()
_clients: dict[str, tuple[Client, int]] = {}
"""Open clients by address, each with the number of tasks that use it."""


@contextmanager
def computing(address: str | None) -> Iterator[Client | None]:
    """Compute on the cluster at ``address`` inside the block; on this process's threads where it is None.

    Tasks of one flow run side by side on threads and share one client, which is the process's default while any of
    them needs it: a client of its own for each would take the default away from the others when it closes.
    """
    if not address:
        yield None
        return
    client = _borrow(address)
    try:
        yield client
    finally:
        _give_back(address)


def _borrow(address: str) -> Client:
    with _lock:
        client, users = _clients.get(address, (None, 0))
        if client is None:
            client = Client(address, set_as_default=True)  # type: ignore[no-untyped-call]
            forward_logs(client)
        _clients[address] = (client, users + 1)
        return client


def _give_back(address: str) -> None:
    with _lock:
        client, users = _clients[address]
        if users > 1:
            _clients[address] = (client, users - 1)
        else:
            del _clients[address]
            client.close()  # type: ignore[no-untyped-call]


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
            clients = [client for client, _ in _clients.values()]
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
