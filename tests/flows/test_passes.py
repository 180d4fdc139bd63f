"""In which order the stages of passes are handed to two threads."""

from types import SimpleNamespace

import pytest

from flows import passes
from pipeline_lib.steps.map_event import SMALL_PIXELS, passes_together


def plan_of(shape, count):
    planned = tuple(
        SimpleNamespace(acquisition=SimpleNamespace(acquisition_id=f"p{n}"), references=(f"orbit {n % 2}",))
        for n in range(count)
    )
    return SimpleNamespace(grid=SimpleNamespace(shape=shape), passes=planned)


def test_a_grid_that_keeps_the_processors_busy_by_itself_is_mapped_pass_by_pass():
    assert passes_together(plan_of((8000, 8000), 2)) == 2
    assert passes_together(plan_of((8000, SMALL_PIXELS // 8000 + 1), 2)) == 1


@pytest.mark.parametrize(
    ("side", "expected"),
    [
        (100, "h0 h1 s0 s1 w0 w1 f0 f1 s2 w2 f2"),
        (26_000, "h0 s0 w0 f0 h1 s1 w1 f1 s2 w2 f2"),
    ],
)
def test_no_stage_is_submitted_right_behind_the_one_it_awaits_where_another_pass_could_run(monkeypatch, side, expected):
    """Two threads take what is submitted in its order, and one that got a stage too early would only wait."""
    order = []

    class Future:
        """Done at once."""

        state = SimpleNamespace(is_failed=lambda: False, is_crashed=lambda: False)

        def wait(self):
            """Nothing to wait for."""

        def result(self):
            """What a stage gives."""
            return "stored"

    def stage(letter):
        def submit(plan, planned, *_, **__):
            name = planned.references[0][-1] if letter == "h" else planned.acquisition.acquisition_id[1:]
            order.append(letter + name)
            return Future()

        return SimpleNamespace(submit=submit)

    for name, letter in (("prepare_history", "h"), ("prepare_pass", "s"), ("detect_water", "w"), ("derive_flood", "f")):
        monkeypatch.setattr(passes, name, stage(letter))
    monkeypatch.setattr(passes, "unvisited", lambda value: value)
    monkeypatch.setattr(passes, "history_name", lambda planned: planned.references[0])
    monkeypatch.setattr(passes, "MappedPass", lambda **fields: fields)
    mapped, failures = passes.map_passes(plan_of((side, side), 3), None, None, SimpleNamespace(follow=lambda _: None))
    assert " ".join(order) == expected
    assert len(mapped) == 3
    assert not failures
