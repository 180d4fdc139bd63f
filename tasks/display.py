"""What a run shows in the UI is sent while the run goes on: a map does not wait for its display, nor fail by it.

A request to the server takes 10 to 100 ms, and a run shows some thirty things. One thread sends them in their order;
`all_shown` waits for the last of them at the end of the run.
"""

import contextvars
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from prefect.utilities.annotations import opaque

_sender = ThreadPoolExecutor(max_workers=1, thread_name_prefix="display")
_asked: contextvars.ContextVar[list[Future[Any]] | None] = contextvars.ContextVar("asked", default=None)
"""What the run around has asked to be shown so far; threads that Prefect runs its tasks on see the same list."""
_logger = logging.getLogger("pipeline_lib.display")
Value = TypeVar("Value")


def show(create: Callable[..., Any], **fields: Any) -> Future[Any]:
    """Call one of Prefect's ``create_..._artifact`` in the background, as part of the run or task that asks for it."""
    context = contextvars.copy_context()
    shown = _sender.submit(context.run, lambda: create(**fields))
    asked = _asked.get()
    if asked is not None:
        asked.append(shown)
    return shown


@contextmanager
def all_shown() -> Iterator[None]:
    """End the block only when everything is shown that was asked for in it; what could not be is a warning.

    Runs that go on beside it in the same process are waited for by nobody but themselves.
    """
    asked: list[Future[Any]] = []
    token = _asked.set(asked)
    try:
        yield
    finally:
        _asked.reset(token)
        for one in asked:
            if (error := one.exception()) is not None:
                _logger.warning("The server could not be shown how the run goes: %s", error)


def unvisited(value: Value) -> Value:
    """An argument of a task that Prefect does not look through for the results of other tasks.

    A plan has thousands of parts, and by itself Prefect visits each of them, three times a task. What comes from a task
    as a whole is still known to come from it; futures may be given, too.
    """
    return cast("Value", opaque(value))
