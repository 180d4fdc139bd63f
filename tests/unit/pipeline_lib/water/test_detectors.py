"""What every detector must do, whatever it is."""

import numpy as np
import pytest
import xarray as xr
from scenes import history_of, iou, river, scene_of

from pipeline_lib.errors import ContractError, InputError, OverbankError, UnknownNameError
from pipeline_lib.model import check_water_extent
from pipeline_lib.water import DEFAULT_DETECTOR, Need, Observation, detector, detectors

OTHERS = ("pipeline_lib.water.segmenters", "pipeline_lib.water.learned")
"""Detectors with tests of their own: the course's general segmenters and the trained networks."""
CLASSICAL = [found.name for found in detectors() if found.__module__ not in OTHERS]
WATER = river((160, 200))
PERMANENT = WATER & (np.arange(WATER.shape[0])[:, None] % 64 < 20) & (np.arange(WATER.shape[1]) < 100)


def terrain_of(water):
    hand = np.where(water, 1.0, 6.0).astype(np.float32)
    layers = {"hand_m": (("y", "x"), hand), "slope_deg": (("y", "x"), np.full_like(hand, 1.0))}
    return xr.Dataset(layers)


@pytest.fixture(scope="module")
def observation():
    return Observation(scene=scene_of(WATER, seed=7), history=history_of(PERMANENT), terrain=terrain_of(WATER))


def chunked(observation, size):
    def cut(dataset):
        return None if dataset is None else dataset.chunk({"y": size[0], "x": size[1]})

    return Observation(scene=cut(observation.scene), history=cut(observation.history), terrain=cut(observation.terrain))


def only(scene):
    """An observation with a history as dry as can be, so that every detector can work."""
    dry = history_of(np.zeros((scene.sizes["y"], scene.sizes["x"]), dtype=bool), names=tuple(scene.data_vars))
    return Observation(scene=scene, history=dry)


@pytest.mark.parametrize("name", CLASSICAL)
def test_water_is_found_and_the_contract_kept(name, observation):
    found = check_water_extent(detector(name).detect(observation)).compute()
    assert iou(found["water"].values == 1, WATER) > 0.85
    likelihood = found["likelihood"].values
    assert ((likelihood >= 0) & (likelihood <= 1)).all()
    assert found.attrs["notes"]
    if name != "ensemble":
        np.testing.assert_array_equal(found["water"] == 1, likelihood >= 0.5)


@pytest.mark.parametrize("name", CLASSICAL)
def test_chunks_do_not_show(name, observation):
    whole = detector(name).detect(observation).compute()
    found = detector(name).detect(chunked(observation, (50, 33))).compute()
    xr.testing.assert_identical(found, whole)


@pytest.mark.parametrize("name", CLASSICAL)
def test_the_answer_is_lazy(name, observation):
    found = detector(name).detect(chunked(observation, (128, 128)))
    assert all(variable.chunks is not None for variable in found.data_vars.values())


@pytest.mark.parametrize("name", CLASSICAL)
@pytest.mark.parametrize("polarisation", ["vv", "vh"])
def test_one_polarisation_is_enough_or_said_not_to_be(name, polarisation, observation):
    alone = Observation(
        scene=observation.scene[[polarisation]],
        history=observation.history[[polarisation]],
        terrain=observation.terrain,
    )
    if name == "tuw-bayes" and polarisation == "vh":
        with pytest.raises(ContractError, match="co-polarised"):
            detector(name).detect(alone)
        return
    assert iou(detector(name).detect(alone)["water"].values == 1, WATER) > 0.7


@pytest.mark.parametrize("name", CLASSICAL)
def test_nothing_observed_gives_nothing(name):
    scene = scene_of(np.zeros((40, 50), dtype=bool))
    for layer in scene.data_vars.values():
        layer.values[:] = np.nan
    found = detector(name).detect(only(scene)).compute()
    assert (found["water"] == 255).all()
    assert found["likelihood"].isnull().all()
    assert (found["excluded"] == 0).all()


@pytest.mark.parametrize("name", CLASSICAL)
@pytest.mark.parametrize(
    ("level_db", "water"), [({"vv": -9.0, "vh": -15.0}, False), ({"vv": -21.0, "vh": -27.0}, True)]
)
def test_a_constant_image_is_land_or_water_by_its_level(name, level_db, water):
    scene = scene_of(np.zeros((40, 50), dtype=bool))
    for polarisation, level in level_db.items():
        scene[polarisation].values[:] = np.float32(10 ** (level / 10))
    share = float((detector(name).detect(only(scene))["water"] == 1).mean())
    assert share == (1.0 if water else 0.0)


@pytest.mark.parametrize("name", CLASSICAL)
def test_all_land_stays_nearly_empty_and_all_water_is_found(name):
    land = detector(name).detect(only(scene_of(np.zeros((130, 130), dtype=bool), seed=3)))
    assert float((land["water"] == 1).mean()) < 0.002
    water = detector(name).detect(only(scene_of(np.ones((130, 130), dtype=bool), seed=3)))
    assert float((water["water"] == 1).mean()) > 0.9


@pytest.mark.parametrize("name", CLASSICAL)
def test_one_pixel(name):
    found = detector(name).detect(only(scene_of(np.zeros((1, 1), dtype=bool)))).compute()
    assert found["water"].shape == (1, 1)
    assert found["water"].item() == 0


@pytest.mark.parametrize("name", CLASSICAL)
def test_infinite_and_missing_values_are_not_observed_and_harm_no_one(name, observation):
    scene = observation.scene.copy(deep=True)
    for layer in scene.data_vars.values():
        layer.values[80:90, 100:110] = np.inf
        layer.values[10:20, 150:180] = np.nan
    broken = Observation(scene=scene, history=observation.history, terrain=observation.terrain)
    found = detector(name).detect(broken).compute()
    assert (found["water"].values[80:90, 100:110] == 255).all()
    assert (found["water"].values[10:20, 150:180] == 255).all()
    elsewhere = found["water"].values != 255
    assert iou((found["water"].values == 1) & elsewhere, WATER & elsewhere) > 0.85


def test_detectors_that_compare_say_that_they_need_a_history():
    scene = scene_of(WATER)
    for name in CLASSICAL:
        if Need.HISTORY in detector(name).needs:
            with pytest.raises(ContractError, match="history"):
                detector(name).detect(Observation(scene=scene))


@pytest.mark.parametrize("name", CLASSICAL)
def test_amplitude_that_claims_to_be_power_breaks_the_contract_by_its_units(name):
    scene = scene_of(WATER)
    scene["vv"].attrs["units"] = "dB"
    with pytest.raises(ContractError, match="units"):
        detector(name).detect(only(scene))


EVERY = [found.name for found in detectors()]


@pytest.mark.parametrize("name", EVERY)
def test_decibels_that_claim_to_be_power_are_refused_and_not_mapped_as_water(name):
    water = river((64, 64))
    decibels = scene_of(water, seed=5).map(lambda power: 10 * np.log10(power), keep_attrs=True)
    with pytest.raises(OverbankError, match="decibel"):
        detector(name).detect(only(decibels)).compute()


def test_names_and_options_are_checked():
    assert detector().name == detector("default").name == DEFAULT_DETECTOR
    with pytest.raises(UnknownNameError, match="otsu"):
        detector("ostu")
    with pytest.raises(InputError, match="min_pixel"):
        detector("adaptive", {"min_pixel": 3})
    with pytest.raises(InputError, match="seed"):
        detector("adaptive", {"seed": 2})
    assert issubclass(UnknownNameError, OverbankError)


def test_names_are_unique_and_each_says_what_it_is():
    names = [found.name for found in detectors()]
    assert len(set(names)) == len(names)
    assert names[0] == DEFAULT_DETECTOR
    assert all(len(found.summary) > 20 for found in detectors())
