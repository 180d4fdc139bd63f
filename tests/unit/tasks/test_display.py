"""What a run shows in the UI neither holds the run up nor makes it fail."""

import logging
import threading
import uuid
from concurrent.futures import Future

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


def test_prefect_still_knows_where_an_unvisited_argument_comes_from():
    future = PrefectConcurrentFuture(uuid.uuid4(), Future())
    found = collect_task_run_inputs_sync(unvisited(future))
    assert [one.id for one in found] == [future.task_run_id]
