"""Which processes a desk is made of, and how each is told that nothing may phone home."""

import ipaddress
import json
import os
import socket
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline_lib.steps.private_folder import DESK, private_folder

POOL = "overbank"


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Where a desk lives and listens."""

    out: Path
    """Folder of published events."""
    host: str = "127.0.0.1"
    """Address to listen on; anything but loopback needs ``auth``."""
    port: int = 4200
    """Of the Prefect server and its UI."""
    pages_port: int = 4280
    """Of the event pages."""
    dask_workers: int = 0
    """Worker processes of a local Dask cluster; 0 computes on threads of the flow's process."""
    dask_port: int = 8786
    auth: str | None = None
    """``user:password`` of the Prefect server; None where it listens on loopback alone."""

    @property
    def state(self) -> Path:
        """Folder of pids, logs and the server's database."""
        return private_folder(self.out) / DESK

    @property
    def api_url(self) -> str:
        """The Prefect API, for the processes of this machine."""
        return f"http://{_in_url(reachable(self.host, here=True))}:{self.port}/api"

    @property
    def ui_url(self) -> str:
        """Where browsers find the Prefect UI: ``PREFECT_UI_URL`` where the operator set it (a reverse proxy)."""
        return os.environ.get("PREFECT_UI_URL") or f"http://{_in_url(reachable(self.host))}:{self.port}"

    @property
    def pages_url(self) -> str:
        """Where browsers find the event pages: ``OVERBANK_PAGES_URL`` where the operator set it."""
        return os.environ.get("OVERBANK_PAGES_URL") or f"http://{_in_url(reachable(self.host))}:{self.pages_port}"

    @property
    def dask_address(self) -> str | None:
        """The Dask scheduler; None where there is none."""
        return f"tcp://127.0.0.1:{self.dask_port}" if self.dask_workers else None

    @property
    def environment(self) -> dict[str, str]:
        """Environment of every service: this server, its own database, no telemetry, logs to the API."""
        environment = {
            **os.environ,
            "DO_NOT_TRACK": "1",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_HOME": str(self.state / "prefect"),
            "PREFECT_API_URL": self.api_url,
            "PREFECT_LOGGING_EXTRA_LOGGERS": "pipeline_lib",
            "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
            # A run that is asked for now waits 2.5 s on average, not 5; a poll writes, and SQLite has one writer.
            "PREFECT_WORKER_QUERY_SECONDS": "5",
            "OVERBANK_OUT": str(self.out),
            "OVERBANK_PAGES_URL": self.pages_url,
            "PREFECT_UI_URL": self.ui_url,
            "PREFECT_UI_API_URL": os.environ.get("PREFECT_UI_API_URL") or f"{self.ui_url.rstrip('/')}/api",
        }
        if self.auth:
            environment["PREFECT_SERVER_API_AUTH_STRING"] = self.auth
            environment["PREFECT_API_AUTH_STRING"] = self.auth
        return environment


def desk_of(out: Path, auth: str | None = None) -> Desk:
    """The desk of a folder, where it listens now or listened last; with default ports where none ever ran there."""
    desk = Desk(out=out.resolve(), auth=auth)
    try:
        known = json.loads((desk.state / "desk.json").read_text())
    except (OSError, ValueError):
        return desk
    return replace(desk, **known)


@dataclass(frozen=True, kw_only=True)
class Service:
    """One process to keep running."""

    name: str
    command: tuple[str, ...]
    listens: tuple[str, int] | None = None
    """Host and port that answer once it is ready; None where being alive is all there is to see."""
    environment: dict[str, str] = field(default_factory=dict)


def services_of(desk: Desk) -> tuple[Service, ...]:
    """The processes of a desk in the order in which they start; they stop in the reverse order."""
    python = (sys.executable, "-m")
    server = Service(
        name="server",
        command=(*python, "prefect", "server", "start", "--host", desk.host, "--port", str(desk.port)),
        listens=(desk.host, desk.port),
    )
    worker = Service(name="worker", command=(*python, "prefect", "worker", "start", "--pool", POOL, "--name", "desk"))
    # On loopback no worker of another machine can be at work here.
    local = ("--local",) if is_loopback(desk.host) else ()
    tend = Service(name="tend", command=(*python, "flows", "tend", "--out", str(desk.out), *local))
    pages = Service(
        name="pages",
        command=(*python, "flows", "serve", str(desk.out), "--host", desk.host, "--port", str(desk.pages_port)),
        listens=(desk.host, desk.pages_port),
    )
    return (server, *_dask(desk, python), worker, tend, pages)


def _dask(desk: Desk, python: tuple[str, ...]) -> tuple[Service, ...]:
    """Scheduler and workers of the local cluster, on loopback."""
    if not desk.dask_workers:
        return ()
    scheduler = Service(
        name="dask-scheduler",
        command=(
            *python,
            "distributed.cli.dask_scheduler",
            "--host",
            "127.0.0.1",
            "--port",
            str(desk.dask_port),
            "--no-dashboard",
        ),
        listens=("127.0.0.1", desk.dask_port),
    )
    workers = Service(
        name="dask-workers",
        command=(
            *python,
            "distributed.cli.dask_worker",
            str(desk.dask_address),
            "--nworkers",
            str(desk.dask_workers),
            "--nthreads",
            "1",
            "--no-dashboard",
            "--host",
            "127.0.0.1",
            "--local-directory",
            str(desk.state / "dask"),
        ),
    )
    return scheduler, workers


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def reachable(host: str, *, here: bool = False) -> str:
    """An address that exists, for a host to listen on: 0.0.0.0 and :: mean all of this machine's, and are none.

    Args:
        host: Name or address.
        here: For this machine itself; else for others.
    """
    if host not in {"0.0.0.0", "::", ""}:  # noqa: S104 - compared, not bound
        return host
    if here:
        return "::1" if host == "::" else "127.0.0.1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect(("192.0.2.1", 9))  # sends nothing: the system says by which of its addresses it would go out
        except OSError:
            return socket.gethostname()
        return str(asked.getsockname()[0])


def _in_url(host: str) -> str:
    """An address of IPv6 stands in brackets."""
    return f"[{host}]" if ":" in host else host


def answers(host: str, port: int, timeout_s: float = 1.0) -> bool:
    """Whether something accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=timeout_s):
            return True
    except OSError:
        return False
