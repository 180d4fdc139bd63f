"""Indices against their formulas; optical water against the simulated truth and the clouds."""

import numpy as np
import pytest
import rasterio
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.errors import ContractError
from pipeline_lib.optical.cloud import clear_by_scene_class
from pipeline_lib.optical.water import optical_water
from pipeline_lib.optical.water_index import awei_nsh, mndwi, ndvi, ndwi
from pipeline_lib.options.world import WorldOptions
from pipeline_lib.world.optical import BANDS
from pipeline_lib.world.simulate import simulate
from pipeline_lib.world.truth import Truth

LAKE = {"B02": 0.05, "B03": 0.06, "B04": 0.04, "B08": 0.02, "B11": 0.01, "B12": 0.01}
CROP = {"B02": 0.03, "B03": 0.06, "B04": 0.04, "B08": 0.40, "B11": 0.20, "B12": 0.10}
TOWN = {"B02": 0.12, "B03": 0.14, "B04": 0.16, "B08": 0.20, "B11": 0.22, "B12": 0.20}


def pixel(values) -> xr.Dataset:
    return xr.Dataset({band: (("y", "x"), np.full((2, 2), value, "f4")) for band, value in values.items()})


@given(st.lists(st.floats(0.001, 0.9), min_size=6, max_size=6))
def test_formulas(values):
    _, b03, b04, b08, b11, b12 = values
    dataset = pixel(dict(zip(LAKE, values, strict=True)))
    for index, expected in (
        (ndwi, (b03 - b08) / (b03 + b08)),
        (mndwi, (b03 - b11) / (b03 + b11)),
        (ndvi, (b08 - b04) / (b08 + b04)),
        (awei_nsh, 4 * (b03 - b11) - (0.25 * b08 + 2.75 * b12)),
    ):
        got = index(dataset)
        assert got.dtype == "float32"
        assert np.allclose(got, expected, atol=1e-5)


@given(st.floats(-0.25, 1), st.floats(-0.25, 1))
def test_normalised_differences_stay_within_one_even_for_negative_reflectance(green, other):
    for index, band in ((ndwi, "B08"), (mndwi, "B11")):
        value = float(index(pixel({"B03": green, band: other}))[0, 0])
        assert -1 <= value <= 1
        assert np.sign(value) == np.sign(max(green, 1e-4) - max(other, 1e-4)) or abs(value) < 1e-3


def test_water_is_water_and_land_is_land():
    for values, water in ((LAKE, 1), (CROP, 0), (TOWN, 0)):
        dataset = pixel(values)
        clear = xr.ones_like(dataset["B03"], dtype=bool)
        clear[0, 0] = False
        got = optical_water(dataset, clear)
        assert got.dtype == "uint8"
        assert got.to_numpy().tolist() == [[255, water], [water, water]]


def test_nan_is_not_observed():
    dataset = pixel(LAKE)
    dataset["B11"][0, 1] = np.nan
    got = optical_water(dataset, xr.ones_like(dataset["B03"], dtype=bool))
    assert got.to_numpy().tolist() == [[1, 255], [1, 1]]


def test_a_missing_band_is_named():
    with pytest.raises(ContractError, match="missing: B08; the dataset holds B03"):
        ndwi(pixel({"B03": 0.1}))


@pytest.fixture(scope="module")
def world():
    return simulate(WorldOptions(size=256, seed=5))


def test_simulated_open_water_is_found_and_clouds_are_not_observed(world):
    compared = 0
    for scene in world.optical:
        reflectance = scene.reflectance()
        dataset = xr.Dataset({band: (("y", "x"), reflectance[n]) for n, band in enumerate(BANDS)})
        size = scene.scene_class.shape[0]
        dataset["SCL"] = ("y", "x"), np.kron(scene.scene_class, np.ones((256 // size,) * 2, np.uint8))
        clear = clear_by_scene_class(dataset)
        water = optical_water(dataset, clear).to_numpy()
        truth = scene.inundation.truth
        seen = water != 255
        assert seen[scene.cloud].mean() < 0.25
        if seen.mean() < 0.05:
            continue
        open_water = np.isin(truth, (Truth.REFERENCE_WATER, Truth.OPEN_FLOOD))
        sure = seen & ~scene.cloud & ~scene.cloud_shadow & np.isin(truth, (Truth.DRY, *np.unique(truth[open_water])))
        if (sure & open_water).sum() < 200:
            continue
        hits = ((water == 1) & open_water & sure).sum()
        union = (((water == 1) | open_water) & sure).sum()
        compared += 1
        assert hits / union > 0.7, scene.optical_pass
    assert compared >= 2


def test_real_spain_chip_beats_a_random_guess(real_data):
    image = real_data / "sen1floods11" / "S2Hand" / "Spain_7370579_S2Hand.tif"
    if not image.exists():
        pytest.skip(f"no real Sentinel-2 chip: {image} is not there")
    with rasterio.open(image) as dataset:
        values = dataset.read().astype("f4") / 10_000
    with rasterio.open(next((image.parents[1] / "LabelHand").glob("Spain_7370579*"))) as dataset:
        label = dataset.read(1)
    names = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
    scene = xr.Dataset({name: (("y", "x"), values[n]) for n, name in enumerate(names)})
    water = optical_water(scene, xr.ones_like(scene["B03"], dtype=bool)).to_numpy()
    known = label >= 0
    iou = ((water == 1) & (label == 1) & known).sum() / (((water == 1) | (label == 1)) & known).sum()
    assert iou > 0.5
