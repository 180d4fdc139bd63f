"""A dry pass stays in the watch's history and opens nothing; the pass after it does not join it."""

from datetime import UTC, datetime, timedelta

from pipeline_lib.model import PassVerdict
from pipeline_lib.model.area import area_of_bbox
from pipeline_lib.options.gate import PublishIf
from pipeline_lib.steps.gate import BELOW_RULE, PUBLISHED, Assessment, Outcome
from pipeline_lib.steps.watch import report_mapped
from pipeline_lib.steps.watch_text import history_lines
from pipeline_lib.watch import PassState, Register, Watch
from pipeline_lib.watch.assign import event_of

NOW = datetime(2024, 5, 20, tzinfo=UTC)
AOI = area_of_bbox(10, 45, 11, 46)
RULE = PublishIf(min_flood_km2=0.5)
WATCH = Watch(name="po", aoi=AOI, catalog="generic", since=NOW - timedelta(days=99), publish_if=RULE)


def asked(known, day):
    return known(day, state=PassState.TRIGGERED, triggered_fingerprint="f", event_id="po-20240520")


def outcome(day, flood_km2, *, worth, state):
    """A run whose event holds an older, flooded pass as well: only the watched pass's own verdict counts."""
    verdicts = tuple(
        PassVerdict(
            acquisition_id=f"S1A_{when}",
            start=NOW + timedelta(days=when, minutes=2),
            flood_km2=km2,
            observed_share=1.0,
            anomaly=None,
            worth=good,
            reasons=(f"{km2:g} km2 flooded",),
        )
        for when, km2, good in ((day - 6, 9.0, True), (day, flood_km2, worth))
    )
    assessment = Assessment(
        event_id="po-x", key="k", version=0, unchanged=False, worth=worth, rule=RULE, passes=verdicts
    )
    return Outcome(state=state, reason="because", product=None, assessment=assessment)


def test_a_dry_pass_is_remembered_and_opens_nothing(tmp_path, due, remember, known):
    register = Register(tmp_path / "watches.sqlite")
    register.add(WATCH)
    remember(register, asked(known, 0))
    report_mapped(register, "po", "S1A_0", "f", outcome(0, 0.2, worth=False, state=BELOW_RULE))
    dry = register.passes("po")[0]
    assert (dry.state, dry.worth, dry.flood_km2) == (PassState.MAPPED, False, 0.2)
    assert any("Below threshold: because" in line for line in history_lines(register, "po", 5))
    assert event_of(WATCH, due(6), register.passes("po")).event_id == "po-20240526"


def test_a_flooded_pass_keeps_its_event_open_and_a_receded_one_lets_it_end(tmp_path, due, remember, known):
    register = Register(tmp_path / "watches.sqlite")
    register.add(WATCH)
    remember(register, asked(known, 0), asked(known, 6))
    report_mapped(register, "po", "S1A_0", "f", outcome(0, 7.0, worth=True, state=PUBLISHED))
    report_mapped(register, "po", "S1A_6", "f", outcome(6, 0.0, worth=False, state=PUBLISHED))
    assert event_of(WATCH, due(12), register.passes("po")).event_id == "po-20240520"
    assert event_of(WATCH, due(15), register.passes("po")).event_id == "po-20240604", "14 days after the last flood"
