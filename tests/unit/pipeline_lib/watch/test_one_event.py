"""A pass belongs to one event, whatever order passes are found, mapped and judged in."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.model.area import area_of_bbox
from pipeline_lib.watch import PassState, Watch
from pipeline_lib.watch.assign import event_of, taken_in

WATCH = Watch(name="po", aoi=area_of_bbox(10, 45, 11, 46), catalog="generic", since=datetime(2024, 5, 20, tzinfo=UTC))
HALF_DAYS = st.integers(0, 120)
"""Two passes over one place are at least so far apart."""


def asked(passes, one):
    """What `steps.watch.requests_of` does in its transaction; the event."""
    passes.setdefault(one.known.pass_id, one.known)
    event = event_of(WATCH, one, tuple(passes.values()))
    update = {"event_id": event.event_id, "state": PassState.TRIGGERED}
    passes[one.known.pass_id] = passes[one.known.pass_id].model_copy(update=update)
    passes |= {moved.pass_id: moved for moved in taken_in(event, tuple(passes.values()))}
    return event


def settled(passes, day, worth):
    name = f"S1A_{day}"
    passes[name] = passes[name].model_copy(update={"state": PassState.MAPPED, "worth": worth})


def in_foreign_windows(passes):
    members = {}
    for one in passes.values():
        members.setdefault(one.event_id, []).append(one.start)
    return [
        (one.pass_id, event)
        for one in passes.values()
        for event, starts in members.items()
        if event != one.event_id and min(starts) <= one.start <= max(starts)
    ]


@given(data=st.data(), order=st.lists(HALF_DAYS, min_size=2, max_size=14, unique=True))
def test_no_pass_lies_in_the_window_of_another_event(data, order, due):
    days = [number / 2 for number in order]
    flooded = data.draw(st.sets(st.sampled_from(days)))
    passes, running, published = {}, [], {}
    for day in days:
        asked(passes, due(day))
        running.append(day)
        while running and data.draw(st.booleans()):
            done = running.pop(data.draw(st.integers(0, len(running) - 1)))
            settled(passes, done, done in flooded)
            if done in flooded:
                published[done] = passes[f"S1A_{done}"].event_id
        assert in_foreign_windows(passes) == []
        assert {done: passes[f"S1A_{done}"].event_id for done in published} == published, "what is published stays"


def test_an_unpublished_event_is_taken_in_by_the_flood_around_it(due):
    passes = {}
    assert asked(passes, due(4)).event_id == "po-20240524"
    settled(passes, 4, worth=False)
    assert asked(passes, due(5)).event_id == "po-20240525"
    settled(passes, 5, worth=True)
    assert asked(passes, due(2)).event_id == "po-20240525"
    assert {one.event_id for one in passes.values()} == {"po-20240525"}
    assert asked(passes, due(4)).event_id == "po-20240525", "its revision"


def test_a_late_pass_between_two_published_floods_joins_the_nearer(due):
    passes = {}
    for day in (0, 20):
        asked(passes, due(day))
        settled(passes, day, worth=True)
    assert asked(passes, due(12)).event_id == "po-20240609"
    assert asked(passes, due(5)).event_id == "po-20240520"
    assert in_foreign_windows(passes) == []


def test_two_events_of_one_day_have_names_of_their_own(due):
    passes, names = {}, []
    for day in (0, 0.5):
        names.append(asked(passes, due(day)).event_id)
        settled(passes, day, worth=False)
    assert names == ["po-20240520", "po-20240520T1200"]
