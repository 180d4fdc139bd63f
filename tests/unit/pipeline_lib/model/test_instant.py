"""Instants against times written down by hand."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from pipeline_lib.errors import InputError
from pipeline_lib.model.instant import as_utc, instant_of
from pipeline_lib.steps.watch_text import instant

MOMENT = datetime(2019, 12, 15, 0, 38, 35, 311681, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2019-12-15 00:38:35.311681+00:00",
        "2019-12-15T00:38:35.311681Z",
        "2019-12-15T01:38:35.311681+01:00",
        "2019-12-15T00:38:35.311681",
        " 2019-12-15T00:38:35.311681 ",
        "2019-12-15t00:38:35.311681z",
        "2019-12-15T00:38:35.311681999Z",
        "2019-12-14T19:08:35.311681-05:30",
        "20191215T003835.311681Z",
    ],
)
def test_times_in_every_spelling_of_the_archives(text):
    found = instant_of(text)
    assert found == MOMENT
    assert found.tzinfo is UTC


@pytest.mark.parametrize("value", ["", "yesterday", None, 5, "0001-01-01T00:00+05:00", "9999-12-31T23:59-05:00"])
def test_what_is_no_time(value):
    assert instant_of(value) is None


def test_a_leap_second_is_the_first_of_the_next_minute():
    assert instant_of("2016-12-31T23:59:60Z") == instant_of("2017-01-01T01:00:00+01:00")
    assert instant_of("2025-10-28T05:30:60.5Z") == instant_of("2025-10-28T05:31:00Z")


def test_a_moment_in_utc():
    assert as_utc(MOMENT.replace(tzinfo=None)) == MOMENT
    assert as_utc(MOMENT.astimezone(timezone(timedelta(hours=5, minutes=30)))).isoformat() == MOMENT.isoformat()


def test_a_flag_that_is_no_time_is_said():
    assert instant("2026-11-23") == datetime(2026, 11, 23, tzinfo=UTC)
    with pytest.raises(InputError, match=r"--since 'yesterday' is no time.*2026-11-23T06:30Z"):
        instant("yesterday")
