"""Events that the desk's server gave up after four tries, because its database was locked: sent to it again."""

import json
import time
from pathlib import Path
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.events.schemas.events import Event

from pipeline_lib.steps.outbox import dead_letters

REMEMBERED_S = 310.0
"""The server takes an event of an identity that it saw in the last 300 s for a copy, and drops it."""


def send_again(client: SyncPrefectClient, out: Path) -> int:
    """Send every event of the dead letters again that the server has forgotten; return how many it took.

    One that fails again lies there again. An *action* of an automation cannot be sent: it stays, and is counted.
    """
    taken = 0
    for path in dead_letters(out):
        if time.time() - path.stat().st_mtime < REMEMBERED_S or (event := event_of(path)) is None:
            continue
        # Without what it follows: the server would wait a quarter of an hour for an event that it has forgotten.
        again = event.model_dump(mode="json", exclude={"follows", "received"})
        client.request("POST", "/events", json=[again])
        path.unlink(missing_ok=True)
        taken += 1
    return taken


def event_of(path: Path) -> Event | None:
    """The event in a dead letter; None where it is none."""
    try:
        held: Any = json.loads(json.loads(path.read_text(encoding="utf-8"))["data"])
        return Event.model_validate({name: held[name] for name in Event.model_fields if name in held})
    except (OSError, ValueError, KeyError, TypeError):
        return None
