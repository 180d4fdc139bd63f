"""What a run shows in the UI neither holds the run up nor makes it fail."""

import contextvars
import logging
import threading
import uuid
from concurrent.futures import Future, ThreadPoolExecutor

from prefect.futures import PrefectConcurrentFuture
from prefect.utilities.engine import collect_task_run_inputs_sync

from tasks.display import all_shown, show, unvisited


def test_the_work_goes_on_while_the_server_takes_its_time_and_the_end_waits_for_it():
    answered, order = threading.Event(), []

    def slow():
        answered.wait()
        order.append("shown")

    with all_shown():
        show(slow)
        order.append("worked")  # a `show` that waited would never come here
        answered.set()
    assert order == ["worked", "shown"]


def test_things_are_shown_in_their_order():
    order = []

    def note(number):
        order.append(number)

    with all_shown():
        for number in range(20):
            show(note, number=number)
    assert order == list(range(20))


def test_what_cannot_be_shown_is_a_warning(caplog):
    def refused():
        raise ConnectionError("no server")

    with caplog.at_level(logging.WARNING, "pipeline_lib.display"), all_shown():
        show(refused)
    assert "no server" in caplog.text


def test_a_run_waits_for_what_it_shows_itself_and_not_for_another_run(caplog):
    """One flow's end must neither hold another up nor take its warnings."""
    asked, ended = threading.Event(), threading.Event()

    def refused():
        raise ConnectionError("of the other run")

    def other_run():
        with all_shown():
            show(refused).exception()
            asked.set()
            ended.wait(timeout=30)

    other = threading.Thread(target=other_run)
    with caplog.at_level(logging.WARNING, "pipeline_lib.display"):
        with all_shown():
            other.start()
            asked.wait(timeout=30)
        assert "of the other run" not in caplog.text
        ended.set()
        other.join()
        assert "of the other run" in caplog.text


def test_what_a_task_shows_on_a_thread_of_prefect_belongs_to_its_run(caplog):
    def refused():
        raise ConnectionError("asked for by a task")

    with caplog.at_level(logging.WARNING, "pipeline_lib.display"), all_shown(), ThreadPoolExecutor() as threads:
        threads.submit(contextvars.copy_context().run, show, refused).result()
    assert "asked for by a task" in caplog.text


def test_prefect_still_knows_where_an_unvisited_argument_comes_from():
    future = PrefectConcurrentFuture(uuid.uuid4(), Future())
    found = collect_task_run_inputs_sync(unvisited(future))
    assert [one.id for one in found] == [future.task_run_id]
