"""What a desk looks after all the time: news is delivered, dead runs are ended, lost events are sent again.

A process of its own: `overbank up` keeps it running, and so may a container (``overbank tend``).
"""

import time
from collections.abc import Callable
from pathlib import Path

from prefect.client.orchestration import get_client

from flows.desk.dead_letters import send_again
from flows.desk.dead_runs import DeadRuns
from flows.notify.blocks import send_by_name
from flows.notify.deliver import Postman, deliver

EVERY_S = 5.0


def tend(out: Path, say: Callable[[str], None], *, local: bool) -> None:
    """Look after the desk of a folder until the process is stopped; whatever fails is said, and done again later.

    Where ``local``, all workers are on this machine.
    """
    dead, postman = DeadRuns(local=local), Postman(send_by_name)
    while True:
        with get_client(sync_client=True) as client:
            for name, duty in (
                ("dead runs", lambda: dead.end(client)),
                ("news", lambda: deliver(client, out, postman)),
                ("dead letters", lambda: send_again(client, out)),
            ):
                try:
                    if done := duty():
                        say(f"{name}: {done}")
                except Exception as error:  # noqa: BLE001 - the server may be away, a disk full: neither ends the others
                    say(f"{name}, tried again: {type(error).__name__}: {error}")
        time.sleep(EVERY_S)
