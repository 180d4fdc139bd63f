"""The server in a thread, for as long as a block lasts, or in the foreground until it is stopped."""

import contextlib
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from pipeline_lib.errors import InputError
from pipeline_lib.listener import listening, url_of
from pipeline_lib.world.server.api import create_app
from pipeline_lib.world.server.archive import Archive, utc_now
from pipeline_lib.world.server.faults import FaultInjector, Faults

START_S = 300.0
"""A busy machine starts it slowly; where it cannot start, its thread ends at once."""
FIRST_OWN_PORT, OWN_PORTS = 20_000, 12_000
"""Below the range that systems give to outgoing connections."""


@contextlib.contextmanager
def serve(
    folder: Path,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    clock: Callable[[], datetime] = utc_now,
    faults: Faults | None = None,
) -> Iterator[str]:
    """Serve a world folder in a thread; yields the base URL, stops when the block ends.

    Args:
        folder: a world folder (``collections/``, ``items/``, ``assets/``).
        host: address to listen on.
        port: port; 0 takes a free one, the same for the same folder where possible, so that plans made against it
            stay true when it is served again.
        clock: the archive's present: items whose ``published`` is later are not there yet.
        faults: what to break, and when; may be changed while serving.

    Raises:
        InputError: not a world folder, or the address is taken.
    """
    server, listener, url = _prepared(folder, host, port, clock, faults)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="overbank-world", daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + START_S
        while not server.started and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        if not server.started:
            raise InputError(f"The server on {url} did not start within {START_S:.0f} s; is the port free?")
        yield url
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join(timeout=10)
        listener.close()


def serve_until_stopped(
    folder: Path, host: str, port: int, *, faults: Faults | None = None, ready: Callable[[str], None] = print
) -> None:
    """Serve in the foreground until the process is told to stop.

    Raises:
        InputError: not a world folder, or the address is taken.
    """
    server, listener, url = _prepared(folder, host, port, utc_now, faults)
    ready(url)
    try:
        server.run(sockets=[listener])
    finally:
        listener.close()


def _prepared(
    folder: Path, host: str, port: int, clock: Callable[[], datetime], faults: Faults | None
) -> tuple[uvicorn.Server, socket.socket, str]:
    if not (folder / "collections").is_dir() or not (folder / "items").is_dir():
        raise InputError(
            f"{folder} is not a world folder: it lacks collections/ or items/. Make one with `overbank world build`."
        )
    app: ASGIApp = create_app(Archive(folder, clock))
    if faults is not None:
        app = FaultInjector(app, faults)
    own = FIRST_OWN_PORT + zlib.crc32(str(folder.resolve()).encode()) % OWN_PORTS
    listener = listening(host, port) if port else listening(host, own, 0)
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none", http="h11")
    return uvicorn.Server(config), listener, url_of(listener)
