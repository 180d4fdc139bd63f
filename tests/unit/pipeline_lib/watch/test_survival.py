"""Watching goes on through jumping clocks, dying pollers, racing pollers and long outages."""

from datetime import UTC, datetime, timedelta

import pytest

from pipeline_lib.model import PassVerdict
from pipeline_lib.model.area import area_of_bbox
from pipeline_lib.steps import watch as steps
from pipeline_lib.steps.gate import PUBLISHED, Assessment, Outcome
from pipeline_lib.steps.search import Found
from pipeline_lib.watch import PassState, Register, Watch
from pipeline_lib.watch.decide import MAX_ATTEMPTS, silent_since
from pipeline_lib.watch.register import Poll

NOW = datetime(2024, 5, 20, tzinfo=UTC)
AOI = area_of_bbox(10, 45, 11, 46)
RULES = Watch(name="po", aoi=AOI, catalog="http://127.0.0.1:9", since=NOW - timedelta(days=300))
YEARS = timedelta(days=1500)


@pytest.fixture
def archive(monkeypatch):
    """Acquisitions that the next poll's search finds inside its window; ``None`` is an outage."""
    shown = []
    windows = []

    def search(window, *_):
        windows.append(window)
        return Found(passes=tuple(one for one in shown if window.start <= one.start <= window.end))

    monkeypatch.setattr(steps, "search_event", search)
    return shown, windows


@pytest.fixture
def register(tmp_path):
    register = Register(tmp_path / "watches.sqlite")
    register.add(RULES)
    return register


def ask(register, result):
    """What a poller does with each due pass; the keys under which runs were asked for."""
    keys = []
    for request in steps.requests_of(register, result.watch, result.decision.due):
        keys.append(request.idempotency_key)
        steps.remember_request(register, request, run_id="r")
    return keys


def state_of(register):
    return [one.state for one in register.passes("po")]


def test_a_clock_that_ran_ahead_hides_nothing_once_it_is_right_again(archive, register, acquisition):
    shown, _ = archive
    steps.poll(register, "po", NOW + YEARS)
    assert steps.is_due(register.watch("po"), NOW), "a watch is polled again at once"
    shown.append(acquisition(at=NOW - timedelta(hours=1)))
    assert len(steps.poll(register, "po", NOW).decision.due) == 1


def test_a_partial_pass_seen_under_a_clock_ahead_does_not_wait_for_that_time(archive, register, acquisition):
    shown, _ = archive
    shown.append(acquisition(at=NOW - timedelta(hours=1), coverage=0.4))
    assert steps.poll(register, "po", NOW + timedelta(days=20)).decision.due == ()
    assert len(steps.poll(register, "po", NOW).decision.due) == 1


def test_a_clock_set_back_looks_again_and_maps_nothing_twice(archive, register, acquisition):
    shown, windows = archive
    shown.append(acquisition(at=NOW - timedelta(hours=1)))
    assert len(ask(register, steps.poll(register, "po", NOW))) == 1
    early = NOW - timedelta(days=200)
    assert ask(register, steps.poll(register, "po", early)) == []
    assert ask(register, steps.poll(register, "po", NOW)) == []
    assert windows[-1].start <= early - timedelta(days=RULES.rescan_days)


def test_silence_is_counted_from_when_the_clock_was_set_right(archive, register, acquisition):
    shown, _ = archive
    shown.append(acquisition(at=NOW + YEARS - timedelta(hours=1)))
    steps.poll(register, "po", NOW + YEARS)
    shown.clear()
    steps.poll(register, "po", NOW)
    state = register.watch("po")
    assert state.last_new_pass == NOW
    assert silent_since(RULES, state.last_new_pass, NOW + timedelta(days=13)) == timedelta(days=13)


def test_retention_under_a_clock_years_ahead_forgets_no_pass_that_can_come_again(archive, register, acquisition):
    shown, _ = archive
    shown.append(acquisition(at=NOW - timedelta(hours=1)))
    ask(register, steps.poll(register, "po", NOW))
    register.prune(NOW + YEARS)
    assert ask(register, steps.poll(register, "po", NOW + timedelta(minutes=15))) == []


def test_an_outage_of_the_assets_for_two_days_loses_no_pass(archive, register, acquisition):
    shown, _ = archive
    shown.append(acquisition(at=NOW - timedelta(hours=1)))
    clock, tries = NOW, 0
    while clock < NOW + timedelta(days=2):
        result = steps.poll(register, "po", clock)
        tries += len(ask(register, result))
        assert result.decision.given_up == ()
        for one in register.passes("po"):
            register.settle("po", one.pass_id, one.fingerprint, PassState.FAILED)
        clock += timedelta(minutes=30)
    assert 6 <= tries < MAX_ATTEMPTS
    while not (due := steps.poll(register, "po", clock).decision.due):
        clock += timedelta(minutes=30)
    assert clock < NOW + timedelta(days=3)
    assert due[0].revision is False


def test_what_was_given_up_is_tried_again_when_a_person_asks(archive, register, acquisition):
    shown, _ = archive
    shown.append(acquisition(at=NOW - timedelta(hours=1)))
    keys, clock = [], NOW
    while not (result := steps.poll(register, "po", clock)).decision.given_up:
        keys += ask(register, result)
        for one in register.passes("po"):
            register.settle("po", one.pass_id, one.fingerprint, PassState.FAILED)
        clock += timedelta(hours=6)
    assert len(keys) == MAX_ATTEMPTS
    again = ask(register, steps.poll(register, "po", clock, since=NOW - timedelta(days=1)))
    assert len(again) == 1
    assert again[0] not in keys


@pytest.mark.parametrize("sensed_days_ago", [45, 400])
def test_a_pass_that_is_not_mapped_yet_is_asked_for_however_old_it_is(archive, register, acquisition, sensed_days_ago):
    """Those before the watch began were asked for by a person (backfill)."""
    shown, windows = archive
    at = NOW - timedelta(days=sensed_days_ago)
    shown.append(acquisition(at=at))
    assert len(ask(register, steps.poll(register, "po", NOW, since=at - timedelta(days=1)))) == 1
    (one,) = register.passes("po")
    register.settle("po", one.pass_id, one.fingerprint, PassState.FAILED)
    assert len(ask(register, steps.poll(register, "po", NOW + timedelta(hours=1)))) == 1
    register.settle("po", one.pass_id, one.fingerprint, PassState.MAPPED)
    steps.poll(register, "po", NOW + timedelta(hours=2))
    assert windows[-1].start > NOW - timedelta(days=31), "nothing is asked for that is done"


def test_a_pass_that_left_the_catalogue_is_given_up_with_a_word_and_mapped_should_it_come_back(
    archive, register, acquisition
):
    shown, _ = archive
    shown.append(acquisition(at=NOW - timedelta(hours=1), coverage=0.4))
    steps.poll(register, "po", NOW)
    (there,), clock = tuple(shown), NOW
    shown.clear()
    while not steps.poll(register, "po", clock).decision.given_up:
        clock += timedelta(hours=6)
        assert clock < NOW + timedelta(days=10)
    assert "no more" in register.passes("po")[0].outcome
    assert "given up" in register.passes("po")[0].outcome
    shown.append(there)
    clock += timedelta(hours=1)
    assert steps.poll(register, "po", clock).decision.due == (), "a partial pass waits for its other slices"
    assert len(ask(register, steps.poll(register, "po", clock + timedelta(hours=4)))) == 1


def test_a_killed_run_is_asked_for_again_at_once(archive, register, acquisition):
    shown, _ = archive
    shown.append(acquisition(at=NOW - timedelta(hours=1)))
    first = ask(register, steps.poll(register, "po", NOW))
    steps.settle_lost(register, "po", register.passes("po")[0].pass_id)
    second = ask(register, steps.poll(register, "po", NOW + timedelta(seconds=1)))
    assert len(first) == len(second) == 1
    assert first != second


def test_a_poller_that_dies_between_asking_and_noting_asks_under_the_same_key_in_the_same_event(
    archive, register, acquisition
):
    shown, _ = archive
    shown.append(acquisition(at=NOW - timedelta(hours=1)))
    result = steps.poll(register, "po", NOW)
    request = steps.requests_of(register, result.watch, result.decision.due)[0]
    # killed here; meanwhile the flood goes on, and a pass of the day before is published late
    shown.append(acquisition(at=NOW - timedelta(days=1)))
    later = steps.poll(register, "po", NOW + timedelta(minutes=15))
    requests = steps.requests_of(register, later.watch, later.decision.due)
    assert request.idempotency_key in {one.idempotency_key for one in requests}
    assert {one.event.event_id for one in requests} == {request.event.event_id}


def test_passes_of_one_event_that_one_poll_finds_share_one_run(archive, register, acquisition):
    shown, _ = archive
    shown.extend(acquisition(at=NOW - timedelta(days=days)) for days in (1, 3, 5))
    shown.append(acquisition(at=NOW - timedelta(days=60)))
    result = steps.poll(register, "po", NOW, since=NOW - timedelta(days=90))
    old, new = steps.requests_of(register, result.watch, result.decision.due)
    assert [len(one.due) for one in (old, new)] == [1, 3]
    assert new.event.start < new.due[0].acquisition.start < new.due[-1].acquisition.end < new.event.end
    assert steps.remember_request(register, new, run_id="r")
    assert {one.run_id for one in register.passes("po") if one.pass_id in new.passes} == {"r"}
    assert steps.requests_of(register, result.watch, ()) == ()


def test_a_run_that_was_asked_for_but_not_noted_keeps_its_key_though_more_is_due_by_then(
    archive, register, acquisition
):
    shown, _ = archive
    shown.extend(acquisition(at=NOW - timedelta(days=days)) for days in (1, 3))
    result = steps.poll(register, "po", NOW)
    (asked,) = steps.requests_of(register, result.watch, result.decision.due)
    shown.append(acquisition(at=NOW - timedelta(hours=1)))  # the poller was killed before it noted the run
    later = steps.poll(register, "po", NOW + timedelta(minutes=15))
    again, other = steps.requests_of(register, later.watch, later.decision.due)
    assert again.idempotency_key == asked.idempotency_key
    assert len(other.due) == 1
    assert again.event == other.event


def test_a_pass_that_changed_while_its_run_was_not_noted_gives_another_key(archive, register, acquisition):
    shown, _ = archive
    shown.extend(acquisition(at=NOW - timedelta(days=days)) for days in (1, 3))
    result = steps.poll(register, "po", NOW)
    (asked,) = steps.requests_of(register, result.watch, result.decision.due)
    shown[0] = acquisition(at=NOW - timedelta(days=1), version="v2")
    later = steps.poll(register, "po", NOW + timedelta(minutes=15))
    (again,) = steps.requests_of(register, later.watch, later.decision.due)
    assert again.idempotency_key != asked.idempotency_key
    assert steps.requests_of(register, result.watch, result.decision.due)[0].passes.keys() < again.passes.keys()


def test_a_run_that_ends_before_it_is_noted_is_settled_and_not_overwritten(archive, register, acquisition):
    shown, _ = archive
    shown.append(acquisition(at=NOW - timedelta(hours=1)))
    result = steps.poll(register, "po", NOW)
    due = result.decision.due[0]
    request = steps.requests_of(register, result.watch, (due,))[0]
    register.settle("po", due.known.pass_id, due.known.fingerprint, PassState.MAPPED, flood_km2=2.0)
    assert steps.remember_request(register, request, run_id="r") is False
    known = register.passes("po")[0]
    assert (known.state, known.event_id, known.flood_km2) == (PassState.MAPPED, request.event.event_id, 2.0)
    assert steps.poll(register, "po", NOW + timedelta(minutes=15)).decision.due == ()


def test_of_two_pollers_at_once_one_maps(archive, register, acquisition):
    shown, _ = archive
    shown.append(acquisition(at=NOW - timedelta(hours=1)))
    one, other = steps.poll(register, "po", NOW), steps.poll(register, "po", NOW)
    requests = [steps.requests_of(register, result.watch, result.decision.due)[0] for result in (one, other)]
    assert requests[0].idempotency_key == requests[1].idempotency_key
    assert [steps.remember_request(register, request, run_id="r") for request in requests] == [True, False]


def test_a_slow_poller_does_not_undo_what_a_finished_run_wrote(archive, register, monkeypatch, acquisition):
    shown, _ = archive
    shown.append(acquisition(at=NOW - timedelta(hours=1)))
    fast_search = steps.search_event

    def slow_search(*given):
        """While this poller waits for the catalogue another one polls, and its run ends."""
        monkeypatch.setattr(steps, "search_event", fast_search)
        ask(register, steps.poll(register, "po", NOW))
        known = register.passes("po")[0]
        register.settle("po", known.pass_id, known.fingerprint, PassState.MAPPED)
        return fast_search(*given)

    monkeypatch.setattr(steps, "search_event", slow_search)
    assert steps.poll(register, "po", NOW).decision.due == ()
    assert state_of(register) == [PassState.MAPPED]


def test_an_archive_that_goes_back_to_an_earlier_version_is_mapped_again_under_a_key_of_its_own(
    archive, register, acquisition
):
    shown, _ = archive
    keys = []
    for version in ("v1", "v2", "v1"):
        shown[:] = [acquisition(at=NOW - timedelta(hours=1), version=version)]
        keys += ask(register, steps.poll(register, "po", NOW))
        known = register.passes("po")[0]
        register.settle("po", known.pass_id, known.fingerprint, PassState.MAPPED)
    assert len(set(keys)) == 3


def test_a_pass_that_cannot_be_mapped_does_not_fail_the_others_of_its_event(archive, register, acquisition):
    shown, _ = archive
    shown += [acquisition(at=NOW - timedelta(days=2)), acquisition(at=NOW - timedelta(hours=1))]
    ask(register, steps.poll(register, "po", NOW))
    broken, good = register.passes("po")
    verdict = PassVerdict(
        acquisition_id=good.pass_id,
        start=good.start,
        flood_km2=3.0,
        observed_share=1.0,
        anomaly=None,
        worth=True,
        reasons=("3 km2",),
    )
    assessment = Assessment(
        event_id="po-1", key="k", version=0, unchanged=False, worth=True, rule=RULES.publish_if, passes=(verdict,)
    )
    missing = {broken.pass_id: "its asset is cut"}
    outcome = Outcome(state=PUBLISHED, reason="3 km2", product=None, assessment=assessment, failures=missing)
    for one in (broken, good):
        steps.report_mapped(register, "po", one.pass_id, one.fingerprint, outcome)
    assert state_of(register) == [PassState.FAILED, PassState.MAPPED]
    broken, good = register.passes("po")
    assert "its asset is cut" in broken.outcome
    assert good.flood_km2 == 3.0


def test_a_run_learns_of_passes_that_joined_its_event_after_it_was_asked_for(archive, register, acquisition):
    """Found by the soak: a run that knew fewer passes ended last and took a pass out of the published event."""
    shown, _ = archive
    shown.append(acquisition(at=NOW - timedelta(days=1)))
    first = steps.poll(register, "po", NOW)
    narrow = steps.requests_of(register, first.watch, first.decision.due)[0].event
    assert steps.widened(register, "po", narrow) == narrow
    shown.append(acquisition(at=NOW - timedelta(hours=1)))
    steps.requests_of(register, first.watch, steps.poll(register, "po", NOW).decision.due)
    wide = steps.widened(register, "po", narrow)
    assert (wide.event_id, wide.start) == (narrow.event_id, narrow.start)
    assert wide.end >= NOW - timedelta(hours=1)


def test_history_is_bounded_by_retention(register):
    for day in range(100):
        register.record_poll("po", Poll(at=NOW + timedelta(days=day), found=0, new=0, due=0, problem=None))
    assert register.prune(NOW + timedelta(days=90)) == 90
    assert len(register.history("po", limit=1000)) == 10
