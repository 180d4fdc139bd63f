"""Keeps the services of a desk running: starts them in order, restarts what dies, stops all of them together."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import psutil

from flows.desk.services import Desk, Service, answers, services_of
from pipeline_lib.atomic import write_atomically
from pipeline_lib.errors import OverbankError

READY_TIMEOUT_S = 600.0
"""A server takes 10 s to start on an idle machine, and minutes on one that is busy or boots."""
STOP_TIMEOUT_S = 20.0
LONGEST_WAIT_S = 60.0
STEADY_S = 120.0
"""A service that ran so long has recovered: its next restart does not wait."""


class Supervisor:
    """The processes of one desk; `run` returns when it is told to stop."""

    def __init__(self, desk: Desk, apply: Callable[[Desk], None]) -> None:
        """Prepare to run ``desk``; ``apply`` sets up pool, deployments and automations once the server answers."""
        self._desk = desk
        self._apply = apply
        self._services = services_of(desk)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._started: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._stopping = False

    def run(self, announce: Callable[[str], None]) -> None:
        """Start everything, then watch over it until SIGTERM or SIGINT.

        Raises:
            OverbankError: a desk already runs there, or a service does not come up.
        """
        self._claim()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop_requested)
        try:
            for service in self._services:
                self._start(service)
                self._wait_until_ready(service)
                announce(f"{service.name} is up")
                if service.name == "server":
                    self._apply(self._desk)
                    announce("deployments are applied")
            (self._desk.state / "ready").touch()
            announce("ready")
            while not self._stopping:
                time.sleep(0.5)
                self._restart_the_dead(announce)
        finally:
            self._stop_all()

    def _claim(self) -> None:
        """Make this process the desk's supervisor; a dead predecessor's claim is taken over."""
        refuse_second(self._desk)
        self._desk.state.mkdir(parents=True, exist_ok=True)
        (self._desk.state / "ready").unlink(missing_ok=True)
        stop_orphans(self._desk)
        places = {name: getattr(self._desk, name) for name in ("host", "port", "pages_port")}
        write_atomically(self._desk.state / "desk.json", json.dumps(places))
        claim = self._desk.state / "supervisor.pid"
        write_atomically(claim, json.dumps(_identity(os.getpid())))

    def _start(self, service: Service) -> None:
        """Start one service in a process group of its own, its output appended to its log."""
        if service.listens is not None and answers(*service.listens):
            host, port = service.listens
            raise OverbankError(f"Port {port} on {host}, wanted for {service.name}, is taken; choose another one.")
        logs = self._desk.state / "logs"
        logs.mkdir(exist_ok=True)
        with (logs / f"{service.name}.log").open("ab") as log:
            process = subprocess.Popen(
                service.command,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**self._desk.environment, **service.environment},
                start_new_session=True,
            )
        self._running[service.name] = process
        self._started[service.name] = time.monotonic()
        self._write_pids()

    def _wait_until_ready(self, service: Service) -> None:
        """Wait until a service answers, or say where its log is."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while service.listens is not None and not answers(*service.listens):
            if self._running[service.name].poll() is not None or time.monotonic() > deadline or self._stopping:
                log = self._desk.state / "logs" / f"{service.name}.log"
                raise OverbankError(f"The {service.name} did not come up; its log is {log}.")
            time.sleep(0.25)

    def _restart_the_dead(self, announce: Callable[[str], None]) -> None:
        """Start again what has died, waiting longer each time it dies young."""
        for service in self._services:
            process = self._running[service.name]
            if self._stopping or process.poll() is None:
                continue
            lived = time.monotonic() - self._started[service.name]
            failures = 0 if lived > STEADY_S else self._failures.get(service.name, 0)
            wait = min(LONGEST_WAIT_S, 2.0**failures - 1.0)
            if lived < wait:
                continue
            self._failures[service.name] = failures + 1
            announce(f"{service.name} died (exit {process.returncode}) and is started again")
            self._start(service)

    def _stop_requested(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _stop_all(self) -> None:
        """Stop every service in reverse order, each by its own process group."""
        for service in reversed(self._services):
            process = self._running.get(service.name)
            if process is not None:
                stop_group(process.pid)
        for name in ("ready", "services.json", "supervisor.pid"):
            (self._desk.state / name).unlink(missing_ok=True)

    def _write_pids(self) -> None:
        """Say which processes belong to the desk."""
        pids = {name: _identity(process.pid) for name, process in self._running.items() if process.poll() is None}
        write_atomically(self._desk.state / "services.json", json.dumps(pids))


def refuse_second(desk: Desk) -> None:
    """One desk a folder.

    Raises:
        OverbankError: a supervisor is alive there.
    """
    owner = running_supervisor(desk)
    if owner is not None and owner.pid != os.getpid():
        raise OverbankError(f"A desk already runs for {desk.out} (pid {owner.pid}); `overbank down` stops it.")


def running_supervisor(desk: Desk) -> psutil.Process | None:
    """The live supervisor of a desk; None where there is none (a reused pid is not taken for it)."""
    return _process(_read(desk.state / "supervisor.pid"))


def running_services(desk: Desk) -> dict[str, psutil.Process | None]:
    """The desk's services by name; None for one that is not running."""
    known = _read(desk.state / "services.json") or {}
    return {name: _process(identity) for name, identity in known.items() if isinstance(identity, dict)}


def stop_orphans(desk: Desk) -> None:
    """Stop services whose supervisor was killed."""
    for process in running_services(desk).values():
        if process is not None:
            stop_group(process.pid)


def stop_group(pid: int) -> None:
    """Ask a process and its children to end, then make them; only processes that descend from ``pid``."""
    try:
        leader = psutil.Process(pid)
        family = [*leader.children(recursive=True), leader]
    except psutil.NoSuchProcess:
        return
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        for process in family:
            _signal(process, number)
        _, family = psutil.wait_procs(family, timeout=STOP_TIMEOUT_S if number is signal.SIGINT else 5)
        if not family:
            return


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def _identity(pid: int) -> dict[str, float]:
    return {"pid": pid, "created": psutil.Process(pid).create_time()}


def _process(identity: dict[str, Any] | None) -> psutil.Process | None:
    """The process with this pid that was created at this time."""
    if not identity:
        return None
    try:
        process = psutil.Process(int(identity["pid"]))
        same = abs(process.create_time() - identity["created"]) < 1.0
    except (psutil.NoSuchProcess, KeyError, TypeError):
        return None
    return process if same and process.status() != psutil.STATUS_ZOMBIE else None


def _read(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
