"""Which code makes a kind of result: a release by its version, a working copy by its sources, and the libraries."""

import hashlib
from functools import lru_cache
from importlib.metadata import distribution
from pathlib import Path

import pipeline_lib
from pipeline_lib.publish.environment import environment

_BESIDES = frozenset({"python", "overbank"})
"""Of the environment: the interpreter computes no pixel, and overbank is known better than by its version."""

_COMMON = ("*.py", "model/*.py", "options/*.py")
MAPS = (
    *_COMMON,
    *(f"{part}/*" for part in ("catalog", "flood", "load", "nn", "optical", "sar", "segmentation", "terrain", "water")),
    "publish/blocks.py",
    "publish/preview.py",
    *(f"steps/{name}.py" for name in ("annotate", "derive", "detect", "keys", "optical", "prepare", "read")),
)
"""Files that can change a dataset of the store, below ``pipeline_lib``."""
CHIPS = (
    *_COMMON,
    *(f"{part}/*" for part in ("datasets", "nn", "world")),
    *(f"steps/{name}.py" for name in ("network_units", "training_chips", "training_keys", "world_chips")),
)
"""Files that can change a chip store made of label sets and simulated worlds."""
TRAINING = (*_COMMON, "nn/*.py")
"""Files that can change what a network learns from given chips."""


@lru_cache
def code(parts: tuple[str, ...]) -> dict[str, str]:
    """The code that makes a result: name to version, or to the digest of the sources where that says more.

    Args:
        parts: patterns of the files that can change the result, below ``pipeline_lib``.
    """
    libraries = {name: found for name, found in environment().items() if name not in _BESIDES}
    found = distribution("overbank")
    return {"overbank": found.version if is_release() else sources_digest(parts), **libraries}


def is_release() -> bool:
    """Whether the package was installed from an index, so that its version says what is in it.

    An editable install, a wheel built here and a checkout on the path all carry a version that many states share.
    """
    found = distribution("overbank")
    installed = Path(str(found.locate_file("pipeline_lib"))).resolve() == _root()
    return installed and found.read_text("direct_url.json") is None


def sources_digest(parts: tuple[str, ...]) -> str:
    """SHA-256 over names and content of the package's files that match one of ``parts``."""
    root = _root()
    digest = hashlib.sha256()
    for path in sorted({path for part in parts for path in root.glob(part) if path.is_file()}):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def _root() -> Path:
    return Path(pipeline_lib.__file__).resolve().parent
