"""What Prefect makes of the options, arguments and displays of our tasks."""

import logging

import pytest
from prefect import flow, task
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.utilities.annotations import opaque

from flows import chips
from pipeline_lib.errors import InputError
from pipeline_lib.options.map_event import MapOptions
from pipeline_lib.options.train import Recipe
from pipeline_lib.steps.map_event import Place
from tasks.display import all_shown, show
from tasks.retry import PATIENT

pytestmark = pytest.mark.xdist_group("prefect")


@pytest.mark.parametrize(("error", "tries"), [(InputError("wrong"), 1), (ConnectionError("reset"), 3)])
def test_a_wrong_input_fails_at_once_and_a_lost_connection_is_tried_three_times(prefect_server, error, tries):
    tried = []

    @task(**{**PATIENT, "retry_delay_seconds": 0})
    def failing():
        tried.append(1)
        raise error

    @flow
    def run():
        failing()

    with pytest.raises(type(error)):
        run()
    assert len(tried) == tries


def test_what_a_task_shows_belongs_to_the_run_that_submitted_it(prefect_server, caplog):
    def refused():
        raise ConnectionError("asked for in a task")

    @task
    def of_the_run():
        show(refused)

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def run():
        with all_shown():
            of_the_run.submit().result()

    with caplog.at_level(logging.WARNING, "pipeline_lib.display"):
        run()
    assert "asked for in a task" in caplog.text


class _Recorder:
    """Stands for a task, and keeps what it is given."""

    def __init__(self):
        self.given = []

    def submit(self, *arguments, **_):
        self.given.append(arguments)
        return self


def test_the_plan_of_chips_is_not_looked_through_by_prefect(monkeypatch):
    """A plan has thousands of parts, and Prefect visits each of them three times a task."""

    class _Named:
        acquisition_id, references = "S1A", ()

    class _Pass:
        acquisition, references = _Named, ()

    class _Plan:
        passes = (_Pass,)

    recorders = {name: _Recorder() for name in ("prepare_history", "prepare_pass", "prepare_overpass")}
    for name, recorder in recorders.items():
        monkeypatch.setattr(chips, name, recorder)
    monkeypatch.setattr(chips, "search", lambda *_: None)
    monkeypatch.setattr(chips, "plan_event", lambda *_: _Plan)
    monkeypatch.setattr(chips, "nearest_overpass", lambda *_: (_Named, 0.5))
    recipe = Recipe.model_construct(distill=Recipe.model_fields["distill"].get_default(call_default_factory=True))
    chips._prepared(recipe, None, "", MapOptions(), Place(workspace="w"))
    given = [one for recorder in recorders.values() for arguments in recorder.given for one in arguments]
    assert len(given) == 10
    assert [one for one in given if not isinstance(one, (opaque, Place))] == []
