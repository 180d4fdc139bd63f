"""The segmenters as detectors: truth in a simulated lake, bad input, and chunks that do not show."""

import numpy as np
import pytest
import xarray as xr

from pipeline_lib.errors import ContractError
from pipeline_lib.model import check_water_extent
from pipeline_lib.water import Observation, detector

NAMES = ("clustering", "region-growing", "split-merge")


def scene(seed=0, size=160, *, water=True, bands=("vv", "vh"), looks=4.4):
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:size, :size]
    lake = ((row - size / 2) ** 2 + (column - size / 2) ** 2 < (size / 4) ** 2) & water
    level = {"vv": (-10.0, -19.0), "vh": (-17.0, -26.0)}
    planes = {
        name: 10 ** (np.where(lake, level[name][1], level[name][0]) / 10) * rng.gamma(looks, 1 / looks, lake.shape)
        for name in bands
    }
    return scene_of(planes), lake


def scene_of(planes):
    variables = {name: (("y", "x"), plane.astype(np.float32), {"units": "1"}) for name, plane in planes.items()}
    return xr.Dataset(variables, attrs={"backscatter": "gamma0"}).chunk()


FAST = {"clustering": {"clustering": {"sample": 2000}}}


def answer(name, dataset):
    extent = detector(name, FAST.get(name)).detect(Observation(scene=dataset))
    assert check_water_extent(extent) is extent
    return extent.compute()


@pytest.mark.parametrize("bands", [("vv", "vh"), ("vv",), ("vh",)])
@pytest.mark.parametrize("name", NAMES)
def test_a_lake_is_found_with_either_polarisation(name, bands):
    dataset, lake = scene(bands=bands)
    found = answer(name, dataset)["water"].to_numpy() == 1
    assert (found & lake).sum() / (found | lake).sum() > 0.9


@pytest.mark.parametrize("name", NAMES)
def test_land_alone_has_no_water(name):
    found = answer(name, scene(1, water=False)[0])
    assert (found["water"] == 1).mean() < 0.002


@pytest.mark.parametrize("name", NAMES)
def test_water_alone_is_water(name):
    rng = np.random.default_rng(2)
    planes = {n: 10 ** (db / 10) * rng.gamma(4.4, 1 / 4.4, (150, 150)) for n, db in (("vv", -19.5), ("vh", -26.5))}
    assert (answer(name, scene_of(planes))["water"] == 1).mean() > 0.9


@pytest.mark.parametrize("name", NAMES)
def test_class_and_likelihood_agree_and_no_data_stays_so(name):
    dataset, _ = scene(3)
    dataset = dataset.where(dataset["vv"].x > 20).assign_attrs(dataset.attrs)
    for band in dataset.data_vars:
        dataset[band].attrs["units"] = "1"
    found = answer(name, dataset)
    water, likelihood = found["water"].to_numpy(), found["likelihood"].to_numpy()
    assert (water[:, :21] == 255).all()
    assert np.isnan(likelihood[:, :21]).all()
    seen = water != 255
    np.testing.assert_array_equal(water[seen] == 1, likelihood[seen] >= 0.5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("value", "expected"), [(np.nan, 255), (0.1, 0), (0.002, 1), (0.0, 1)])
def test_constant_images(name, value, expected):
    planes = {"vv": np.full((40, 30), value), "vh": np.full((40, 30), value * 0.15)}
    assert (answer(name, scene_of(planes))["water"] == expected).all()


@pytest.mark.parametrize("name", NAMES)
def test_one_pixel_and_infinite_values(name):
    assert answer(name, scene_of({"vv": np.array([[0.1]])}))["water"].to_numpy()[0, 0] == 0
    dataset, lake = scene(4)
    values = {band: dataset[band].to_numpy().copy() for band in dataset.data_vars}
    values["vv"][0, 0], values["vh"][0, 0], values["vv"][5, 5] = np.inf, np.inf, -0.01
    found = answer(name, scene_of(values))["water"].to_numpy()
    assert found[0, 0] == 255
    assert ((found == 1) & lake).sum() > 0.9 * lake.sum()


@pytest.mark.parametrize("name", NAMES)
def test_chunks_do_not_show(name):
    dataset, _ = scene(5)
    one = answer(name, dataset)
    other = answer(name, dataset.chunk(y=37, x=61))
    np.testing.assert_array_equal(one["water"], other["water"])
    np.testing.assert_array_equal(one["likelihood"], other["likelihood"])


@pytest.mark.parametrize("name", NAMES)
def test_decibels_given_as_power_are_refused_or_mapped_as_nothing(name):
    planes = {"vv": np.full((30, 30), -10.0), "vh": np.full((30, 30), -17.0)}
    dataset = scene_of(planes)
    dataset["vv"].attrs["units"] = "dB"
    with pytest.raises(ContractError, match="units"):
        answer(name, dataset)
