"""The folder beside the published events where overbank keeps what is no product: hidden, and not for readers."""

from pathlib import Path

from pipeline_lib.errors import InputError

STORE, DESK = "store", "desk"
"""Members that are of no event."""


def private_folder(out: Path) -> Path:
    """``OUT/.overbank``."""
    return out / ".overbank"


def folder_of_event(out: Path, event_id: str) -> Path:
    """What is kept of one event; deleting it costs time, never results.

    Raises:
        InputError: the event has the name of a member that is of no event.
    """
    if event_id in {STORE, DESK}:
        raise InputError(
            f"No event can be called {event_id!r}: overbank keeps its own data under that name; rename it."
        )
    return private_folder(out) / event_id
