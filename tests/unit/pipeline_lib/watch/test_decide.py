"""Deciding what to map: nothing twice, nothing missed, whatever order slices and polls come in."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.model import ProductType
from pipeline_lib.model.area import area_of_bbox
from pipeline_lib.watch import PassState, Watch, decide
from pipeline_lib.watch.decide import MAX_ATTEMPTS, silent_since

NOW = datetime(2024, 5, 20, tzinfo=UTC)
AOI = area_of_bbox(10, 45, 11, 46)


def watch(**changes):
    fields = {"name": "po", "aoi": AOI, "catalog": "generic", "since": NOW - timedelta(days=60), **changes}
    return Watch.model_validate(fields)


def triggered(due):
    return due.known.model_copy(
        update={
            "state": PassState.TRIGGERED,
            "triggered_fingerprint": due.known.fingerprint,
            "attempts": due.known.attempts + 1,
        }
    )


def test_complete_pass_is_due_at_once_and_only_once(acquisition):
    first = decide(watch(), (acquisition(1),), (), NOW)
    assert [due.revision for due in first.due] == [False]
    assert first.new == 1
    again = decide(watch(), (acquisition(1),), (triggered(first.due[0]),), NOW)
    assert again.due == ()
    assert again.new == 0


def test_partial_pass_waits_for_its_slices_then_goes_with_what_there_is(acquisition):
    rules = watch(grace_minutes=210)
    part = acquisition(1, coverage=0.4)
    first = decide(rules, (part,), (), NOW)
    assert first.due == ()
    later = NOW + timedelta(minutes=209)
    assert decide(rules, (part,), first.remembered, later).due == ()
    assert len(decide(rules, (part,), first.remembered, NOW + timedelta(minutes=210)).due) == 1


def test_a_new_slice_starts_the_grace_anew(acquisition):
    rules = watch(grace_minutes=210)
    first = decide(rules, (acquisition(1, coverage=0.4),), (), NOW)
    grown = acquisition(1, 2, coverage=0.8)
    second = decide(rules, (grown,), first.remembered, NOW + timedelta(minutes=200))
    assert second.due == ()
    assert decide(rules, (grown,), second.remembered, NOW + timedelta(minutes=220)).due == ()
    assert len(decide(rules, (grown,), second.remembered, NOW + timedelta(minutes=411)).due) == 1


def test_late_slice_makes_a_revision_even_if_it_is_the_first_of_the_pass(acquisition):
    """The acquisition id changes with the earliest slice; the pass stays the same pass."""
    rules = watch(grace_minutes=0)
    first = decide(rules, (acquisition(2, coverage=0.5),), (), NOW)
    known = (triggered(first.due[0]),)
    second = decide(rules, (acquisition(1, 2, coverage=1.0),), known, NOW + timedelta(hours=6))
    assert [due.revision for due in second.due] == [True]
    assert second.due[0].known.pass_id == first.due[0].known.pass_id
    assert second.new == 0


def test_republished_item_makes_a_revision(acquisition):
    first = decide(watch(), (acquisition(1),), (), NOW)
    again = decide(watch(), (acquisition(1, version="v2"),), (triggered(first.due[0]),), NOW)
    assert [due.revision for due in again.due] == [True]


def test_failed_run_is_asked_for_again_until_a_person_is_needed(acquisition):
    known = triggered(decide(watch(), (acquisition(1),), (), NOW).due[0]).model_copy(update={"state": PassState.FAILED})
    assert len(decide(watch(), (acquisition(1),), (known,), NOW).due) == 1
    tired = known.model_copy(update={"attempts": MAX_ATTEMPTS})
    decision = decide(watch(), (acquisition(1),), (tired,), NOW)
    assert decision.due == ()
    assert decision.given_up == (known.pass_id,)


def test_passes_before_the_watch_are_history(acquisition):
    assert decide(watch(since=NOW), (acquisition(1, at=NOW - timedelta(hours=5)),), (), NOW).remembered == ()


def test_platforms_and_orbits_are_different_passes(acquisition):
    found = (
        acquisition(1),
        acquisition(2, platform="S1C"),
        acquisition(3, orbit=117),
        acquisition(4, at=NOW - timedelta(hours=24 * 12)),
    )
    assert decide(watch(), found, (), NOW).new == 4


@given(st.permutations(range(6)), st.lists(st.integers(0, 5), max_size=12), st.booleans())
def test_every_pass_is_asked_for_exactly_once_whatever_the_order(acquisition, order, repeats, complete):
    """Passes appear in any order and are seen by any polls: each is triggered once, none is left out."""
    rules = watch(grace_minutes=60)
    passes = [
        acquisition(number, at=NOW - timedelta(hours=24 * (number + 1)), coverage=1.0 if complete else 0.3)
        for number in range(6)
    ]
    known, asked, visible, now = {}, [], [], NOW
    for number in [*order, *repeats, 0]:
        visible = [*visible, passes[number]] if passes[number] not in visible else visible
        now += timedelta(minutes=20)
        _poll(rules, tuple(visible), known, asked, now)
    _poll(rules, tuple(visible), known, asked, now + timedelta(hours=2))
    assert sorted(asked) == sorted(one.acquisition_id for one in passes)


def _poll(rules, visible, known, asked, now):
    decision = decide(rules, visible, tuple(known.values()), now)
    known.update({one.pass_id: one for one in decision.remembered})
    for due in decision.due:
        asked.append(due.known.pass_id)
        known[due.known.pass_id] = triggered(due)


@pytest.mark.parametrize(("days", "silent"), [(11.9, False), (12.1, True)])
def test_silence_is_longer_than_the_repeat(days, silent):
    assert (silent_since(watch(), NOW - timedelta(days=days), NOW) is not None) is silent


def as_grd(one):
    """The pass as GRD, under the names that a catalogue gives it."""
    slices = tuple(
        item.model_copy(update={"item_id": f"{item.item_id}_grd", "collection": "sentinel-1-grd"})
        for item in one.slices
    )
    return one.model_copy(update={"product": ProductType.GRD, "slices": slices})


def west_part(one):
    """The pass of which a part is there."""
    west = area_of_bbox(10, 45, 10.4, 46)
    slices = tuple(item.model_copy(update={"footprint": west}) for item in one.slices)
    return one.model_copy(update={"coverage": 0.4, "slices": slices})


def mapped(due):
    return triggered(due).model_copy(update={"state": PassState.MAPPED})


@pytest.mark.parametrize("revise", [False, True])
def test_a_better_product_makes_a_revision_only_if_asked(acquisition, revise):
    rules = watch(revise=revise)
    grd, rtc = as_grd(acquisition(1)), acquisition(1)
    first = decide(rules, (grd,), (), NOW)
    assert [due.acquisition.product for due in first.due] == [ProductType.GRD]
    later = decide(rules, (grd, rtc), (mapped(first.due[0]),), NOW + timedelta(days=3))
    assert [(due.acquisition.product, due.revision) for due in later.due] == (
        [(ProductType.RTC, True)] if revise else []
    )
    assert later.new == 0
    known = mapped(later.due[0]) if revise else later.remembered[0]
    assert decide(rules, (grd, rtc), (known,), NOW + timedelta(days=4)).due == ()


def test_a_pass_as_two_products_is_one_pass_and_the_whole_one_is_mapped(acquisition):
    both = (west_part(acquisition(1)), as_grd(acquisition(1, 2)))
    first = decide(watch(), both, (), NOW)
    assert first.new == 1
    assert [due.acquisition.product for due in first.due] == [ProductType.GRD]


def test_a_product_that_covers_more_makes_a_revision_unasked(acquisition):
    rules = watch(grace_minutes=0)
    part = west_part(acquisition(1))
    known = mapped(decide(rules, (part,), (), NOW).due[0])
    later = decide(rules, (part, as_grd(acquisition(1, 2))), (known,), NOW + timedelta(hours=1))
    assert [(due.acquisition.product, due.revision) for due in later.due] == [(ProductType.GRD, True)]


def test_a_better_orbit_makes_a_revision(acquisition):
    """Of GRD alone, whose place depends on it."""
    grd = as_grd(acquisition(1))
    name = grd.slices[0].item_id
    first = decide(watch(revise=True), (grd,), (), NOW, orbits={name: "S1A_OPER_AUX_RESORB_1.EOF"})
    known = (mapped(first.due[0]),)
    again = decide(watch(revise=True), (grd,), known, NOW, orbits={name: "S1A_OPER_AUX_RESORB_1.EOF"})
    assert again.due == ()
    better = decide(watch(revise=True), (grd,), known, NOW, orbits={name: "S1A_OPER_AUX_POEORB_1.EOF"})
    assert [due.revision for due in better.due] == [True]


def test_what_a_silent_catalogue_may_hold_has_not_changed(acquisition):
    """The pass came from a catalogue that does not answer now; another one shows it in other words, or a part of it."""
    rules = watch(revise=True)
    known = (mapped(decide(rules, (acquisition(1, 2),), (), NOW).due[0]),)
    other = (acquisition(1, version="of the other"),)
    assert decide(rules, other, known, NOW, all_answered=False).due == ()
    assert len(decide(rules, other, known, NOW).due) == 1
    assert len(decide(rules, other, (), NOW, all_answered=False).due) == 1
