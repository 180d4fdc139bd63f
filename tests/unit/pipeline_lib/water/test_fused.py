"""The network and the adaptive detector pooled."""

import json

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.errors import ModelError
from pipeline_lib.options.learned import FusedOptions, LearnedOptions
from pipeline_lib.water import Observation, detector
from pipeline_lib.water.fused import pooled
from pipeline_lib.water.learned import doubt_percent

shares = st.floats(0.0, 1.0)
probabilities = st.floats(0.001, 0.999)


def one(value: float) -> np.ndarray:
    return np.full((1, 1), value, np.float32)


@given(probabilities, probabilities, shares)
def test_the_pool_lies_between_its_experts_and_is_symmetric(p: float, q: float, share: float) -> None:
    found = float(pooled(one(p), one(q), share)[0, 0])
    assert min(p, q) - 1e-4 <= found <= max(p, q) + 1e-4
    assert found == pytest.approx(float(pooled(one(q), one(p), 1 - share)[0, 0]), abs=1e-5)
    assert 1 - found == pytest.approx(float(pooled(one(1 - p), one(1 - q), share)[0, 0]), abs=1e-4)


def test_equal_weights_are_the_geometric_mean_of_the_odds() -> None:
    odds = np.sqrt((0.9 / 0.1) * (0.4 / 0.6))
    assert float(pooled(one(0.9), one(0.4), 0.5)[0, 0]) == pytest.approx(odds / (1 + odds), abs=1e-6)


def test_who_sees_nothing_has_no_say() -> None:
    assert float(pooled(one(np.nan), one(0.3), 0.5)[0, 0]) == pytest.approx(0.3, abs=1e-5)
    assert float(pooled(one(0.7), one(np.nan), 0.5)[0, 0]) == pytest.approx(0.7, abs=1e-5)
    assert np.isnan(pooled(one(np.nan), one(np.nan), 0.5)).all()


def test_doubt_is_the_probability_of_the_less_likely_class() -> None:
    found = doubt_percent(np.array([0.5, 0.0, 1.0, 0.11, 0.7, np.nan], np.float32))
    assert found.tolist() == [50, 0, 0, 11, 30, 255]


@pytest.fixture(scope="module")
def scene() -> xr.Dataset:
    rng = np.random.default_rng(2)
    shape = (96, 128)
    land, water = {"vv": 0.09, "vh": 0.018}, {"vv": 0.006, "vh": 0.0016}
    wet = np.zeros(shape, bool)
    wet[20:76, 30:90] = True
    power = {p: (rng.gamma(4.4, 1 / 4.4, shape) * np.where(wet, water[p], land[p])).astype(np.float32) for p in land}
    for plane in power.values():
        plane[:, :6] = np.nan
    data = {p: (("y", "x"), plane, {"units": "1"}) for p, plane in power.items()}
    return xr.Dataset(data, attrs={"backscatter": "gamma0"})


def names(extent: xr.Dataset) -> list[str]:
    return [json.loads(one)["name"] for one in extent.attrs.get("networks", ())]


def test_one_extent_from_both_and_from_one_where_the_network_cannot_read(scene) -> None:
    found = detector("fused", {"backend": "cpu", "tile_px": 128})
    extent = found.detect(Observation(scene=scene)).compute()
    assert (extent["water"][24:72, 34:86] == 1).mean() > 0.97
    assert (extent["water"][:14, 8:] == 0).mean() > 0.97
    assert (extent["water"][:, :6] == 255).all()
    assert (extent["uncertainty"][:, :6] == 255).all()
    assert extent["uncertainty"][30:60, 40:80].mean() < 15
    assert names(extent) == [LearnedOptions().without_history]  # there are no reference passes
    alone = found.detect(Observation(scene=scene[["vh"]])).compute()
    assert "adaptive detector alone" in alone.attrs["notes"][-1]
    assert names(alone) == []


def test_the_network_with_all_the_weight_is_the_learned_detector(scene) -> None:
    options = {"backend": "cpu", "tile_px": 128}
    fused = detector("fused", options | {"network_share": 1.0}).detect(Observation(scene=scene))["water"].compute()
    learned = detector("learned", options).detect(Observation(scene=scene))["water"].compute()
    assert (fused == learned).all()
    assert FusedOptions().network_share == 0.6


def test_members_are_averaged_and_one_that_compares_sits_out_without_references(scene) -> None:
    options = {"backend": "cpu", "tile_px": 128, "model": "shipped_post_event", "threshold": 0.5}
    alone = detector("learned", options).detect(Observation(scene=scene)).compute()
    two = detector("learned", options | {"members": ["shipped_pre_post_event"]})
    sitting_out = two.detect(Observation(scene=scene)).compute()
    xr.testing.assert_equal(sitting_out, alone)
    history = xr.concat([scene.clip(min=0.01)] * 2, dim="time")
    both = two.detect(Observation(scene=scene, history=history)).compute()
    assert names(both) == ["shipped_post_event", "shipped_pre_post_event"]
    assert both["disagreement"].isnull().equals(both["water"] == 255)
    assert 0 < float(both["disagreement"].max()) <= np.log(2)
    other = detector("learned", options | {"model": "shipped_pre_post_event"})
    second = other.detect(Observation(scene=scene, history=history)).compute()
    mean = (alone["likelihood"].astype(float) + second["likelihood"]) / 2
    seen = both["water"] != 255
    np.testing.assert_allclose(both["likelihood"].to_numpy()[seen], mean.to_numpy()[seen], atol=1e-5)


def test_draws_of_a_model_without_dropout_are_refused(scene) -> None:
    with pytest.raises(ModelError, match="without any"):
        detector("fused", {"backend": "auto", "dropout_draws": 3}).detect(Observation(scene=scene))
