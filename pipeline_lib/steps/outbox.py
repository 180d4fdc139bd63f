"""What people are to be told: a file a message beside the events, kept until each address that wants it has it.

A message is named by its kind and by what it is about, and is written once, whoever finds the cause again. Nothing here
needs a server: a run, a command or the desk writes it, and whoever delivers (`flows.notify.deliver`) reads it. What is
done with lies in a folder of its own, so that looking for what waits costs what waits.
"""

import hashlib
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline_lib.atomic import one_writer, write_atomically
from pipeline_lib.model import Record
from pipeline_lib.steps.private_folder import DESK, private_folder

logger = logging.getLogger(__name__)
PUBLISHED, APPROVAL, FAILURE, SILENCE = "published", "approval", "failure", "silence"
KINDS = (PUBLISHED, APPROVAL, FAILURE, SILENCE)
"""What an address may be told, by the names that ``overbank notify add --on`` takes."""
STALE_AFTER = timedelta(days=7)
"""What happened longer ago is no news: it is not kept for delivery."""


class Attempt(Record):
    """Where things stand with one address."""

    delivered: datetime | None = None
    first: datetime | None = None
    """When it was first tried."""
    failures: int = 0
    problem: str = ""
    """Why the last try failed; never an address."""


class Message(Record):
    """One piece of news."""

    kind: str
    """One of `KINDS`."""
    about: str
    """With ``kind``, what makes two messages the same one."""
    subject: str
    body: str
    at: datetime
    """When it happened, UTC."""
    attempts: dict[str, Attempt] = {}
    """By the name of the notification."""

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.kind}-{hashlib.sha256(f'{self.kind}:{self.about}'.encode()).hexdigest()[:24]}.json"

    def standing(self, address: str) -> Attempt:
        """How things stand with an address."""
        return self.attempts.get(address, Attempt())

    def tried(self, address: str, attempt: Attempt) -> "Message":
        """The same message after a try."""
        return self.model_copy(update={"attempts": {**self.attempts, address: attempt}})


def put(out: Path, message: Message, *, again_after: timedelta | None = None) -> bool:
    """Keep a message for delivery, unless the same one is known; return whether it is new.

    Args:
        out: Folder of published events.
        message: What is to be told.
        again_after: News that repeats itself (a poll that fails) is told anew when the last was so long ago.

    Raises:
        StoreError: the folder cannot be written.
    """
    if datetime.now(UTC) - message.at > STALE_AFTER:
        return False
    with one_writer(outbox_folder(out)):
        for folder in _folders(out):
            known = folder / message.name
            if known.exists() and (again_after is None or _is_recent(known, message.at - again_after)):
                return False
        _write(_folders(out)[0], message)
        _remove(message, _folders(out)[1:])
    return True


def waiting(out: Path) -> list[Message]:
    """Messages that are not done with, oldest first; one that cannot be read does not hold up the others."""
    return _readable(_folders(out)[0])


def keep(out: Path, message: Message, *, done: bool, given_up: bool = False) -> None:
    """Write down how far a message has got; one that is done with, or given up, is put away.

    Raises:
        StoreError: the folder cannot be written.
    """
    place, *others = _folders(out)
    with one_writer(outbox_folder(out)):
        if done or given_up:
            _write(others[given_up], message)
            _remove(message, (place,))
        else:
            _write(place, message)


def forget(out: Path, before: datetime) -> int:
    """Remove messages that were done with, or given up, before; return how many."""
    past = [path for folder in _folders(out)[1:] for path in folder.glob("*.json")]
    old = [path for path in past if path.stat().st_mtime < before.timestamp()]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def outbox_folder(out: Path) -> Path:
    """Where messages wait."""
    return private_folder(out) / DESK / "outbox"


def dead_letters(out: Path) -> list[Path]:
    """Events that the server of the desk could not handle, as Prefect keeps them in its home."""
    return sorted(path for path in (private_folder(out) / DESK / "prefect" / "dlq").glob("*") if path.is_file())


def outbox_lines(out: Path) -> list[str]:
    """What waits, and what was never delivered, in words; nothing where all was."""
    lines, pending = [], [one for one in waiting(out) if _open_attempts(one)]
    if pending:
        minutes = round((datetime.now(UTC) - pending[0].at).total_seconds() / 60)
        problems = sorted({f"{name}: {try_.problem}" for one in pending for name, try_ in _open_attempts(one).items()})
        lines.append(f"news: {len(pending)} not delivered yet, the oldest of {minutes} min ago ({'; '.join(problems)})")
    if lost := _readable(_folders(out)[2]):
        lines.append(
            f"news: {len(lost)} tried for a day and given up, the last {lost[-1].subject!r}; "
            "`overbank notify test NAME` tries an address"
        )
    if letters := dead_letters(out):
        lines.append(f"events: {len(letters)} that the server could not handle, sent to it again ({letters[0].parent})")
    return lines


def _open_attempts(message: Message) -> dict[str, Attempt]:
    """Addresses that were tried and were not reached."""
    return {name: one for name, one in message.attempts.items() if one.delivered is None}


def _folders(out: Path) -> tuple[Path, Path, Path]:
    """Of messages that wait, that are done with, and that were given up."""
    place = outbox_folder(out)
    return place, place / "done", place / "given-up"


def _write(folder: Path, message: Message) -> None:
    write_atomically(folder / message.name, message.model_dump_json(indent=1))


def _remove(message: Message, folders: tuple[Path, ...]) -> None:
    for folder in folders:
        (folder / message.name).unlink(missing_ok=True)


def _readable(folder: Path) -> list[Message]:
    """Messages of a folder, oldest first."""
    found = [message for path in folder.glob("*.json") if (message := _read(path)) is not None]
    return sorted(found, key=lambda one: one.at)


def _read(path: Path) -> Message | None:
    """A message; None where it was put away meanwhile, or is damaged."""
    try:
        return Message.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        logger.warning("The message %s cannot be read (%s); delete it.", path, error)
        return None


def _is_recent(path: Path, since: datetime) -> bool:
    """Whether a message tells of something after a moment."""
    known = _read(path)
    return known is not None and known.at > since
