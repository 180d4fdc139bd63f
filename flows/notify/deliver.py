"""Delivers what waits in the outbox: each message once to each address that wants it.

The server is asked for nothing but who wants what and which runs ended; news does not travel by the server's events. An
address that fails is left alone for a while, longer each time, and others are not held up by it. One killed between
sending a message and writing that down sends it again: rather twice than never.
"""

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prefect.client.orchestration import SyncPrefectClient

from flows.notify.ended import collect
from flows.notify.recipients import Recipient, recipients
from pipeline_lib.steps.outbox import Attempt, Message, keep, waiting

GIVE_UP_AFTER = timedelta(days=1)
FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 300.0

Send = Callable[[str, str, str], str]
"""Name of the notification, subject, body; why it failed, or nothing."""


class Postman:
    """Remembers which address failed, and when it may be tried again."""

    def __init__(self, send: Send, clock: Callable[[], float] = time.time) -> None:
        """Deliver by ``send``; ``clock`` gives seconds, and goes on while the machine sleeps."""
        self._send = send
        self._clock = clock
        self._failed: dict[str, int] = {}
        self._not_before: dict[str, float] = {}

    def round(self, out: Path, wanted: dict[str, Recipient]) -> int:
        """Try what is due; return how many messages were delivered.

        Raises:
            StoreError: the folder cannot be written.
        """
        messages, delivered = waiting(out), 0
        for name, recipient in wanted.items():
            mine = [one for one in messages if recipient.wants(one) and one.standing(name).delivered is None]
            # One that is always refused is tried last: it does not hold up what came after it.
            for message in sorted(mine, key=lambda one: (one.standing(name).failures, one.at)):
                if self._clock() < self._not_before.get(name, 0.0):
                    break
                tried = self._try(name, message)
                delivered += tried.standing(name).delivered is not None
                messages = [tried if one.name == tried.name else one for one in messages]
                keep(out, tried, done=False)
        self._put_away(out, messages, wanted)
        return delivered

    def _try(self, name: str, message: Message) -> Message:
        """Send one message to one address, and say how that went."""
        before, now = message.standing(name), datetime.fromtimestamp(self._clock(), UTC)
        problem = self._send(name, message.subject, message.body)
        if not problem:
            self._failed.pop(name, None)
            return message.tried(name, Attempt(delivered=now, first=before.first or now, failures=before.failures))
        self._failed[name] = self._failed.get(name, 0) + 1
        wait = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** (self._failed[name] - 1))
        self._not_before[name] = self._clock() + wait
        return message.tried(name, Attempt(first=before.first or now, failures=before.failures + 1, problem=problem))

    def _put_away(self, out: Path, messages: Iterable[Message], wanted: dict[str, Recipient]) -> None:
        """Put away what everybody has, or was tried for too long."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        for message in messages:
            tries = [message.standing(name) for name, one in wanted.items() if one.wants(message)]
            lacking = [one for one in tries if one.delivered is None]
            late = bool(lacking) and all(one.first is not None and now - one.first > GIVE_UP_AFTER for one in lacking)
            if late or not lacking:
                keep(out, message, done=not lacking, given_up=late)


def deliver(client: SyncPrefectClient, out: Path, postman: Postman) -> int:
    """Look for runs that ended badly, and try what is due; return how many messages were delivered.

    Raises:
        StoreError: the folder cannot be written.
    """
    collect(client, out)
    return postman.round(out, recipients(client)) if waiting(out) else 0
