"""The flood: connected, nested, and coded without contradiction."""

from datetime import timedelta

import numpy as np
import pytest
from scipy.ndimage import label

from pipeline_lib.options.world import WorldOptions
from pipeline_lib.world.inundation import FALL_DAYS, RISE_DAYS, Truth, depth_m, fullness, inundate, stage_m
from pipeline_lib.world.land_cover import LandCover, make_cover
from pipeline_lib.world.relief import make_relief

OPTIONS = WorldOptions(seed=5, size=224)
START = OPTIONS.flood_start


@pytest.fixture(scope="module")
def landscape():
    relief = make_relief(OPTIONS, np.random.default_rng(5))
    return relief, make_cover(OPTIONS, relief, np.random.default_rng(6))


def day(number):
    return START + timedelta(days=number)


def test_stage_rises_to_the_peak_and_recedes_exponentially():
    stages = [stage_m(OPTIONS, day(d)) for d in np.linspace(-1, 12, 300)]
    peak = int(np.argmax(stages))
    assert stage_m(OPTIONS, day(-0.01)) == 0
    assert stages[peak] == pytest.approx(OPTIONS.peak_stage_m, rel=1e-3)
    assert np.diff(stages[: peak + 1]).min() >= 0
    assert np.diff(stages[peak:]).max() < 0
    assert stage_m(OPTIONS, day(RISE_DAYS + FALL_DAYS)) == pytest.approx(OPTIONS.peak_stage_m / np.e)


@pytest.mark.parametrize("number", [1.0, 2.0, 3.0])
def test_rising_flood_is_what_lies_below_the_stage_and_joins_the_river(landscape, number):
    relief, _ = landscape
    stage = stage_m(OPTIONS, day(number))
    pieces, _ = label(relief.hand_m < stage, np.ones((3, 3)))
    joined = np.isin(pieces, np.unique(pieces[relief.river & (pieces > 0)])) & (pieces > 0)
    depth = depth_m(OPTIONS, relief, day(number))
    assert np.array_equal(depth > 0, joined)
    assert np.allclose(depth[joined], stage - relief.hand_m[joined], atol=1e-5)


def test_extent_grows_to_the_peak_and_shrinks_after_it(landscape):
    relief, _ = landscape
    wet = {d: depth_m(OPTIONS, relief, day(d)) > 0 for d in (1, 2, 3, 4, 6, 9, 12)}
    assert wet[3].mean() > 0.1
    for smaller, larger in ((1, 2), (2, 3), (4, 3), (6, 4), (9, 6), (12, 9)):
        assert not (wet[smaller] & ~wet[larger]).any()
    assert wet[12].sum() < 0.7 * wet[3].sum()


def test_backswamps_stay_wet_when_the_river_has_fallen(landscape):
    relief, _ = landscape
    late = day(6)
    kept = (depth_m(OPTIONS, relief, late) > 0) & (relief.hand_m >= stage_m(OPTIONS, late))
    assert kept.any()
    assert (relief.spill_m[kept] > relief.hand_m[kept]).all()


def test_truth_codes_say_what_depth_and_cover_say(landscape):
    relief, cover = landscape
    flood = inundate(OPTIONS, relief, cover, day(3))
    truth, wet = flood.truth, flood.depth_m > 0
    assert set(np.unique(truth)) == {0, 1, 2, 3, 4}
    assert (truth[relief.river] == Truth.REFERENCE_WATER).all()
    assert (wet[truth >= Truth.OPEN_FLOOD]).all()
    assert (cover.classes[truth == Truth.FLOODED_TOWN] == LandCover.TOWN).all()
    plants = truth == Truth.FLOODED_VEGETATION
    assert (cover.height_m[plants] > flood.depth_m[plants]).all()
    assert not (wet & (truth == Truth.DRY)).any()
    assert (cover.occurrence[truth >= Truth.OPEN_FLOOD] <= 0.04).all()


def test_before_the_flood_only_reference_water(landscape):
    relief, cover = landscape
    flood = inundate(OPTIONS, relief, cover, day(-10))
    assert set(np.unique(flood.truth)) == {0, 1}
    assert flood.depth_m.max() == 0
    assert (cover.occurrence[flood.truth == 1] > 1 - fullness(OPTIONS, day(-10))).all()
