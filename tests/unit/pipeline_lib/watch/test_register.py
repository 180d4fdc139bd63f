"""The register: survives being killed, serves two pollers, and forgets only what it may."""

import multiprocessing
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from pipeline_lib.errors import InputError, StoreError, UnknownNameError
from pipeline_lib.model.area import area_of_bbox
from pipeline_lib.watch import PassState, Register, Watch
from pipeline_lib.watch import register as module
from pipeline_lib.watch.register import Poll

NOW = datetime(2024, 5, 20, tzinfo=UTC)
WATCH = Watch(name="po", aoi=area_of_bbox(10, 45, 11, 46), catalog="generic", since=NOW)


def test_watches_come_and_go(tmp_path, known, remember):
    register = Register(tmp_path / "watches.sqlite")
    register.add(WATCH)
    with pytest.raises(InputError, match="exists"):
        register.add(WATCH)
    assert register.watch("po").watch == WATCH
    register.pause("po", paused=True)
    assert Register(tmp_path / "watches.sqlite").watch("po").paused
    remember(register, known(1))
    register.remove("po")
    assert register.passes("po") == ()
    with pytest.raises(UnknownNameError, match="Unknown watch 'po'"):
        register.watch("po")


def test_passes_are_replaced_by_id_and_come_in_order(tmp_path, known, remember):
    register = Register(tmp_path / "watches.sqlite")
    remember(register, known(2), known(1))
    remember(register, known(1, coverage=0.5))
    assert [(one.pass_id, one.coverage) for one in register.passes("po")] == [("S1A_1", 0.5), ("S1A_2", 1.0)]


def test_an_outcome_of_an_older_run_does_not_settle_a_newer_one(tmp_path, known, remember):
    register = Register(tmp_path / "watches.sqlite")
    asked = known(1, state=PassState.TRIGGERED, triggered_fingerprint="f2", fingerprint="f2")
    remember(register, asked)
    register.settle("po", "S1A_1", "f", PassState.MAPPED)
    assert register.passes("po")[0].state is PassState.TRIGGERED
    register.settle("po", "S1A_1", "f2", PassState.MAPPED)
    assert register.passes("po")[0].state is PassState.MAPPED
    register.settle("po", "S1A_9999", "f2", PassState.MAPPED)


def test_only_a_successful_poll_moves_the_clock(tmp_path):
    register = Register(tmp_path / "watches.sqlite")
    register.add(WATCH)
    register.record_poll("po", Poll(at=NOW, found=0, new=0, due=0, problem="catalogue is down"))
    assert register.watch("po").last_poll is None
    later = NOW + timedelta(hours=1)
    register.record_poll("po", Poll(at=later, found=2, new=1, due=1, problem=None), last_new_pass=later)
    state = register.watch("po")
    assert (state.last_poll, state.last_new_pass) == (later, later)
    assert [poll.problem for poll in register.history("po")] == [None, "catalogue is down"]
    assert register.prune(later) == 1


def _write_one_by_one(path, passes):
    register = Register(path)
    for one in passes:
        with register.revising("po") as (_, written):
            written.append(one)


def test_two_processes_write_side_by_side(tmp_path, known):
    path = tmp_path / "watches.sqlite"
    Register(path)
    passes = [known(number) for number in range(30)]
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_one_by_one, args=(path, passes[first : first + 20])) for first in (0, 10)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert len(Register(path).passes("po")) == 30


def test_a_register_that_another_process_is_making_is_waited_for(tmp_path, monkeypatch):
    path = tmp_path / "watches.sqlite"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waited = []
    monkeypatch.setattr(module.time, "sleep", lambda seconds: (waited.append(seconds), other.execute("ROLLBACK")))
    Register(path).add(WATCH)
    assert len(waited) == 1
    other.close()


def test_a_file_that_is_no_register_is_said(tmp_path):
    (tmp_path / "watches.sqlite").write_text("not a database" * 100)
    with pytest.raises(StoreError, match="cannot be opened"):
        Register(tmp_path / "watches.sqlite")
