"""Passes close in time share an event; a dry pass does not keep one open."""

from datetime import UTC, datetime, timedelta

import pytest

from pipeline_lib.model.area import area_of_bbox
from pipeline_lib.watch import PassState, Watch
from pipeline_lib.watch.assign import event_of
from pipeline_lib.watch.records import PublishIf

NOW = datetime(2024, 5, 20, tzinfo=UTC)
AOI = area_of_bbox(10, 45, 11, 46)
WATCH = Watch(
    name="po", aoi=AOI, catalog="generic", since=NOW - timedelta(days=99), publish_if=PublishIf(min_flood_km2=1)
)


def test_the_first_pass_opens_an_event_named_by_its_day(due):
    event = event_of(WATCH, due(0), ())
    assert event.event_id == "po-20240520"
    assert event.start < NOW < event.end


@pytest.mark.parametrize(
    ("day", "flood_km2", "joins"),
    [(6, 5.0, True), (6, None, True), (6, 0.5, False), (15, 5.0, False), (-6, 5.0, True)],
)
def test_a_pass_joins_where_flood_was_seen_lately_or_is_being_looked_for(day, flood_km2, joins, known, due):
    before = known(0, state=PassState.MAPPED, event_id="po-20240520", flood_km2=flood_km2)
    event = event_of(WATCH, due(day), (before,))
    assert (event.event_id == "po-20240520") is joins
    if joins:
        assert event.start < min(NOW, NOW + timedelta(days=day))
        assert event.end > max(NOW, NOW + timedelta(days=day))


def test_a_revision_stays_in_its_event(known, due):
    event = event_of(
        WATCH,
        due(3, event_id="po-20240401"),
        (known(2, state=PassState.MAPPED, event_id="po-20240522", flood_km2=9.0),),
    )
    assert event.event_id == "po-20240401"


def test_the_same_passes_make_the_same_event_whichever_of_them_asks(known, due):
    """Another window is another plan: the same map would be asked about, and published, once a pass."""
    mine = {day: known(day, state=PassState.TRIGGERED, event_id="po-20240520") for day in (0, 3, 6)}
    events = [
        event_of(WATCH, due(day, event_id="po-20240520"), tuple(one for other, one in mine.items() if other != day))
        for day in mine
    ]
    assert events[0] == events[1] == events[2]
