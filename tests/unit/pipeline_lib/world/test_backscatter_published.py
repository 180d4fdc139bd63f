"""Means, spreads and slopes by class against the published values that the method dossier lists."""

import numpy as np
import pytest
import rasterio
from scipy.ndimage import binary_erosion

from pipeline_lib.model.acquisition import OrbitDirection
from pipeline_lib.options.world import RadarOptions, WorldOptions
from pipeline_lib.world.backscatter import BACKSCATTER
from pipeline_lib.world.inundation import Truth
from pipeline_lib.world.land_cover import LandCover
from pipeline_lib.world.simulate import simulate

PUBLISHED = {
    # class: VV range, VH range (sigma0 at 39 degrees, dB), slope range (dB per degree)
    LandCover.BARE: ((-13, -11), (-21, -18), (-0.15, -0.10)),
    LandCover.CROPS: ((-12, -9), (-18, -15), (-0.12, -0.08)),
    LandCover.GRASS: ((-12, -9), (-18, -15), (-0.12, -0.08)),
    LandCover.FOREST: ((-9, -7), (-15, -13), (-0.07, -0.03)),
    LandCover.TOWN: ((-7, -2), (-16, -10), (-0.05, 0.05)),
    LandCover.DARK_FIELD: ((-25, -17.5), (-28, -24), (-0.4, -0.1)),
    LandCover.SAND: ((-25, -18), (-28, -25), (-0.4, -0.1)),
    LandCover.TARMAC: ((-25, -18), (-28, -25), (-0.4, -0.1)),
}
BIAS_DB, SPECKLE_DB = -0.51, 2.19
"""Mean and spread of the logarithm of speckle of 4.4 looks."""


def world(ascending, descending):
    radar = RadarOptions(ascending_incidence_deg=ascending, descending_incidence_deg=descending, dry_passes_per_orbit=2)
    return simulate(WorldOptions(seed=3, size=448, radar=radar), with_optical=False)


@pytest.fixture(scope="module")
def simulated():
    return world(33.0, 43.0)


def sigma0(scene):
    flat = np.cos(np.radians(scene.geometry.incidence_deg))
    return {name: 10 * np.log10(getattr(scene, name) * flat) for name in ("vv", "vh")}


def dry_scenes(simulated, direction):
    start = simulated.options.flood_start
    return [one for one in simulated.radar if one.radar_pass.start < start and one.radar_pass.direction == direction]


def inside(simulated, scene, code):
    where = binary_erosion(simulated.land.cover.classes == code, iterations=2)
    return where & (scene.inundation.truth == Truth.DRY) & (scene.geometry.layover_shadow == 0) & scene.observed


def mean_db(simulated, direction, code):
    """Mean decibels of VV and VH without the bias of speckle, over the dry passes of an orbit."""
    found = [
        [sigma0(scene)[name][inside(simulated, scene, code)].mean() - BIAS_DB for name in ("vv", "vh")]
        for scene in dry_scenes(simulated, direction)
    ]
    return np.mean(found, axis=0)


@pytest.mark.parametrize("code", PUBLISHED, ids=lambda code: code.name.lower())
def test_dry_land_means_and_slopes_are_published_ones(simulated, code):
    vv, vh, slope = PUBLISHED[code]
    near, far = (mean_db(simulated, direction, code) for direction in OrbitDirection)
    at_39 = near + (far - near) * 6 / 10
    # Dates differ by soil moisture of 0.5 dB (1 sigma); towns by the way their fronts face.
    assert vv[0] - 0.6 <= at_39[0] <= vv[1] + 0.6
    assert vh[0] - 0.6 <= at_39[1] <= vh[1] + 0.6
    assert slope[0] <= BACKSCATTER[code].slope_db_per_deg <= slope[1]
    moisture = 0.15 if code in (LandCover.BARE, LandCover.CROPS, LandCover.GRASS, LandCover.DARK_FIELD) else 0.06
    counted = inside(simulated, simulated.radar[0], code).sum()
    assert counted > 30
    # The noise floor flattens what is dark; small classes have few independent pixels (4 correlated, 4 dates).
    dark = 0.08 if at_39[0] < -17 else 0.0
    doubt = moisture + dark + 3 * 3.0 / np.sqrt(counted / 4 * 2) / 10
    assert (far - near)[0] / 10 == pytest.approx(BACKSCATTER[code].slope_db_per_deg, abs=doubt)


def water(simulated, scene):
    truth = scene.inundation.truth
    return binary_erosion(np.isin(truth, (Truth.REFERENCE_WATER, Truth.OPEN_FLOOD)), iterations=3) & scene.observed


def test_calm_water_follows_the_published_regression(simulated):
    for direction in OrbitDirection:
        scenes = [
            one
            for one in simulated.radar
            if one.radar_pass.direction == direction and not one.radar_pass.windy and water(simulated, one).sum() > 2000
        ]
        assert scenes
        values = np.concatenate([sigma0(one)["vv"][water(simulated, one)] for one in scenes])
        theta = simulated.land.geometry[direction].incidence_deg.mean()
        assert values.mean() - BIAS_DB == pytest.approx(-0.394 * theta - 4.142, abs=0.9)
        assert values.std() == pytest.approx(2.75, abs=0.4)
        vh = np.concatenate([sigma0(one)["vh"][water(simulated, one)] for one in scenes])
        assert -28 <= vh.mean() - BIAS_DB <= -24.5


def test_wind_roughens_water_in_vv_more_than_in_vh(simulated):
    windy = next(one for one in simulated.radar if one.radar_pass.windy)
    calm = next(one for one in simulated.radar if one.radar_pass.start > simulated.options.flood_start)
    assert calm.radar_pass.direction == windy.radar_pass.direction
    both = water(simulated, windy) & water(simulated, calm)
    rise = {name: (sigma0(windy)[name] - sigma0(calm)[name])[both].mean() for name in ("vv", "vh")}
    assert 3 <= rise["vv"] <= 10
    assert 0 <= rise["vh"] <= 4
    assert rise["vh"] < rise["vv"]


def test_flooded_vegetation_and_town_brighten_in_vv(simulated):
    peak = max(simulated.radar, key=lambda one: int((one.inundation.truth >= 2).sum()))
    before = dry_scenes(simulated, peak.radar_pass.direction)
    mean = {name: 10 * np.log10(np.mean([getattr(one, name) for one in before], axis=0)) for name in ("vv", "vh")}
    now = {name: 10 * np.log10(getattr(peak, name)) - BIAS_DB for name in ("vv", "vh")}
    rise = {
        (code, name): (now[name] - mean[name])[peak.inundation.truth == code].mean()
        for code in (Truth.FLOODED_VEGETATION, Truth.FLOODED_TOWN)
        for name in ("vv", "vh")
    }
    assert 2 <= rise[Truth.FLOODED_VEGETATION, "vv"] <= 6
    assert abs(rise[Truth.FLOODED_VEGETATION, "vh"]) <= 1.3
    assert 0.5 <= rise[Truth.FLOODED_TOWN, "vv"] <= 6
    assert rise[Truth.FLOODED_TOWN, "vh"] < rise[Truth.FLOODED_TOWN, "vv"]


def test_spread_of_land_is_speckle_and_published_texture(simulated):
    for code, low, high in ((LandCover.FOREST, 2.2, 2.8), (LandCover.CROPS, 2.3, 3.0), (LandCover.TOWN, 3.2, 6.0)):
        scene = dry_scenes(simulated, OrbitDirection.ASCENDING)[0]
        spread = sigma0(scene)["vv"][inside(simulated, scene, code)].std()
        assert low <= spread <= high, code.name
        assert spread > SPECKLE_DB


def test_looks_measured_on_forest_are_4_4():
    radar = RadarOptions(dry_passes_per_orbit=5)
    scenes = simulate(WorldOptions(seed=3, size=256, forest_share=0.6, radar=radar), with_optical=False)
    one, other = dry_scenes(scenes, OrbitDirection.ASCENDING)[:2]
    where = inside(scenes, one, LandCover.FOREST)
    # The ratio of two dates cancels texture: the variance of its logarithm is twice that of one speckle.
    ratio = np.log(one.vh[where] / other.vh[where])
    wobble = 2 * (0.45 * 0.7 / 4.343) ** 2
    variance = (ratio.var() - wobble) / 2
    looks = np.linspace(2, 10, 4001)
    from scipy.special import polygamma

    assert looks[np.argmin(abs(polygamma(1, looks) - variance))] == pytest.approx(4.4, abs=0.25)


def test_shadow_holds_noise_alone_and_layover_is_bright(simulated):
    scene = dry_scenes(simulated, OrbitDirection.DESCENDING)[0]
    codes = scene.geometry.layover_shadow
    shadow = binary_erosion((codes & 1) > 0, iterations=1)
    assert shadow.sum() > 20
    assert sigma0(scene)["vv"][shadow].mean() < -20
    forest = simulated.land.cover.classes == LandCover.FOREST
    folded = ((codes & 2) > 0) & ((codes & 1) == 0) & forest
    assert sigma0(scene)["vv"][folded].mean() > sigma0(scene)["vv"][forest & (codes == 0)].mean() + 1.0


def test_noise_floor_is_never_undercut(simulated):
    floor = 10 ** (simulated.options.radar.noise_floor_db / 10)
    means = [np.nanmean(one.vh[water(simulated, one)]) for one in simulated.radar]
    assert min(means) > floor


def correlation_on_even_land(power):
    """Correlation of neighbours and second neighbours in the most homogeneous windows of 16 pixels."""
    rows, columns = (side // 16 * 16 for side in power.shape)
    windows = power[:rows, :columns].reshape(rows // 16, 16, columns // 16, 16).swapaxes(1, 2).reshape(-1, 16, 16)
    windows = windows[np.isfinite(windows).all((1, 2)) & (windows.mean((1, 2)) > 10**-1.4)]
    spread = windows.std((1, 2)) / windows.mean((1, 2))
    even = windows[spread < np.quantile(spread, 0.2)]
    centred = even / even.mean((1, 2), keepdims=True) - 1
    return [(centred[:, :, :-lag] * centred[:, :, lag:]).mean() / (centred**2).mean() for lag in (1, 2)]


def test_speckle_correlates_as_in_real_scenes(simulated, real_data):
    real = []
    for path in sorted((real_data / "sen1floods11/S1Hand").glob("*.tif")):
        with rasterio.open(path) as opened:
            decibels = opened.read(1)
        if np.isfinite(decibels).all():
            real.append(correlation_on_even_land(10 ** (decibels.astype(float) / 10)))
    assert len(real) >= 4
    first, second = correlation_on_even_land(simulated.radar[0].vv.astype(float))
    assert first == pytest.approx(np.median(real, axis=0)[0], abs=0.1)
    assert min(pair[1] for pair in real) - 0.05 < second < np.median(real, axis=0)[1] + 0.05
