"""Starting a desk in the background, stopping it, and saying how it is."""

import subprocess
import sys
import time
from typing import Any

import psutil

from flows.desk.services import Desk, is_loopback
from flows.desk.supervisor import (
    READY_TIMEOUT_S,
    refuse_second,
    running_services,
    running_supervisor,
    stop_group,
    stop_orphans,
)
from pipeline_lib.errors import InputError, OverbankError
from pipeline_lib.steps.outbox import outbox_lines
from pipeline_lib.steps.watch import register_of
from pipeline_lib.steps.watch_text import watch_documents, watch_lines


def check_exposure(desk: Desk) -> None:
    """Refuse to listen beyond loopback without a password.

    Raises:
        InputError: the address is reachable from elsewhere and there is no ``--auth``.
    """
    if not is_loopback(desk.host) and not desk.auth:
        raise InputError(
            f"Listening on {desk.host} lets others on the network start runs; give --auth user:password "
            "(or OVERBANK_AUTH), or listen on 127.0.0.1."
        )


def start_detached(desk: Desk) -> None:
    """Start the supervisor in a session of its own and wait until it is ready.

    Raises:
        OverbankError: it does not come up; the message ends with the last lines of its log.
    """
    refuse_second(desk)
    desk.state.mkdir(parents=True, exist_ok=True)
    (desk.state / "ready").unlink(missing_ok=True)
    log_path = desk.state / "supervisor.log"
    options = ("--out", desk.out, "--host", desk.host, "--port", desk.port, "--pages-port", desk.pages_port)
    workers = ("--dask-workers", desk.dask_workers)
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows", "up", *map(str, options), *map(str, workers)],
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=desk.environment | ({"OVERBANK_AUTH": desk.auth} if desk.auth else {}),
            start_new_session=True,
        )
    deadline = time.monotonic() + READY_TIMEOUT_S * 2
    while not (desk.state / "ready").exists() or running_supervisor(desk) is None:
        if process.poll() is not None or time.monotonic() > deadline:
            tail = log_path.read_text(errors="replace").strip()[-600:]
            raise OverbankError(f"The desk did not come up; its log {log_path} ends with: {tail}")
        time.sleep(0.25)


def stop(desk: Desk) -> bool:
    """Stop the supervisor and all it started; return whether there was one."""
    supervisor = running_supervisor(desk)
    if supervisor is None:
        stop_orphans(desk)
        return False
    supervisor.terminate()
    try:
        supervisor.wait(timeout=90)
    except psutil.TimeoutExpired:
        stop_group(supervisor.pid)
        stop_orphans(desk)
    return True


def status_lines(desk: Desk) -> tuple[list[str], bool]:
    """What runs, and whether all of it does."""
    supervisor = running_supervisor(desk)
    if supervisor is None:
        return [f"no desk runs for {desk.out}", *watch_lines(register_of(desk.out)), *outbox_lines(desk.out)], False
    services = running_services(desk)
    lines = [f"desk of {desk.out}, supervisor pid {supervisor.pid}"]
    for name, process in services.items():
        condition = "DOWN, being started again" if process is None else f"pid {process.pid}"
        lines.append(f"  {name:<15} {condition}")
    return [*lines, *watch_lines(register_of(desk.out)), *outbox_lines(desk.out)], all(services.values())


def status_document(desk: Desk) -> dict[str, Any]:
    """What `status_lines` says, as JSON: pids of supervisor and services (null: down), undelivered news, watches."""
    supervisor = running_supervisor(desk)
    services = {} if supervisor is None else running_services(desk)
    return {
        "out": str(desk.out),
        "healthy": supervisor is not None and all(services.values()),
        "supervisor": None if supervisor is None else supervisor.pid,
        "services": {name: None if process is None else process.pid for name, process in services.items()},
        "news": outbox_lines(desk.out),
        "watches": watch_documents(register_of(desk.out)),
    }
