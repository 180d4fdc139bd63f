"""How tasks are kept and tried again: results lie in the store, and only what may pass is worth another try."""

from typing import Any

from distributed import KilledWorker
from distributed.client import FutureCancelledError
from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from pipeline_lib.errors import may_pass

_LOST_WORKERS = (KilledWorker, FutureCancelledError)


def worth_retrying(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether a failed task runs again: after failures of the network, of busy servers, and the loss of Dask workers.

    The rule is `pipeline_lib.errors.may_pass`; what was wrong with the input stays wrong.
    """
    error = state.result(raise_on_failure=False)
    return isinstance(error, _LOST_WORKERS) or (isinstance(error, BaseException) and may_pass(error))


ONCE: dict[str, Any] = {"cache_policy": NO_CACHE, "retry_condition_fn": worth_retrying}
"""Options of every task: no retries but those that Prefect's settings may add."""

PATIENT: dict[str, Any] = {**ONCE, "retries": 2, "retry_delay_seconds": [2.0, 10.0]}
"""Options of a task that reads from an archive, which may fail for a moment."""
