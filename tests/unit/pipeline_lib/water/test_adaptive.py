import numpy as np
import pytest
import rasterio
import xarray as xr
from scenes import history_of, iou, river, scene_of

from pipeline_lib.options.world import WorldOptions
from pipeline_lib.water import Observation, detector
from pipeline_lib.water.classes import Classes, share_of_water
from pipeline_lib.water.context import edge_table, mean_field, probability_of
from pipeline_lib.water.filtering import table_of
from pipeline_lib.water.fusion import log_odds_with_reference, was_water
from pipeline_lib.water.histogram import CENTRES_DB
from pipeline_lib.water.rough import LAND_QUOTIENT, WATER_QUOTIENT, Means, rough_tables, scene_evidence
from pipeline_lib.water.threshold import Normal
from pipeline_lib.world.land_cover import LandCover
from pipeline_lib.world.simulate import simulate

CROSS = Classes(water=Normal(-24.0, 2.0), land=Normal(-16.0, 3.0), tiles=1)
CLASSES = Classes(water=Normal(-19.5, 2.5), land=Normal(-10.5, 2.5), tiles=1)


def plane(value):
    return np.array([[value]], dtype=np.float32)


@pytest.mark.parametrize(("scene", "change", "before"), [(2.0, 3.0, 0.1), (-4.0, 1.0, 0.9), (0.0, 0.0, 0.5)])
def test_the_odds_are_those_of_the_formula(scene, change, before):
    found = log_odds_with_reference(plane(scene), plane(change), plane(before), plane(-0.3), 0.4)
    water = before * 0.97 + (1 - before) * 0.4
    land = before * 0.03 * np.exp(-scene) + (1 - before) * 0.6 * np.exp(-change)
    assert found.item() == pytest.approx(np.log(water / land) - 0.3, rel=1e-4)


def test_occurrence_overrules_a_dark_reference():
    unknown = plane(np.nan)
    assert was_water(plane(8.0), unknown).item() > 0.99
    assert was_water(plane(8.0), plane(0.0)).item() < 0.25
    assert was_water(plane(-8.0), plane(100.0)).item() > 0.75
    assert was_water(unknown, unknown).item() == 0.5


def test_the_ratio_of_classes_keeps_the_shape_of_what_it_is_asked():
    decibel = np.linspace(-30.0, 0.0, 24)
    flat = CLASSES.log_ratio(decibel)
    shuffled = np.random.default_rng(1).permutation(24)
    np.testing.assert_array_equal(CLASSES.log_ratio(decibel[shuffled].reshape(4, 6)), flat[shuffled].reshape(4, 6))
    assert (np.diff(flat) <= 0).all()


@pytest.mark.parametrize("seen_before", [False, True])
def test_water_that_wind_has_roughened_is_water_and_bright_land_is_not(seen_before):
    water = river((160, 200))
    rng = np.random.default_rng(2)
    levels = {"vv": (-8.0, -10.5), "vh": (-22.5, -17.0)}
    layers = {
        name: (("y", "x"), (10 ** (np.where(water, *pair) / 10) * rng.gamma(4.4, 1 / 4.4, water.shape)).astype("f4"))
        for name, pair in levels.items()
    }
    scene = xr.Dataset({name: (*layer, {"units": "1"}) for name, layer in layers.items()}, attrs=scene_of(water).attrs)
    observation = Observation(scene=scene, history=history_of(np.zeros_like(water)) if seen_before else None)
    found = detector().detect(observation)["water"].values == 1
    blind = detector("adaptive", {"rough_share": 0}).detect(observation)["water"].values == 1
    assert iou(found, water) > 0.85
    assert iou(blind, water) < 0.6
    bright = scene_of(water, seed=4).map(lambda power: power * 2.5, keep_attrs=True)
    assert (detector().detect(Observation(scene=bright))["water"].values == 1)[~water].mean() < 0.01


def test_roughened_water_in_the_terms_of_its_formula():
    tables = rough_tables(CROSS, share=0.2, weight=0.5, limit=6.0)
    co, cross = np.full((3, 3), 0.1, np.float32), np.full((3, 3), 0.005, np.float32)
    quotient_db, cross_db = 10 * np.log10(0.1 / 0.005), 10 * np.log10(0.005)
    of_quotient = WATER_QUOTIENT.log_density(min(quotient_db, WATER_QUOTIENT.mean)) - LAND_QUOTIENT.log_density(
        min(quotient_db, WATER_QUOTIENT.mean)
    )
    of_cross = CROSS.water.log_density(cross_db) - CROSS.land.log_density(cross_db)
    expected = np.log(0.2 / 0.8) + 0.5 * (of_cross + of_quotient)
    means = Means(co, cross)
    no_calm = Means(np.full(1 << 16, -9, np.float32), np.full(1 << 16, -9, np.float32))
    np.testing.assert_allclose(scene_evidence(means, no_calm, means, tables), expected, atol=0.02)
    calm = Means(np.full(1 << 16, 9, np.float32), np.full(1 << 16, 2, np.float32))
    np.testing.assert_allclose(scene_evidence(means, calm, means, tables), 11.0)
    cross[1, 1] = np.nan
    four = table_of(lambda value: np.full_like(value, 4.0))
    np.testing.assert_allclose(
        scene_evidence(means, Means(four, four), means, tables)[1, :2], [max(8.0, expected), 4.0], atol=0.02
    )
    co[1, 1] = np.nan
    assert np.isnan(scene_evidence(means, Means(four, four), means, tables)[1, 1])


def test_the_share_of_water_is_recovered():
    share = 0.07
    counts = share * np.exp(CLASSES.water.log_density(CENTRES_DB)) + (1 - share) * np.exp(
        CLASSES.land.log_density(CENTRES_DB)
    )
    assert share_of_water(counts * 1e6, CLASSES.water, CLASSES.land) == pytest.approx(share, abs=0.02)


def test_beside_land_the_point_of_indifference_moves_up():
    table = edge_table(CLASSES, leak=0.35, weight=1.0, limit=6.0)
    power = np.array([10 ** (-14.5 / 10)], dtype=np.float32)
    entry = int(power.view(np.uint32)[0] >> 18)
    beside_land, in_the_middle = table[2, entry], table[4, entry]
    assert beside_land > 0
    assert beside_land > in_the_middle


def test_unanimous_neighbours_outvote_speckle_and_weak_evidence_does_not_spread():
    log_odds = np.full((9, 9), 4.0, dtype=np.float32)
    log_odds[4, 4] = -1.0
    power = np.full((9, 9), 0.011, dtype=np.float32)
    table = np.zeros((2, 9, 1 << 13), dtype=np.float32)
    none = np.empty((0, 0), dtype=np.float32)
    found = probability_of(mean_field(log_odds, power, none, table, 1.5, 3))
    assert found[4, 4] > 0.5
    lonely = probability_of(mean_field(-log_odds, power, none, table, 1.5, 3))
    np.testing.assert_allclose(lonely, 1 - found, atol=2e-3)
    unknown = log_odds.copy()
    unknown[0, 0] = np.nan
    assert np.isnan(probability_of(mean_field(unknown, power, none, table, 1.5, 3))[0, 0])


def test_change_tells_flood_from_land_that_was_always_dark():
    water = river((160, 200))
    dark = np.zeros_like(water)
    dark[5:25, 20:80] = True
    scene = scene_of(water | dark, seed=5)
    occurrence = xr.DataArray(np.zeros(water.shape, dtype=np.float32), dims=("y", "x"))
    alone = detector().detect(Observation(scene=scene))["water"].values == 1
    compared = detector().detect(Observation(scene=scene, history=history_of(dark), water_occurrence=occurrence))
    assert alone[dark].mean() > 0.9
    assert (compared["water"].values == 1)[dark].mean() < 0.1
    assert iou(compared["water"].values == 1, water) > 0.93


def test_land_that_grew_darker_is_not_flooded_where_the_scene_shows_no_water():
    land = np.zeros((128, 128), dtype=bool)
    darker = scene_of(land, seed=5).map(lambda power: power * 0.5, keep_attrs=True)
    found = detector("adaptive").detect(Observation(scene=darker, history=history_of(land)))
    assert any("No part of the scene shows two classes" in note for note in found.attrs["notes"])
    assert float((found["water"] == 1).mean()) < 0.01
    assert float(found["likelihood"].mean()) < 0.2


def test_water_does_not_stand_high_above_drainage():
    water = river((160, 200))
    hand = np.where(np.arange(200) < 100, 1.0, 60.0).astype(np.float32) * np.ones((160, 1), dtype=np.float32)
    terrain = xr.Dataset({"hand_m": (("y", "x"), hand)})
    found = detector().detect(Observation(scene=scene_of(water), terrain=terrain))["water"].values == 1
    assert found[:, :100][water[:, :100]].mean() > 0.95
    assert found[:, 100:].mean() < 0.01


def _observations(world):
    """Every flood pass with its references and the place."""
    facts = {"backscatter": "gamma0"}
    land = world.land
    gradient = np.hypot(*np.gradient(land.relief.elevation_m, 10.0))
    place = {"hand_m": land.relief.hand_m, "slope_deg": np.degrees(np.arctan(gradient))}
    terrain = xr.Dataset({name: (("y", "x"), values.astype(np.float32)) for name, values in place.items()})
    occurrence = xr.DataArray((100 * land.cover.occurrence).astype(np.float32), dims=("y", "x"))

    def scene(radar):
        layers = {name: (("y", "x"), getattr(radar, name).astype(np.float32), {"units": "1"}) for name in ("vv", "vh")}
        return xr.Dataset(layers, attrs=facts)

    for radar in world.radar:
        if radar.radar_pass.start < world.options.flood_start:
            continue
        orbit = radar.radar_pass.relative_orbit
        dry = [
            scene(other)
            for other in world.radar
            if other.radar_pass.relative_orbit == orbit and other.radar_pass.start < world.options.flood_start
        ]
        yield (
            radar,
            Observation(
                scene=scene(radar), history=xr.concat(dry, dim="time"), terrain=terrain, water_occurrence=occurrence
            ),
        )


@pytest.mark.slow
def test_the_simulated_flood_is_mapped_on_open_land():
    world = simulate(WorldOptions(size=512), with_optical=False)
    hit = wrong = missed = 0
    closed = (LandCover.FOREST, LandCover.TOWN, LandCover.WETLAND)
    for radar, observation in _observations(world):
        found = detector().detect(observation)["water"].values
        truth = radar.inundation.truth
        judged = ~np.isin(world.land.cover.classes, closed) & (found != 255) & np.isin(truth, (0, 2))
        judged &= radar.geometry.layover_shadow == 0
        water = found == 1
        hit += (water & (truth == 2) & judged).sum()
        wrong += (water & (truth == 0) & judged).sum()
        missed += (~water & (truth == 2) & judged).sum()
    assert hit / (hit + wrong + missed) > 0.75


@pytest.mark.parametrize("chip", ["Ghana_53713", "Paraguay_34417", "Bolivia_312675"])
def test_real_chips_with_no_water_or_no_data(real_data, chip):
    path = real_data / "sen1floods11" / "S1Hand" / f"{chip}_S1Hand.tif"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    with rasterio.open(path) as source:
        bands = source.read()
    layers = {
        name: (("y", "x"), (10 ** (band / 10)).astype(np.float32), {"units": "1"})
        for name, band in zip(("vv", "vh"), bands, strict=True)
    }
    found = detector().detect(Observation(scene=xr.Dataset(layers, attrs={"backscatter": "sigma0"}))).compute()
    np.testing.assert_array_equal(found["water"] == 255, np.isnan(bands).all(axis=0))
    if chip == "Ghana_53713":
        assert float((found["water"] == 1).mean()) < 1e-3
