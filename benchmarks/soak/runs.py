"""Runs of overbank in processes of their own that can be killed, and a Prefect server that can be killed as well.

Processes are forked from one that has imported everything already (``forkserver``): a run begins with its work and not
with seconds of imports, so that a random moment falls into the work, and fifty of them are affordable.
"""

import contextlib
import itertools
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil
from distributed import Client

from flows.embedded import set_prefect_environment
from pipeline_lib.errors import IncompleteEventError, OverbankError
from pipeline_lib.model.product import Stored
from pipeline_lib.steps.watch import Request
from pipeline_lib.store import Store

PRELOADED = ["flows.map_event", "flows.watch_catalogue", "benchmarks.soak.runs", "geopandas", "distributed"]
READY_S = 600.0
LONGEST_S = 1800.0


FIRST_PORT, PORTS = 10_000, 9_000
"""Below the ports that systems give to outgoing connections, and below those of simulated archives."""
_ports = itertools.count(os.getpid() * 101)


def free_port() -> int:
    """A port to be listened on later: no outgoing connection comes upon it meanwhile, and none is named twice.

    Processes that run side by side begin their search at different places.
    """
    for number in itertools.islice(_ports, PORTS):
        port = FIRST_PORT + number % PORTS
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise OverbankError(f"None of the ports {FIRST_PORT} to {FIRST_PORT + PORTS - 1} is free.")


@dataclass
class Server:
    """A Prefect server on loopback with a database of its own."""

    home: Path
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.home.mkdir(parents=True, exist_ok=True)
        set_prefect_environment()
        os.environ.update(
            PREFECT_HOME=str(self.home), PREFECT_API_URL=self.api_url, PREFECT_LOGGING_TO_API_ENABLED="false"
        )
        command = (sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.port))
        with (self.home / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        deadline = time.monotonic() + READY_S
        while not _answers(f"{self.api_url}/health"):
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise OverbankError(f"The Prefect server did not come up; its log is {self.home / 'server.log'}.")
            time.sleep(0.25)

    def kill(self) -> None:
        """SIGKILL, at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.kill()


@contextlib.contextmanager
def prefect_server(home: Path) -> Iterator[Server]:
    server = Server(home)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def dask_worker(address: str) -> "Iterator[subprocess.Popen[bytes]]":
    """A worker process of the cluster at ``address`` with nobody to start it again, once the scheduler knows it."""
    command = (sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny", "--nthreads", "1")
    where = ("--host", "127.0.0.1", "--no-dashboard")
    worker = subprocess.Popen((*command, *where), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(1, timeout=READY_S)
        yield worker
    finally:
        worker.kill()
        worker.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - loopback
            return True
    except (urllib.error.URLError, OSError):
        return False


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    kind: str
    """``published``, ``incomplete``, ``error`` (one of overbank's own), ``crash`` (any other), or ``killed``."""
    message: str = ""
    seconds: float = 0.0
    cpu_s: float = 0.0


@dataclass
class Run:
    """A started run: wait for its work to begin, kill it, or wait for its end."""

    process: BaseProcess
    answers: Connection

    def wait_for_work(self) -> None:
        assert self.answers.recv() == "begun"

    def cpu_s(self) -> float:
        """CPU time of the process since it was forked."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def works_for(self, cpu_s: float, longest_s: float = LONGEST_S) -> bool:
        """Wait until it has used so much CPU time; False where it ended before.

        Moments are drawn in CPU time, not by the clock: on a busy machine the same work takes ten times as long.
        """
        begun, used = time.monotonic(), self.cpu_s()
        while not self.answers.poll(0.005):
            if self.cpu_s() - used >= cpu_s:
                return True
            if time.monotonic() - begun > longest_s:
                return True
        return False

    def kill(self) -> Outcome:
        """SIGKILL, at once."""
        cpu = self.cpu_s()
        self.process.kill()
        self.process.join()
        return Outcome("killed", cpu_s=cpu)

    def end(self) -> Outcome:
        """Wait for its end."""
        try:
            outcome = Outcome(*self.answers.recv())
        except EOFError:
            outcome = Outcome("crash", "the process ended without a word")
        self.process.join(timeout=60)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        return outcome


def start(work: Callable[..., object], *arguments: Any) -> Run:
    """Start ``work(*arguments)`` in a process of its own; needs `Server.start` first."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(there, work, arguments), daemon=True)
    process.start()
    there.close()
    run = Run(process, here)
    run.wait_for_work()
    return run


def _child(answers: Connection, work: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    """Runs in the child: report begin and end."""
    answers.send("begun")
    begun, cpu = time.monotonic(), time.process_time()
    kind, message = "published", ""
    try:
        message = str(work(*arguments))
    except IncompleteEventError as error:
        kind, message = "incomplete", str(error)
    except OverbankError as error:
        kind, message = "error", f"{type(error).__name__}: {error}"
    except BaseException as error:  # noqa: BLE001 - reported to the parent, which judges it
        kind, message = "crash", f"{type(error).__name__}: {error}"
    answers.send((kind, message, time.monotonic() - begun, time.process_time() - cpu))
    answers.close()


def map_world(world: str, url: str, out: str, options: dict[str, Any], event: dict[str, Any] | None = None) -> int:
    """Map the event of a simulated world, or another one; return the published version."""
    from flows.map_event import map_event
    from pipeline_lib.model import Event
    from pipeline_lib.options.map_event import MapOptions
    from pipeline_lib.steps.event import read_event

    wanted = Event.model_validate(event) if event else read_event(Path(world) / "event.yaml")
    return int(map_event(wanted, url, out, MapOptions.model_validate(options)).version)


def map_world_until(kind: str, victim: int | None, *arguments: Any) -> int:
    """As `map_world`; SIGKILL ends ``victim``, or this process, when the first dataset of that kind has been stored."""
    save = Store.save

    def struck(store: Store, stored: str, *given: Any) -> Stored:
        done = save(store, stored, *given)
        if stored == kind:
            os.kill(victim or os.getpid(), signal.SIGKILL)
        return done

    Store.save = struck  # type: ignore[method-assign]
    return map_world(*arguments)


def poll_watch(out: str, name: str) -> int:
    """One poll that maps in its own process."""
    from flows.watch_catalogue import watch_catalogue

    return int(watch_catalogue(out, name=name, inline=True))


def map_request(watch: str, out: str, request: Request) -> int:
    """Map the pass that a watch asked for."""
    from flows.map_watched import map_watched

    (pass_id, fingerprint), *more = request.passes.items()
    found = map_watched(
        watch,
        pass_id,
        fingerprint,
        request.event,
        request.catalog,
        out,
        options=request.options,
        more_passes=dict(more),
    )
    return 0 if found is None else int(found.version)
