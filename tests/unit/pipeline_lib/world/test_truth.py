"""The truth reader, and how hard the world is."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.filters import threshold_otsu
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from pipeline_lib.errors import InputError, UnknownNameError
from pipeline_lib.options.world import WorldOptions
from pipeline_lib.world.inundation import Truth
from pipeline_lib.world.land_cover import LandCover
from pipeline_lib.world.simulate import simulate
from pipeline_lib.world.truth import flood_of, open_land, truth_for, truth_layer, truth_scenes

OPEN = (LandCover.FOREST, LandCover.WETLAND, LandCover.TOWN)


def test_scenes_are_in_order_and_of_two_kinds(small_world):
    scenes = truth_scenes(small_world)
    assert [entry["datetime"] for entry in scenes.values()] == sorted(entry["datetime"] for entry in scenes.values())
    assert sum(entry["kind"] == "radar" for entry in scenes.values()) == 14
    assert sum(entry["kind"] == "optical" for entry in scenes.values()) == 4


def test_what_was_not_seen_is_outside_on_demand(small_world):
    last = [name for name, entry in truth_scenes(small_world).items() if entry["kind"] == "radar"][-1]
    whole, seen = truth_for(small_world, last), truth_for(small_world, last, observed_only=True)
    outside = seen == Truth.OUTSIDE
    assert 0.2 < float(outside.mean()) < 0.6
    assert not (whole == Truth.OUTSIDE).any()
    assert bool((seen == whole).where(~outside, other=True).all())


def test_open_land_and_flood(small_world):
    peak = "S1A_20251101T171450_R015_A"
    truth, cover = truth_for(small_world, peak), truth_layer(small_world, "land_cover")
    free = open_land(small_world)
    assert free.dtype == bool
    assert not np.isin(cover.to_numpy()[free.to_numpy()], OPEN).any()
    flood = flood_of(truth)
    assert float(flood.sum()) == float((truth >= 2).sum()) > 5000
    depth = truth_layer(small_world, "depth_m", peak)
    assert bool((depth > 0).where(flood, other=True).all())


def test_unknown_names_are_said(small_world, tmp_path):
    with pytest.raises(UnknownNameError, match="S1A_2020"):
        truth_for(small_world, "S1A_2020")
    with pytest.raises(UnknownNameError, match="land_cover"):
        truth_layer(small_world, "soil")
    with pytest.raises(InputError, match="world build"):
        truth_scenes(tmp_path)


@pytest.fixture(scope="module")
def seeds():
    return [simulate(WorldOptions(seed=seed, size=448), with_optical=False) for seed in (7, 11)]


def iou(found, true):
    return (found & true).sum() / (found | true).sum()


def peak_of(world):
    return max(world.radar, key=lambda one: int((one.inundation.truth >= 2).sum()))


def test_a_threshold_of_the_whole_scene_is_not_enough(seeds):
    for world in seeds:
        peak = peak_of(world)
        decibels = 10 * np.log10(peak.vh)
        found = decibels < threshold_otsu(decibels)
        assert 0.35 < iou(found, peak.inundation.truth > 0) < 0.7


def test_open_flood_is_separable_from_open_land(seeds):
    for world in seeds:
        peak, start = peak_of(world), world.options.flood_start
        before = [
            one
            for one in world.radar
            if one.radar_pass.start < start and one.radar_pass.direction == peak.radar_pass.direction
        ]
        smooth = {
            name: (
                10 * np.log10(gaussian_filter(getattr(peak, name), 1.2)),
                10 * np.log10(gaussian_filter(np.mean([getattr(one, name) for one in before], axis=0), 0.8)),
            )
            for name in ("vv", "vh")
        }
        hidden = np.isin(world.land.cover.classes, OPEN) | (peak.geometry.layover_shadow > 0)
        counted = ~hidden & (peak.inundation.truth != Truth.REFERENCE_WATER)
        features = np.stack([value[counted] for pair in smooth.values() for value in pair], axis=-1)
        true = peak.inundation.truth[counted] == Truth.OPEN_FLOOD
        half = np.random.default_rng(0).random(true.size) < 0.5
        model = make_pipeline(StandardScaler(), PolynomialFeatures(2), LogisticRegression(max_iter=500))
        chance = model.fit(features[half], true[half]).predict_proba(features[~half])[:, 1]
        assert iou(chance > 0.4, true[~half]) > 0.87


def test_look_alikes_are_as_dark_as_water_and_dry(seeds):
    for world in seeds:
        peak = peak_of(world)
        alike = peak.look_alike > 0
        assert 0.005 < alike.mean() < 0.08
        assert (peak.inundation.truth[alike] == Truth.DRY).all()
        land = (peak.inundation.truth == Truth.DRY) & ~alike
        assert np.log10(peak.vv[alike]).mean() < np.log10(peak.vv[land]).mean() - 0.4
        snow = world.radar[-1].look_alike == 101
        assert snow.any()
        assert world.land.relief.elevation_m[snow].min() > world.land.relief.elevation_m.mean()
