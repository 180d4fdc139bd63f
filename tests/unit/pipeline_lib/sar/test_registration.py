"""Known shifts are found, changed water makes none, and nothing is moved unless it is sure."""

import dask.array as da
import numpy as np
import pytest
import rasterio
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from pipeline_lib.errors import GridMismatchError
from pipeline_lib.optical.cloud import clear_by_scene_class
from pipeline_lib.options.world import WorldOptions
from pipeline_lib.sar.correlation import FINE_PX, best_shift, gradient, masked_correlation, smooth, structure
from pipeline_lib.sar.matching import Matched, _matched, _windows
from pipeline_lib.sar.registration import ShiftEstimate, co_registered, moved, shift_between, shift_to_optical
from pipeline_lib.world.optical import BANDS
from pipeline_lib.world.simulate import simulate

WATER_BANDS = ("B03", "B04", "B08", "B11")


def twin(fixed, moving, usable, reach):
    """Correlation over the pixels usable in both, for each shift, as numpy.corrcoef has it."""
    out = np.empty((2 * reach + 1,) * 2)
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            pairs = [
                (fixed[i, j], moving[i + dy, j + dx])
                for i, j in np.argwhere(usable)
                if 0 <= i + dy < usable.shape[0] and 0 <= j + dx < usable.shape[1] and usable[i + dy, j + dx]
            ]
            out[reach + dy, reach + dx] = np.corrcoef(np.array(pairs).T)[0, 1]
    return out


@given(seed=st.integers(0, 99))
def test_masked_correlation_is_the_literal_twin(seed):
    generator = np.random.default_rng(seed)
    fixed, moving = generator.normal(5, 2, (2, 34, 37))
    usable = generator.random((34, 37)) < 0.92
    got = masked_correlation(fixed, moving, usable, 2)
    assert np.allclose(got, twin(fixed, moving, usable, 2), atol=1e-9)


def test_too_little_or_flat_is_unknown():
    image = np.random.default_rng(0).normal(size=(40, 40))
    few = np.zeros((40, 40), bool)
    few[:10, :20] = True
    assert np.isnan(masked_correlation(image, image, few, 3)).all()
    assert np.isnan(masked_correlation(np.ones((40, 40)), image, np.ones((40, 40), bool), 3)).all()


def test_features_of_the_image_are_those_of_each_window_alone():
    generator = np.random.default_rng(3)
    one, other = (xr.Dataset({"vv": (("y", "x"), generator.gamma(4, 0.01, (400, 300)).astype("f4"))}) for _ in range(2))
    one["vv"][150:190, 20:90] = np.nan

    def features(first, second):
        return Matched(((structure(first["vv"]), gradient(second["vv"])),), (smooth(first["vv"], 2 * FINE_PX),))

    windows = _windows((400, 300), 8, 64)
    together = list(_matched(one, other, features, windows))
    assert len(together) == len(windows) == 20
    for (core, (pairs, contrast), observed), window in zip(together, windows, strict=True):
        ((_, (pairs_alone, contrast_alone), observed_alone),) = _matched(one, other, features, [window])
        assert np.array_equal(observed, observed_alone)
        for a, b in zip((*pairs[0], *contrast), (*pairs_alone[0], *contrast_alone), strict=True):
            assert np.allclose(a[core], b[core], rtol=1e-4, atol=1e-7, equal_nan=True)


@given(dy=st.floats(-5, 5), dx=st.floats(-5, 5))
def test_the_peak_of_a_known_surface_is_found(dy, dx):
    y, x = np.mgrid[-8:9, -8:9]
    surface = np.exp(-((y - dy) ** 2 + (x - dx) ** 2) / 8)
    found_dy, found_dx, height, inside = best_shift(surface)
    assert np.hypot(found_dy - dy, found_dx - dx) < 0.05
    assert height == pytest.approx(1, abs=0.01)
    assert inside


def test_a_peak_on_the_rim_is_no_peak():
    y, _ = np.mgrid[-8:9, -8:9]
    assert best_shift(-((y - 20.0) ** 2))[3] is False


def shifted(scene: xr.Dataset, by) -> xr.Dataset:
    """The scene moved by (dy, dx) with a cubic spline: content at (y, x) goes to (y + dy, x + dx)."""
    layers = {}
    for name, layer in scene.items():
        filled = ndimage.shift(np.nan_to_num(layer.to_numpy(), nan=0.01), by, order=3, mode="nearest")
        gone = ndimage.shift(np.isnan(layer.to_numpy()).astype("u1"), by, order=0, mode="nearest") > 0
        layers[name] = np.where(gone, np.nan, filled.clip(1e-5)).astype("f4")
    return scene.copy(data=layers)


def error(estimate: ShiftEstimate, by, base=(0.0, 0.0)) -> float:
    return float(np.hypot(estimate.dy_px - base[0] - by[0], estimate.dx_px - base[1] - by[1]))


@pytest.fixture(scope="module")
def world():
    """Flood passes with their dry reference of the same orbit, and a clear optical overpass before."""
    simulated = simulate(WorldOptions(size=256, seed=11))
    start = simulated.options.flood_start
    pairs = []
    for orbit in sorted({scene.radar_pass.relative_orbit for scene in simulated.radar}):
        passes = [scene for scene in simulated.radar if scene.radar_pass.relative_orbit == orbit]
        layers = [xr.Dataset({"vv": (("y", "x"), one.vv), "vh": (("y", "x"), one.vh)}) for one in passes]
        dry = [layer for one, layer in zip(passes, layers, strict=True) if one.radar_pass.start < start]
        reference = sum(dry[1:4], start=dry[0]) / min(4, len(dry))
        pairs += [
            (layer, reference) for one, layer in zip(passes, layers, strict=True) if one.radar_pass.start >= start
        ]
    overpass = simulated.optical[0]
    reflectance = overpass.reflectance()
    optical = xr.Dataset({band: (("y", "x"), reflectance[BANDS.index(band)]) for band in WATER_BANDS})
    times = optical.sizes["y"] // overpass.scene_class.shape[0]
    optical["SCL"] = ("y", "x"), np.kron(overpass.scene_class, np.ones((times, times), np.uint8))
    clear = clear_by_scene_class(optical)
    return pairs, optical.drop_vars("SCL").where(clear)


def test_changed_water_is_no_shift(world):
    pairs, _ = world
    assert len(pairs) >= 3
    lengths = []
    for scene, reference in pairs:
        same, estimate = co_registered(scene, reference, name="dry")
        assert same is scene
        assert not estimate.corrected
        assert estimate.reference == "dry"
        lengths.append(estimate.length_px)
    assert np.median(lengths) <= 0.2
    assert max(lengths) < 0.4  # wet snow over a third of one pass


def test_known_shifts_between_passes_are_found_and_corrected(world):
    pairs, _ = world
    generator = np.random.default_rng(1)
    errors = []
    for scene, reference in pairs:
        by = generator.uniform(0.6, 3, 2) * generator.choice([-1, 1], 2)
        fixed, estimate = co_registered(shifted(scene, by), reference)
        errors.append(error(estimate, by))
        assert estimate.corrected
        assert estimate.confidence >= 0.9
        assert shift_between(fixed, reference).length_px < 0.3
    assert np.median(errors) <= 0.2
    assert max(errors) <= 0.4


def test_known_shifts_against_optical_are_found_though_water_rose(world):
    pairs, optical = world
    errors = []
    for (scene, _), by in zip(pairs, [(0.4, -1.3), (-2.2, 0.7), (1.6, 2.4)], strict=False):
        estimate = shift_to_optical(shifted(scene, by), optical)
        errors.append(error(estimate, by))
    assert np.median(errors) <= 0.2


def test_a_flood_over_half_of_the_scene_is_no_shift():
    generator = np.random.default_rng(4)
    ground = 0.1 * np.exp(ndimage.gaussian_filter(generator.normal(0, 8, (400, 420)), 4))
    flood = np.zeros(ground.shape, bool)
    flood[150:360, 60:] = True

    def seen(power):
        speckle = generator.gamma(4.4, 1 / 4.4, (2, *power.shape))
        return xr.Dataset(
            {name: (("y", "x"), (power * s).astype("f4")) for name, s in zip(("vv", "vh"), speckle, strict=True)}
        )

    reference, scene = seen(ground), seen(np.where(flood, 0.004, ground))
    _, estimate = co_registered(scene, reference)
    assert estimate.length_px < 0.2
    _, estimate = co_registered(shifted(scene, (1.4, -0.9)), reference)
    assert estimate.corrected
    assert error(estimate, (1.4, -0.9)) < 0.3


def test_nothing_in_common_is_never_sure():
    generator = np.random.default_rng(5)
    noise = [xr.Dataset({"vv": (("y", "x"), generator.gamma(4.4, 0.02, (300, 310)).astype("f4"))}) for _ in range(2)]
    same, estimate = co_registered(*noise)
    assert same is noise[0]
    assert estimate.confidence < 0.9
    empty = noise[0].where(noise[0] < 0)
    assert shift_between(empty, noise[1]).blocks == 0
    assert not shift_between(empty, noise[1]).is_sure()


def test_what_cannot_be_compared_is_refused():
    scene = xr.Dataset({"vv": (("y", "x"), np.ones((40, 40), "f4"))})
    with pytest.raises(GridMismatchError, match="share no polarisation"):
        shift_between(scene, scene.rename(vv="hh"))
    with pytest.raises(GridMismatchError, match="has \\(40, 40\\) pixels"):
        shift_between(scene, scene.isel(y=slice(30)))


def estimate_of(dy, dx) -> ShiftEstimate:
    return ShiftEstimate(reference="", dy_px=dy, dx_px=dx, confidence=1, spread_px=0, correlation=1, blocks=9)


@given(dy=st.floats(-4, 4), dx=st.floats(-4, 4), rows=st.integers(9, 60), seed=st.integers(0, 9))
def test_moved_is_the_same_for_any_chunking(dy, dx, rows, seed):
    generator = np.random.default_rng(seed)
    power = generator.gamma(4.4, 0.02, (50, 60)).astype("f4")
    power[generator.random((50, 60)) < 0.05] = np.nan
    flags = generator.integers(0, 3, (50, 60)).astype("u1")
    plain = xr.Dataset({"vv": (("y", "x"), power), "layover_shadow": (("y", "x"), flags)})
    lazy = plain.chunk(y=rows, x=25)
    for name in plain:
        got = moved(lazy, estimate_of(dy, dx))[name]
        assert got.dtype == plain[name].dtype
        expected = moved(plain, estimate_of(dy, dx))[name].to_numpy()
        assert np.allclose(got.compute(), expected, rtol=1e-5, equal_nan=True)


@given(dy=st.integers(-4, 4), dx=st.integers(-4, 4))
def test_whole_pixels_are_moved_exactly_and_edges_become_unknown(dy, dx):
    power = np.random.default_rng(0).gamma(4.4, 0.02, (30, 31)).astype("f4")
    power[10, 12] = np.nan
    got = moved(xr.Dataset({"vv": (("y", "x"), power)}), estimate_of(dy, dx))["vv"].to_numpy()
    for i, j in np.ndindex(power.shape):
        inside = 0 <= i + dy < 30 and 0 <= j + dx < 31
        expected = power[i + dy, j + dx] if inside else np.nan
        assert np.array_equal(got[i, j], expected, equal_nan=True) or np.isclose(got[i, j], expected)


def test_lazy_scenes_give_the_same_estimate():
    generator = np.random.default_rng(6)
    ground = 0.1 * np.exp(ndimage.gaussian_filter(generator.normal(0, 8, (220, 240)), 4))
    scene, reference = (
        xr.Dataset({"vv": (("y", "x"), (ground * generator.gamma(4.4, 1 / 4.4, ground.shape)).astype("f4"))})
        for _ in range(2)
    )
    lazy = scene.copy(data={"vv": da.from_array(scene["vv"].to_numpy(), chunks=(64, 100))})
    made = []

    def made_once(block, block_info=None):
        made.append(block_info[0]["chunk-location"])
        return block

    counted = lazy.copy(data={"vv": lazy["vv"].data.map_blocks(made_once, dtype="f4", meta=np.empty((0, 0), "f4"))})
    made.clear()
    assert shift_between(counted, reference.chunk(y=50)) == shift_between(scene, reference)
    assert len(made) == len(set(made)) > 0  # overlapping windows share the chunks they need


@pytest.mark.slow
def test_known_shifts_put_into_real_pairs_are_found(real_data):
    folder = real_data / "terramind_examples" / "examples"
    files = sorted((folder / "S1RTC").glob("*.tif"))
    assert len(files) == 5
    names = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
    generator = np.random.default_rng(0)
    errors, sure = [], []
    for file in files:
        with rasterio.open(file) as dataset:
            power = 10 ** (dataset.read().astype("f4") / 10)
        with rasterio.open(folder / "S2L2A" / file.name) as dataset:
            reflectance = dataset.read().astype("f4") / 10_000
        scene = xr.Dataset({name: (("y", "x"), power[n]) for n, name in enumerate(("vv", "vh"))})
        optical = xr.Dataset(
            {name: (("y", "x"), reflectance[n]) for n, name in enumerate(names) if name in WATER_BANDS}
        )
        base = shift_to_optical(scene, optical)  # trees and houses lean towards the radar: not zero, but constant
        for by in generator.uniform(-3, 3, (2, 2)):
            estimate = shift_to_optical(shifted(scene, by), optical)
            errors.append(error(estimate, by, (base.dy_px, base.dx_px)))
            if estimate.is_sure() and base.confidence >= 0.9:
                sure.append(errors[-1])
    assert np.median(errors) <= 0.2
    assert len(sure) >= 6
    assert max(sure) <= 0.3
