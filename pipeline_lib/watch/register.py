"""The register: watches and the passes they know, in one SQLite file that survives crashes and serves two pollers.

Every change is one transaction begun with ``BEGIN IMMEDIATE``: a second poller waits, then sees what the first did.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from pipeline_lib.errors import InputError, StoreError, UnknownNameError, shown
from pipeline_lib.model import Record
from pipeline_lib.watch.records import KnownPass, PassState, Watch

KEEP_PASSES = timedelta(days=400)
"""How much longer passes are kept than polls."""
PATIENCE_S = 60.0
"""How long another process that writes is waited for."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS watches (
  name TEXT PRIMARY KEY, definition TEXT NOT NULL, paused INTEGER NOT NULL DEFAULT 0,
  last_poll TEXT, last_new_pass TEXT, silence_reported TEXT);
CREATE TABLE IF NOT EXISTS passes (
  watch TEXT NOT NULL, pass_id TEXT NOT NULL, start TEXT NOT NULL, record TEXT NOT NULL,
  PRIMARY KEY (watch, pass_id));
CREATE TABLE IF NOT EXISTS polls (
  watch TEXT NOT NULL, at TEXT NOT NULL, found INTEGER NOT NULL, new INTEGER NOT NULL, due INTEGER NOT NULL,
  problem TEXT);
CREATE INDEX IF NOT EXISTS polls_by_time ON polls (watch, at);
"""


class WatchState(Record):
    """A watch with what the register knows of it."""

    watch: Watch
    paused: bool
    last_poll: datetime | None
    last_new_pass: datetime | None
    silence_reported: datetime | None


class Poll(Record):
    """One line of a watch's history."""

    at: datetime
    found: int
    new: int
    due: int
    problem: str | None


class Register:
    """The file of watches; cheap to open, safe to open many times."""

    def __init__(self, path: Path) -> None:
        """Open or create the register.

        Raises:
            StoreError: the file cannot be created or is not a register.
        """
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._prepare()
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"The register of watches {path} cannot be opened: {shown(error)}.") from error

    def _prepare(self) -> None:
        """Make of the file what it should be; SQLite itself does not wait for another process that does so just now."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                with self._connection() as connection:
                    connection.execute("PRAGMA journal_mode=WAL")
                    connection.executescript(_SCHEMA)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._path, timeout=PATIENCE_S, isolation_level=None)
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it or nothing."""
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def add(self, watch: Watch) -> None:
        """Add a watch.

        Raises:
            InputError: the name is taken.
        """
        with self._changing() as connection:
            if connection.execute("SELECT 1 FROM watches WHERE name = ?", (watch.name,)).fetchone():
                raise InputError(f"A watch named {watch.name!r} exists; remove it first or choose another name.")
            connection.execute(
                "INSERT INTO watches (name, definition) VALUES (?, ?)", (watch.name, watch.model_dump_json())
            )

    def edit(self, name: str, change: Callable[[Watch], Watch]) -> Watch:
        """Change what a watch is; what it remembers stays.

        Raises:
            UnknownNameError: no such watch.
        """
        watch = self.watch(name).watch
        with self._changing() as connection:
            row = connection.execute("SELECT definition FROM watches WHERE name = ?", (name,)).fetchone()
            edited = change(Watch.model_validate_json(row[0]) if row else watch)
            connection.execute("UPDATE watches SET definition = ? WHERE name = ?", (edited.model_dump_json(), name))
        return edited

    def watches(self) -> list[WatchState]:
        """All watches by name."""
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT definition, paused, last_poll, last_new_pass, silence_reported FROM watches ORDER BY name"
            ).fetchall()
        return [_state(row) for row in rows]

    def watch(self, name: str) -> WatchState:
        """One watch.

        Raises:
            UnknownNameError: no such watch.
        """
        known = {state.watch.name: state for state in self.watches()}
        if name not in known:
            raise UnknownNameError("watch", name, tuple(known))
        return known[name]

    def pause(self, name: str, *, paused: bool) -> None:
        """Pause or resume a watch."""
        self.watch(name)
        with self._changing() as connection:
            connection.execute("UPDATE watches SET paused = ? WHERE name = ?", (int(paused), name))

    def remove(self, name: str) -> None:
        """Forget a watch and its passes; what was published stays."""
        self.watch(name)
        with self._changing() as connection:
            for table, column in (("watches", "name"), ("passes", "watch"), ("polls", "watch")):
                connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (name,))  # noqa: S608 - fixed names

    def passes(self, name: str) -> tuple[KnownPass, ...]:
        """Every pass a watch knows, oldest first."""
        with self._connection() as connection:
            return _passes(connection, name)

    @contextmanager
    def revising(self, name: str) -> Iterator[tuple[tuple[KnownPass, ...], list[KnownPass]]]:
        """What is known of a watch's passes, and a list for what is to replace it, in one transaction.

        Nobody else changes them in between: what another poller or a finished run wrote is never overwritten unseen.
        """
        with self._changing() as connection:
            written: list[KnownPass] = []
            yield _passes(connection, name), written
            _write(connection, tuple(written))

    def settle(
        self,
        watch: str,
        pass_id: str,
        fingerprint: str,
        state: PassState,
        *,
        flood_km2: float | None = None,
        worth: bool | None = None,
        outcome: str | None = None,
    ) -> None:
        """Record how a run ended, unless the pass has changed since the run was asked for.

        A run may end before the poller that asked for it could write that down.
        """
        with self._changing() as connection:
            row = connection.execute(
                "SELECT record FROM passes WHERE watch = ? AND pass_id = ?", (watch, pass_id)
            ).fetchone()
            known = KnownPass.model_validate_json(row[0]) if row else None
            if known is None or known.fingerprint != fingerprint:
                return
            update = {"state": state, "flood_km2": flood_km2, "worth": worth, "outcome": outcome}
            settled = known.model_copy(update=update | {"triggered_fingerprint": fingerprint})
            connection.execute(
                "UPDATE passes SET record = ? WHERE watch = ? AND pass_id = ?",
                (settled.model_dump_json(), watch, pass_id),
            )

    def record_poll(self, name: str, poll: Poll, *, last_new_pass: datetime | None = None) -> None:
        """Add a line to a watch's history and move its clock."""
        with self._changing() as connection:
            connection.execute(
                "INSERT INTO polls (watch, at, found, new, due, problem) VALUES (?, ?, ?, ?, ?, ?)",
                (name, poll.at.isoformat(), poll.found, poll.new, poll.due, poll.problem),
            )
            if poll.problem is None:
                connection.execute("UPDATE watches SET last_poll = ? WHERE name = ?", (poll.at.isoformat(), name))
            if last_new_pass is not None:
                connection.execute(
                    "UPDATE watches SET last_new_pass = ?, silence_reported = NULL WHERE name = ?",
                    (last_new_pass.isoformat(), name),
                )

    def report_silence(self, name: str, at: datetime) -> None:
        """Remember that a silence was reported, so that it is reported once."""
        with self._changing() as connection:
            connection.execute("UPDATE watches SET silence_reported = ? WHERE name = ?", (at.isoformat(), name))

    def history(self, name: str, limit: int = 50) -> list[Poll]:
        """The latest polls, newest first."""
        self.watch(name)
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT at, found, new, due, problem FROM polls WHERE watch = ? ORDER BY at DESC LIMIT ?", (name, limit)
            ).fetchall()
        return [
            Poll(at=datetime.fromisoformat(at), found=found, new=new, due=due, problem=problem)
            for at, found, new, due, problem in rows
        ]

    def prune(self, before: datetime) -> int:
        """Drop old history; passes are kept much longer, for a late item must still find its pass.

        How old a pass is counts from the newest one known: a clock that is years ahead forgets none that is needed.
        """
        with self._changing() as connection:
            polls = connection.execute("DELETE FROM polls WHERE at < ?", (before.isoformat(),)).rowcount
            newest = connection.execute("SELECT max(start) FROM passes").fetchone()[0]
            if newest is None:
                return polls
            oldest = (min(before, datetime.fromisoformat(newest)) - KEEP_PASSES).isoformat()
            return polls + connection.execute("DELETE FROM passes WHERE start < ?", (oldest,)).rowcount


def _passes(connection: sqlite3.Connection, name: str) -> tuple[KnownPass, ...]:
    """Every pass a watch knows, oldest first."""
    rows = connection.execute("SELECT record FROM passes WHERE watch = ? ORDER BY start", (name,)).fetchall()
    return tuple(KnownPass.model_validate_json(row[0]) for row in rows)


def _write(connection: sqlite3.Connection, passes: tuple[KnownPass, ...]) -> None:
    """Write passes, replacing what was known of them."""
    connection.executemany(
        "INSERT OR REPLACE INTO passes (watch, pass_id, start, record) VALUES (?, ?, ?, ?)",
        [(one.watch, one.pass_id, one.start.isoformat(), one.model_dump_json()) for one in passes],
    )


def _state(row: tuple[str, int, str | None, str | None, str | None]) -> WatchState:
    """A row as a record."""
    definition, paused, last_poll, last_new_pass, silence_reported = row
    times = [
        None if value is None else datetime.fromisoformat(value)
        for value in (last_poll, last_new_pass, silence_reported)
    ]
    return WatchState(
        watch=Watch.model_validate_json(definition),
        paused=bool(paused),
        last_poll=times[0],
        last_new_pass=times[1],
        silence_reported=times[2],
    )
