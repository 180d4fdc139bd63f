"""Messages are kept once, whoever finds their cause again, and are put away when done with."""

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest

from pipeline_lib.steps import outbox
from pipeline_lib.steps.doctor import check_news
from pipeline_lib.steps.outbox import Attempt, Message


def message(about="run 1", *, hours_ago=0.0, kind="failure"):
    at = datetime.now(UTC) - timedelta(hours=hours_ago)
    return Message(kind=kind, about=about, subject=f"Run {about} Failed", body="the archive is down", at=at)


def test_the_same_message_is_kept_once_also_after_it_was_told(tmp_path):
    assert outbox.put(tmp_path, message())
    assert not outbox.put(tmp_path, message())
    assert outbox.put(tmp_path, message(kind="published"))
    (first,) = [one for one in outbox.waiting(tmp_path) if one.kind == "failure"]
    outbox.keep(tmp_path, first, done=True)
    assert not outbox.put(tmp_path, message())
    assert [one.kind for one in outbox.waiting(tmp_path)] == ["published"]


def test_of_many_that_put_the_same_message_at_once_one_does(tmp_path):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(outbox.put(tmp_path, message()))) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(answers) == [False] * 7 + [True]


def test_news_that_repeats_itself_is_told_again_after_a_while(tmp_path):
    six = timedelta(hours=6)
    assert outbox.put(tmp_path, message("poll", hours_ago=9), again_after=six)
    assert not outbox.put(tmp_path, message("poll", hours_ago=5), again_after=six)
    assert not outbox.put(tmp_path, message("poll", hours_ago=10), again_after=six), "an older run that is found late"
    outbox.keep(tmp_path, outbox.waiting(tmp_path)[0], done=True)
    assert outbox.put(tmp_path, message("poll", hours_ago=2), again_after=six)
    assert len(outbox.waiting(tmp_path)) == 1


def test_what_happened_long_ago_is_no_news(tmp_path):
    assert not outbox.put(tmp_path, message(hours_ago=24 * 8))
    assert outbox.waiting(tmp_path) == []


def test_a_damaged_message_does_not_hold_up_the_others(tmp_path):
    outbox.put(tmp_path, message())
    (outbox.outbox_folder(tmp_path) / "failure-damaged.json").write_text("{")
    assert [one.about for one in outbox.waiting(tmp_path)] == ["run 1"]


def test_what_waits_and_what_was_lost_is_said(tmp_path):
    assert outbox.outbox_lines(tmp_path) == []
    outbox.put(tmp_path, message("a", hours_ago=2))
    outbox.put(tmp_path, message("b"))
    assert outbox.outbox_lines(tmp_path) == [], "nobody was told of it, nor asked to be"
    first, second = outbox.waiting(tmp_path)
    outbox.keep(tmp_path, first.tried("duty", Attempt(failures=3, problem="ConnectError")), done=False)
    outbox.keep(tmp_path, second.tried("duty", Attempt(failures=9, problem="x")), done=False, given_up=True)
    dlq = tmp_path / ".overbank" / "desk" / "prefect" / "dlq"
    dlq.mkdir(parents=True)
    (dlq / "0123").write_text(json.dumps({"data": "{}"}))
    waits, lost, letters = outbox.outbox_lines(tmp_path)
    assert "1 not delivered yet, the oldest of 120 min ago (duty: ConnectError)" in waits
    assert "1 tried for a day and given up, the last 'Run b Failed'" in lost
    assert "1 that the server could not handle" in letters
    assert [one.text for one in check_news(tmp_path)] == [waits, lost, letters]


def test_old_messages_are_forgotten_when_done_with(tmp_path):
    outbox.put(tmp_path, message("a"))
    outbox.put(tmp_path, message("b"))
    outbox.keep(tmp_path, outbox.waiting(tmp_path)[0], done=True)
    assert outbox.forget(tmp_path, datetime.now(UTC) - timedelta(days=1)) == 0
    assert outbox.forget(tmp_path, datetime.now(UTC) + timedelta(days=1)) == 1
    assert [one.about for one in outbox.waiting(tmp_path)] == ["b"]


@pytest.mark.parametrize("about", ["a/../../b", "é", ""])
def test_any_text_makes_a_name_of_a_file(tmp_path, about):
    assert outbox.put(tmp_path, message(about))
    assert len(outbox.waiting(tmp_path)) == 1
