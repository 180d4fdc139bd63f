"""No pickle is ever opened: who opens one runs whatever its author wanted."""

from pathlib import Path

from pipeline_lib.errors import ModelError

PICKLE_MAGIC = (b"\x80", b"PK\x03\x04")
"""How pickles and torch zip archives begin."""


def refuse_pickle(path: Path) -> None:
    """Look at a file's first bytes before anything opens it.

    A safetensors file begins with the length of its header, 8 bytes of which the first may be that of a pickle; the
    header itself is JSON.

    Raises:
        ModelError: it is a pickle or a torch archive.
    """
    with path.open("rb") as file:
        head = file.read(9)
    if head.startswith(PICKLE_MAGIC) and head[8:] != b"{":
        raise ModelError(
            f"{path} is a pickle or torch archive, which can run any code when opened; it is refused: weights must be "
            "safetensors."
        )
