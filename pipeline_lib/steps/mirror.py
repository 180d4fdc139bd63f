"""A copy of everything published, in a bucket or another folder, that follows by itself.

::

    TO/catalog.json, index.html                       all events that the mirror has; put last
    TO/<event>/collection.json, index.html, ...       lead to a version; put when all of the version is there
    TO/<event>/versions/0001/  versions/0002/  ...    as in the folder of events, never changed

What is published is published, whether or not its copy succeeds: a copy that fails is said, and made up for by the next
publication of the event, by the hourly flow `mirror-events`, or by ``overbank events mirror``. See docs/adr/0012.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline_lib.atomic import write_atomically
from pipeline_lib.errors import InputError, MirrorError, OverbankError, StoreError, shown
from pipeline_lib.model import Record
from pipeline_lib.publish import versions
from pipeline_lib.publish.catalogue import catalogue_texts, events_of
from pipeline_lib.publish.records import need_record
from pipeline_lib.publish.upload import copy_version, switch
from pipeline_lib.remote import located, put_file, said
from pipeline_lib.steps.private_folder import private_folder

MIRROR_VARIABLE = "OVERBANK_MIRROR"
"""Folder or URL (``s3://bucket/prefix``) of the mirror; the one that `set_mirror` noted where it is not set."""
WAIT_S = 60.0
"""So long another process may be copying an event before it is said that this one is not copied."""
CATALOGUE = "catalogue"


class State(Record):
    """What the mirror has, as far as this machine knows."""

    to: str
    held: dict[str, int] = {}
    """The version that readers of the mirror see of each event."""
    listed: dict[str, int] = {}
    """The same at the moment when the mirror's catalogue was last written."""


class Followed(Record):
    """What bringing a mirror up to date did."""

    to: str
    copied: tuple[str, ...] = ()
    """A line for each version that was copied."""
    problems: dict[str, str] = {}
    """Events that could not be copied (`CATALOGUE`: their list), and why."""

    def need_whole(self) -> None:
        """Nothing is behind.

        Raises:
            MirrorError: something is.
        """
        if self.problems:
            told = "; ".join(f"{name}: {shown(why)}" for name, why in self.problems.items())
            raise MirrorError(f"The mirror {self.to} is behind. {told}. What is published stays; it is tried again.")


def mirror_of(out: Path) -> str | None:
    """Where the events under ``out`` are mirrored to; None where they are not.

    Raises:
        StoreError: the note of it is damaged.
    """
    if named := os.environ.get(MIRROR_VARIABLE):
        return named.rstrip("/")
    return _read(out).to or None


def set_mirror(out: Path, to: str | None) -> None:
    """Mirror the events under ``out`` from now on; no more where ``to`` is None. What was copied stays.

    Raises:
        InputError: no installed package opens it, it holds credentials, or it lies in ``out`` itself.
        StoreError: it cannot be noted.
    """
    if to is not None:
        located(to)
        if "://" not in to:
            to = str(Path(to).resolve())
            if Path(to).is_relative_to(out.resolve()):
                raise InputError(f"The mirror {to} would lie in the folder of events itself; choose another one.")
    _write(out, _of(out, (to or "").rstrip("/")))


def follow(out: Path, event_id: str | None = None, *, check: bool = False) -> Followed | None:
    """Bring the mirror up to date; None where there is none.

    Args:
        out: folder of all events.
        event_id: one event; all of them where None.
        check: look at every file of the mirror, and read it back, instead of trusting the note of what it has.

    Returns:
        What was done. What could not be done is told in it, and not raised: events are published all the same.

    Raises:
        UnknownNameError: no such event.
        StoreError: the note of what the mirror has is damaged.
    """
    to = mirror_of(out)
    if to is None:
        return None
    names = [record.event_id for record in events_of(out)] if event_id is None else [event_id]
    copied: list[str] = []
    problems: dict[str, str] = {}
    for name in names:
        need_record(out, name)
        with _noted(problems, name):
            copied += _follow_event(out, to, name, check=check)
    with _noted(problems, CATALOGUE):
        _list_events(out, to, check=check)
    return Followed(to=to, copied=tuple(copied), problems=problems)


@contextmanager
def _noted(problems: dict[str, str], name: str) -> Iterator[None]:
    """Go on with the next one where this one fails, and note why."""
    try:
        yield
    except OverbankError as error:
        problems[name] = str(error)


def _follow_event(out: Path, to: str, event_id: str, *, check: bool) -> list[str]:
    """Copy the versions of an event that are missing, and switch its readers to the current one."""
    folder, lines = out / event_id, []
    with versions.alone(_lock(out), "copying to the mirror", WAIT_S):
        state, current = _of(out, to), versions.current_version(folder)
        held = state.held.get(event_id, 0)
        if held == current and not check:
            return []
        earlier = None
        for number in (number for number in versions.version_numbers(folder) if number <= current):
            source = versions.version_folder(folder, number)
            if number > held or check:
                copied = copy_version(source, f"{to}/{event_id}/versions/{source.name}", earlier, read_back=check)
                if copied.files:
                    lines.append(f"{event_id} version {number}: {copied.files} files, {copied.bytes / 1e6:.1f} MB")
            earlier = source
        switch(versions.version_folder(folder, current), f"{to}/{event_id}")
        _write(out, state.model_copy(update={"held": {**state.held, event_id: current}}))
    return lines


def _list_events(out: Path, to: str, *, check: bool) -> None:
    """Write the mirror's catalogue over what the mirror has, if that has changed."""
    with versions.alone(_lock(out), "copying to the mirror", WAIT_S), tempfile.TemporaryDirectory() as scratch:
        state = _of(out, to)
        if state.listed == state.held and not check:
            return
        records = [need_record(out, name, number) for name, number in state.held.items()]
        records.sort(key=lambda record: record.figures.last_pass, reverse=True)
        filesystem, root = located(to)
        with said(f"Cannot write the catalogue of {to}", near=to):
            for name, text in catalogue_texts(records).items():
                path = Path(scratch) / name
                path.write_text(text, encoding="utf-8")
                put_file(filesystem, path, f"{root}/{name}")
        _write(out, state.model_copy(update={"listed": state.held}))


def _lock(out: Path) -> Path:
    return private_folder(out) / "mirror.lock"


def _note(out: Path) -> Path:
    return private_folder(out) / "mirror.json"


def _of(out: Path, to: str) -> State:
    """What this mirror has: nothing, where the note is of another one."""
    state = _read(out)
    return state if state.to == to else State(to=to)


def _read(out: Path) -> State:
    path = _note(out)
    try:
        return State.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return State(to="")
    except (OSError, ValueError) as error:
        raise StoreError(f"The note {path} cannot be read ({error}); delete it and set the mirror again.") from error


def _write(out: Path, state: State) -> None:
    write_atomically(_note(out), state.model_dump_json(indent=1))
