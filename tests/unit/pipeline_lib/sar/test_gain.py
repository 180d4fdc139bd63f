"""The gain between a pass and references of another make is found on ground that did not change, or is not claimed."""

import re

import numpy as np
import pytest
import xarray as xr

from pipeline_lib.sar.gain import measure_gain, without_gain

LOOKS = 4.4


@pytest.fixture
def ground(rng):
    """Mean power of fields and forest, and a lake."""
    vv = 10 ** (np.kron(rng.uniform(-12, -6, (18, 18)), np.ones((16, 16))) / 10)
    vv[:48, :48] = 10**-2.0
    return {"vv": vv, "vh": vv / 5}


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def seen(rng, ground, gain_db=0.0):
    speckle = {name: rng.gamma(LOOKS, 1 / LOOKS, power.shape) for name, power in ground.items()}
    return {name: (power * speckle[name] * 10 ** (gain_db / 10)).astype("float32") for name, power in ground.items()}


def scene_of(layers):
    return xr.Dataset({name: (("y", "x"), power, {"units": "1"}) for name, power in layers.items()}).chunk(y=100, x=90)


def history_of(rng, ground, number=5):
    return xr.concat([scene_of(seen(rng, ground)) for _ in range(number)], dim="time")


@pytest.mark.parametrize("gain", [-0.7, 0.0, 1.3])
@pytest.mark.parametrize("number", [1, 5])
def test_the_gain_is_found_and_taken_off_though_a_third_is_flooded(rng, ground, gain, number):
    flooded = {name: power.copy() for name, power in ground.items()}
    for power in flooded.values():
        power[192:] *= 10**-0.9
    scene, history = scene_of(seen(rng, flooded, gain)), history_of(rng, ground, number)
    estimate = measure_gain(scene, history, references="RTC of x")
    assert estimate.reason == ""
    assert estimate.gain_db == pytest.approx({"vv": gain, "vh": gain}, abs=0.1)
    level = without_gain(scene, estimate)
    dry = level.vv[48:192, 48:]
    assert 10 * np.log10(dry.mean() / ground["vv"][48:192, 48:].mean()) == pytest.approx(0, abs=0.1)
    assert level.vv.attrs == {"units": "1"}
    assert level.vv.dtype == np.float32


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda scene: scene * np.float32(10**0.5), r"VV differs by \+5.0 dB"),
        (lambda scene: scene.where(scene.x < 20), "cells of stable ground were found"),
        (lambda scene: scene.isel(x=slice(None, None, -1)), "spread by"),
    ],
)
def test_what_cannot_be_measured_is_said(rng, ground, change, reason):
    scene = change(scene_of(seen(rng, ground)))
    assert re.search(reason, measure_gain(scene, history_of(rng, ground), references="r").reason)


def test_ground_that_changes_from_reference_to_reference_does_not_count(rng, ground):
    """Half of the area is harvested between the references, and lies dark in the pass."""
    history = [seen(rng, ground) for _ in range(5)]
    for one in history[:2]:
        for power in one.values():
            power[:, 144:] *= 10**0.6
    scene = seen(rng, ground, 0.5)
    stacked = xr.concat([scene_of(one) for one in history], dim="time")
    assert measure_gain(scene_of(scene), stacked, references="r").gain_db == pytest.approx(
        {"vv": 0.5, "vh": 0.5}, abs=0.1
    )


def test_water_that_is_always_dark_and_stable_does_not_count(rng, ground):
    """Two thirds of the area are a lake that lies calm in every reference, and in wind in the pass."""
    for power in ground.values():
        power[:192] = 10**-2.4
    windy = {name: np.where(power == 10**-2.4, power * 10**0.25, power) for name, power in ground.items()}
    estimate = measure_gain(scene_of(seen(rng, windy, 0.5)), history_of(rng, ground), references="r")
    assert estimate.gain_db == pytest.approx({"vv": 0.5, "vh": 0.5}, abs=0.1)
