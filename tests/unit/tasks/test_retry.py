"""Which failures of which tasks are tried again."""

import importlib
import pkgutil
import socket

import pytest
from distributed import KilledWorker
from prefect import Task
from prefect.states import Failed

import tasks
from pipeline_lib.errors import AreaError, OverbankError, UnreachableAssetError
from tasks.retry import PATIENT, worth_retrying

MODULES = [importlib.import_module(f"tasks.{found.name}") for found in pkgutil.iter_modules(tasks.__path__)]
TASKS = {one.name: one for module in MODULES for one in vars(module).values() if isinstance(one, Task)}


def test_every_task_asks_whether_a_failure_may_pass():
    assert len(TASKS) > 20
    assert [name for name, one in TASKS.items() if one.retry_condition_fn is not worth_retrying] == []


def test_what_reads_from_an_archive_is_patient_and_nothing_else_is():
    patient = {name for name, one in TASKS.items() if one.retries}
    assert patient == {name for name in TASKS if name.startswith("prepare ")}
    assert {one.retries for name, one in TASKS.items() if name in patient} == {PATIENT["retries"]}


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (AreaError("no area"), False),
        (OverbankError("anything said on purpose"), False),
        (TypeError("a bug"), False),
        (UnreachableAssetError("HTTP 503"), True),
        (ConnectionResetError(), True),
        (socket.gaierror(-2, "Name or service not known"), True),
        (KilledWorker("block", "worker", 3), True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_a_failure_is_tried_again_where_it_may_pass(error, again):
    assert worth_retrying(TASKS["prepare pass"], None, Failed(data=error)) is again
