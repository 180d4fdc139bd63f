"""Serve published events over HTTP."""

from collections.abc import Callable
from pathlib import Path

import uvicorn

from pipeline_lib.errors import InputError
from pipeline_lib.listener import listening, url_of
from pipeline_lib.publish.server import make_app


def serve(
    out: Path, host: str = "127.0.0.1", port: int = 8000, *, ready: Callable[[str], None] = lambda _url: None
) -> None:
    """Serve pages, files and tiles until stopped.

    Args:
        out: folder of all events.
        host: address to listen on.
        port: to listen on; 0 takes a free one.
        ready: told the address once it answers.

    Raises:
        InputError: there is no such folder, or the address is taken.
    """
    if not out.is_dir():
        raise InputError(f"There is no folder {out}; give the one that `overbank map --out` wrote to.")
    server = uvicorn.Server(uvicorn.Config(make_app(out), log_level="warning"))
    with listening(host, port) as listener:
        ready(url_of(listener))
        server.run(sockets=[listener])
