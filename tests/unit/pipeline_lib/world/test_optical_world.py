"""Simulated Sentinel-2: clouds where they are counted, water that looks like water, shadows away from the sun."""

import numpy as np
import pytest

from pipeline_lib.options.world import OpticalOptions, WorldOptions
from pipeline_lib.world.inundation import Truth
from pipeline_lib.world.land_cover import LandCover
from pipeline_lib.world.optical import BANDS, GSD_PX, block_mean
from pipeline_lib.world.simulate import make_land, optical_scenes


@pytest.fixture(scope="module")
def simulated():
    options = WorldOptions(seed=4, size=301)
    land = make_land(options)
    return options, land, list(optical_scenes(options, land))


def test_cloud_cover_is_what_was_asked(simulated):
    options, _, scenes = simulated
    for scene, share in zip(scenes, options.optical.cloud_cover, strict=True):
        assert scene.cloud.mean() == pytest.approx(share, abs=0.03)
        assert not (scene.cloud & scene.cloud_shadow).any()


def test_classification_finds_thick_cloud_and_misses_some_thin(simulated):
    _, _, scenes = simulated
    hazy = scenes[2]
    cloudy = hazy.scene_class >= 8
    share = block_mean(hazy.cloud.astype(np.float32), 2)
    assert not (cloudy & (share == 0)).any()
    missed = share[~cloudy].sum() / share.sum()
    assert 0.005 < missed < 0.15


def test_water_index_separates_open_water_under_clear_sky(simulated):
    _, _, scenes = simulated
    scene = scenes[3]
    clear = ~scene.cloud & ~scene.cloud_shadow
    green, swir = scene.reflectance(("B03", "B11"))
    mndwi = (green - swir) / (green + swir)
    truth = scene.inundation.truth
    water = clear & np.isin(truth, (Truth.REFERENCE_WATER, Truth.OPEN_FLOOD))
    dry = clear & (truth == Truth.DRY)
    assert (mndwi[water] > 0.2).mean() > 0.85
    assert (mndwi[dry] > 0.2).mean() < 0.02
    hidden = clear & (truth == Truth.FLOODED_VEGETATION)
    assert (mndwi[hidden] > 0.2).mean() < (mndwi[water] > 0.2).mean() - 0.2


def test_bands_have_their_own_pixels_and_plausible_reflectance(simulated):
    _, land, scenes = simulated
    scene = scenes[0]
    for name in BANDS:
        assert scene.bands[name].shape == (-(-301 // GSD_PX[name]),) * 2
        assert 0 <= scene.bands[name].min() < scene.bands[name].max() < 1.3
    assert scene.reflectance().shape == (12, 301, 301)
    clear = ~scene.cloud & ~scene.cloud_shadow
    red, nir = scene.reflectance(("B04", "B08"))
    ndvi = (nir - red) / (nir + red)
    mean = {code: ndvi[clear & (land.cover.classes == code)].mean() for code in LandCover}
    assert mean[LandCover.CROPS] > 0.6 > mean[LandCover.BARE] > 0
    assert mean[LandCover.RIVER] < 0


def test_shadow_falls_north_of_the_cloud():
    options = WorldOptions(seed=4, size=256, optical=OpticalOptions(cloud_cover=(0.02, 0, 0, 0)))
    land = make_land(options)
    first, second, *_ = list(optical_scenes(options, land))
    assert not second.cloud.any()
    rows, columns = np.nonzero(first.cloud)
    shade_rows, shade_columns = np.nonzero(first.cloud_shadow)
    # The field is periodic: compare on the circle.
    turn = lambda values: np.angle(np.exp(2j * np.pi * values / 256).mean()) * 256 / (2 * np.pi)  # noqa: E731
    north = np.mod(turn(rows) - turn(shade_rows) + 128, 256) - 128
    west = np.mod(turn(columns) - turn(shade_columns) + 128, 256) - 128
    assert north > 5
    assert 0 < west < north


def test_block_mean_is_the_mean_of_blocks():
    pixels = np.random.default_rng(0).random((7, 11)).astype(np.float32)
    found = block_mean(pixels, 3)
    padded = np.pad(pixels, ((0, 2), (0, 1)), mode="edge")
    expected = [[padded[r * 3 : r * 3 + 3, c * 3 : c * 3 + 3].mean() for c in range(4)] for r in range(3)]
    assert np.allclose(found, expected, atol=1e-6)
