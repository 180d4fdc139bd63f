"""Where the arrays of a task are computed: threads of this process, or a Dask cluster by its address."""

from collections.abc import Iterator
from contextlib import contextmanager

from distributed import Client


@contextmanager
def computing(address: str | None) -> Iterator[None]:
    """Compute on the cluster at ``address`` inside the block; on this process's threads where it is None.

    The client is current for the calling thread alone, so that tasks of one flow may run side by side.
    """
    if not address:
        yield
        return
    with Client(address, set_as_default=False) as client, client.as_current():  # type: ignore[no-untyped-call]
        yield
