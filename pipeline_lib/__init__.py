"""Flood maps from Sentinel-1: everything that computes, and nothing that orchestrates.

Data flow: ``Event -> [Acquisition] -> MappingPlan -> Scene -> WaterExtent -> FloodMap -> Product -> Scores``.
Modules and packages are layers; the linter holds their imports to the order that ``pyproject.toml`` states.
"""

import atexit
import os
import shutil
import tempfile
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


if "NUMBA_CACHE_DIR" not in os.environ:
    _user = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    if _folder := _place_of_compiled_code(Path(__file__).parent, _user / "numba"):
        os.environ["NUMBA_CACHE_DIR"] = _folder
