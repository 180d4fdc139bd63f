"""Flood maps from Sentinel-1: everything that computes, and nothing that orchestrates.

Data flow: ``Event -> [Acquisition] -> MappingPlan -> Scene -> WaterExtent -> FloodMap -> Product -> Scores``.
Modules and packages are layers; the linter holds their imports to the order that ``pyproject.toml`` states.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import MutableMapping
from pathlib import Path


def _place_of_compiled_code(package: Path, cache: Path) -> str | None:
    """A folder for numba where neither ``package`` nor the user's ``cache`` can be written to; None where one can.

    Numba refuses to work without a place for what it compiles (a read-only image, a locked-down unit). The folder is
    private and goes with the process that made it: what lies there is run, so no other user may write it.
    """
    known = next(parent for parent in (cache, *cache.parents) if parent.exists())
    if os.access(package, os.W_OK) or (known.is_dir() and os.access(known, os.W_OK)):
        return None
    folder = tempfile.mkdtemp(prefix="overbank-compiled-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


TRUST = (
    "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE", "GDAL_CURL_CA_BUNDLE",
    "PROJ_CURL_CA_BUNDLE",
)  # fmt: skip
"""Variables that tell OpenSSL (aiohttp, httpx), requests, curl, botocore, GDAL and PROJ whose certificates to trust."""


def trusted_alike(environment: MutableMapping[str, str]) -> None:
    """Let the first variable of `TRUST` that names a file stand for those that are not set.

    Before GDAL's libraries are imported: pyogrio sets GDAL's to a bundle that no company's proxy is in.
    """
    named = next((environment[name] for name in TRUST if Path(environment.get(name) or "/").is_file()), None)
    for name in TRUST if named is not None else ():
        environment.setdefault(name, str(named))


trusted_alike(os.environ)
if "NUMBA_CACHE_DIR" not in os.environ:
    _user = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    if _folder := _place_of_compiled_code(Path(__file__).parent, _user / "numba"):
        os.environ["NUMBA_CACHE_DIR"] = _folder
