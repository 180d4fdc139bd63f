"""The passes keep the arithmetic of the real orbits."""

import json
from datetime import datetime, timedelta, timezone
from itertools import pairwise

from pipeline_lib.model.acquisition import OrbitDirection
from pipeline_lib.options.world import RadarOptions, WorldOptions
from pipeline_lib.world.calendar import optical_passes, radar_passes

OPTIONS = WorldOptions()
RELATIVE = {"S1A": lambda orbit: (orbit - 73) % 175 + 1, "S1C": lambda orbit: (orbit - 172) % 175 + 1}


def test_relative_orbit_follows_from_the_absolute_one():
    for one in radar_passes(OPTIONS):
        assert RELATIVE[one.platform](one.absolute_orbit) == one.relative_orbit
        assert one.relative_orbit == {OrbitDirection.ASCENDING: 15, OrbitDirection.DESCENDING: 66}[one.direction]


def test_passes_continue_a_real_one_in_whole_cycles(real_data):
    root = real_data / "stac/planetary-computer-tasks/pctasks/core/tests/data-files/items/s1-rtc/2019/12/15/IW/DV"
    facts = json.loads(next(root.glob("*.json")).read_text())["properties"]
    began = datetime.fromisoformat(facts["start_datetime"])
    for one in radar_passes(OPTIONS):
        if one.platform == "S1A":
            orbits = one.absolute_orbit - facts["sat:absolute_orbit"]
            expected = began + timedelta(days=12) * orbits / 175
            # Within an orbit the world lies elsewhere than the real scene: less than one revolution of 98.7 minutes.
            assert timedelta(0) < one.start - expected < timedelta(minutes=98.8)


def test_what_a_flood_needs_is_there():
    passes = radar_passes(OPTIONS)
    dry = [one for one in passes if one.start < OPTIONS.flood_start]
    flood = [one for one in passes if one.start >= OPTIONS.flood_start]
    assert len(dry) >= 8
    assert len(flood) >= 3
    for group in (dry, flood):
        assert {one.platform for one in group} == {"S1A", "S1C"}
        assert {one.direction for one in group} == set(OrbitDirection)
    assert [len(one.slices) for one in flood].count(2) == 1
    assert sum(one.swath != (0.0, 1.0) for one in flood) == 1
    assert sum(one.windy for one in passes) == 1
    assert sum(one.wet_snow for one in passes) == 1
    assert all(one.end < OPTIONS.flood_end for one in flood)
    assert len({one.pass_id for one in passes}) == len(passes)
    assert len(radar_passes(WorldOptions(radar=RadarOptions(dry_passes_per_orbit=4)))) == 12


def test_slices_follow_each_other_without_a_gap():
    for one in radar_passes(OPTIONS):
        for earlier, later in pairwise(one.slices):
            assert timedelta(0) <= later.start - earlier.end < timedelta(seconds=0.1)
            assert later.number == earlier.number + 1
            assert later.share[0] == earlier.share[1]
        assert (one.slices[0].share[0], one.slices[-1].share[1]) == (0.0, 1.0)


def test_sun_is_up_when_sentinel_2_passes_twice_before_and_twice_in_the_flood():
    passes = optical_passes(OPTIONS)
    assert [one.when < OPTIONS.flood_start for one in passes] == [True, True, False, False]
    assert all(one.when.hour == 10 and one.when.tzinfo == timezone.utc for one in passes)
    assert [one.cloud_cover for one in passes] == list(OPTIONS.optical.cloud_cover)
