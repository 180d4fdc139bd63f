"""Serve published events over HTTP."""

from pathlib import Path

import uvicorn

from pipeline_lib.errors import InputError
from pipeline_lib.publish.server import make_app


def serve(out: Path, host: str = "127.0.0.1", port: int = 8000) -> None:
    """Serve pages, files and tiles until stopped.

    Raises:
        InputError: there is no such folder.
    """
    if not out.is_dir():
        raise InputError(f"There is no folder {out}; give the one that `overbank map --out` wrote to.")
    uvicorn.run(make_app(out), host=host, port=port, log_level="warning")
