"""Speckle filters against literal twins, against what speckle is known to do, and against any chunking."""

import dask.array as da
import numpy as np
import pytest
import rasterio
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.errors import InputError, UnknownNameError
from pipeline_lib.sar.speckle import FILTERS, filter_scene, gamma_map, lee, local_moments, multitemporal, refined_lee

LOOKS = 4.4


def speckled(shape=(40, 50), seed=0, holes=0, reflectivity=0.1, looks=LOOKS) -> np.ndarray:
    generator = np.random.default_rng(seed)
    image = (reflectivity * generator.gamma(looks, 1 / looks, shape)).astype("f4")
    image[..., generator.integers(0, shape[-2], holes), generator.integers(0, shape[-1], holes)] = np.nan
    return image


def looks_of_moments(power: np.ndarray) -> float:
    """Looks of even ground by their definition: mean squared over variance."""
    values = power[np.isfinite(power)].astype("f8")
    return values.mean() ** 2 / values.var(ddof=1)


def scene_of(image: np.ndarray, chunks=None) -> xr.Dataset:
    dims = ("time", "y", "x")[-image.ndim :]
    data = image if chunks is None else da.from_array(image, chunks=chunks)
    return xr.Dataset({"vv": (dims, data, {"units": "1"})}, attrs={"backscatter": "gamma0"})


def window_of(image, i, j, reach):
    part = image[max(0, i - reach) : i + reach + 1, max(0, j - reach) : j + reach + 1].astype("f8")
    return part[~np.isnan(part)]


def twin(image: np.ndarray, name: str, window: int = 7) -> np.ndarray:
    """The formulas of the papers, one pixel at a time."""
    out = np.full(image.shape, np.nan)
    for i, j in np.argwhere(~np.isnan(image)):
        x = float(image[i, j])
        values = half_window(image, i, j) if name == "refined_lee" else window_of(image, i, j, window // 2)
        mean, variance = values.mean(), values.var()
        if name == "gamma_map":
            cu, ci = 1 / np.sqrt(LOOKS), np.sqrt(variance) / mean
            if ci <= cu:
                out[i, j] = mean
            elif ci >= np.sqrt(2) * cu:
                out[i, j] = x
            else:
                alpha = (1 + cu**2) / (ci**2 - cu**2)
                b = alpha - LOOKS - 1
                out[i, j] = (b * mean + np.sqrt(mean**2 * b**2 + 4 * alpha * LOOKS * mean * x)) / (2 * alpha)
        else:
            signal = max(variance - mean**2 / LOOKS, 0) / (1 + 1 / LOOKS)
            out[i, j] = mean + (signal / variance if variance else 0) * (x - mean)
    return out


def half_window(image, i, j):
    """Pixels of the 7 x 7 window on the centre's side of its strongest edge (Lee 1981)."""
    centre = window_of(image, i, j, 1).mean()
    at = {}
    for p in (-1, 0, 1):
        for q in (-1, 0, 1):
            y, x = i + 2 * p, j + 2 * q
            inside = 0 <= y < image.shape[0] and 0 <= x < image.shape[1] and not np.isnan(image[y, x])
            at[p, q] = window_of(image, y, x, 1).mean() if inside else centre
    normals = [(0, -1), (-1, -1), (-1, 0), (-1, 1)]
    strength = [abs(sum(np.sign(p * dy + q * dx) * m for (p, q), m in at.items())) for dy, dx in normals]
    dy, dx = normals[int(np.argmax(np.round(strength, 9)))]
    if abs(at[0, 0] - at[dy, dx]) >= abs(at[0, 0] - at[-dy, -dx]):
        dy, dx = -dy, -dx
    picked = [
        image[i + p, j + q]
        for p in range(-3, 4)
        for q in range(-3, 4)
        if p * dy + q * dx >= 0 and 0 <= i + p < image.shape[0] and 0 <= j + q < image.shape[1]
    ]
    return np.array([value for value in picked if not np.isnan(value)], "f8")


@pytest.mark.parametrize("name", list(FILTERS))
@given(seed=st.integers(0, 99), holes=st.sampled_from([0, 30]))
def test_literal_twin(name, seed, holes):
    image = speckled((18, 21), seed, holes)
    image[:, 9:] *= 6
    got = FILTERS[name](image, looks=LOOKS)
    assert np.allclose(got, twin(image, name), rtol=1e-4, equal_nan=True)


@given(window=st.sampled_from([3, 5, 9]), seed=st.integers(0, 50))
def test_local_moments_are_those_of_the_valid_pixels(window, seed):
    image = speckled((15, 17), seed, holes=25)
    mean, variance = local_moments(image, window)
    for i, j in np.ndindex(image.shape):
        if np.isnan(image[i, j]):
            assert np.isnan(mean[i, j])
        else:
            values = window_of(image, i, j, window // 2)
            assert np.isclose(mean[i, j], values.mean(), rtol=1e-5)
            assert np.isclose(variance[i, j], values.var(), rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("name", [*FILTERS, "multitemporal"])
@given(rows=st.integers(9, 40), columns=st.integers(9, 50), seed=st.integers(0, 9))
def test_any_chunking_gives_the_same_bits(name, rows, columns, seed):
    image = speckled((3, 40, 50), seed, holes=60)
    plain = filter_scene(scene_of(image), name, looks=LOOKS)
    lazy = filter_scene(scene_of(image, (1, rows, columns)), name, looks=LOOKS)
    assert lazy["vv"].chunks == scene_of(image, (1, rows, columns))["vv"].chunks
    assert np.array_equal(plain["vv"], lazy["vv"].compute(), equal_nan=True)


@pytest.mark.parametrize("name", list(FILTERS))
@given(holes=st.integers(0, 200), scale=st.integers(1, 4095), exponent=st.integers(-30, 5), seed=st.integers(0, 9))
def test_nan_stays_nan_and_power_scales_through(name, holes, scale, exponent, seed):
    # Of twelve bits each, so that the product is exact: what is asked for is the filter's rounding, not the test's.
    image = np.float32(2.0**-12) * np.round(speckled(seed=seed, holes=holes) * np.float32(2.0**12))
    factor = np.float32(np.ldexp(float(scale), exponent))
    assert np.array_equal(image * factor, image.astype("f8") * factor, equal_nan=True)
    got = FILTERS[name](image, looks=LOOKS)
    assert np.array_equal(np.isnan(got), np.isnan(image))
    assert (got[~np.isnan(got)] >= 0).all()
    assert np.allclose(FILTERS[name](image * factor, looks=LOOKS), got * factor, rtol=2e-6, atol=0, equal_nan=True)


@pytest.mark.parametrize("scale", [0.01, 0.3, 7.0])
def test_equal_gradients_choose_the_first_direction_whatever_the_unit(scale):
    # A lone bright pixel on even ground: by symmetry its neighbours see gradients and sides that are equal.
    image = np.full((15, 15), 0.1, "f4")
    image[7, 7] = 0.7
    image[4, 9] = np.nan
    got = refined_lee(image * np.float32(scale), looks=LOOKS)
    assert np.allclose(got, refined_lee(image, looks=LOOKS) * scale, rtol=2e-6, atol=0, equal_nan=True)


@pytest.mark.parametrize("name", list(FILTERS))
def test_homogeneous_speckle_is_smoothed_without_bias(name):
    image = speckled((300, 300), 3)
    got = FILTERS[name](image, looks=LOOKS)
    tolerance = 0.02 if name == "gamma_map" else 0.01  # the maximum of a skewed posterior lies below its mean
    assert abs(got.mean() / image.mean() - 1) < tolerance
    assert looks_of_moments(got) > 8 * LOOKS


@pytest.mark.parametrize("name", list(FILTERS))
def test_a_constant_image_passes_unchanged(name):
    constant = np.full((20, 20), 0.3, "f4")
    assert np.allclose(FILTERS[name](constant), constant, rtol=1e-5)


def test_the_refined_filter_keeps_an_edge_that_the_plain_mean_blurs():
    image = speckled((200, 200), 1)
    image[:, 100:] *= 30
    truth = np.where(np.arange(200) < 100, 0.1, 3.0)[None]
    beside = np.s_[:, 97:100]

    def error(filtered):
        return np.abs(np.log(filtered / truth)[beside]).mean()

    assert error(refined_lee(image)) < 0.25 * error(local_moments(image, 7)[0])
    assert error(refined_lee(image)) < error(lee(image))
    assert error(gamma_map(image)) < error(local_moments(image, 7)[0])


def test_a_point_target_survives_gamma_map():
    image = speckled((50, 50), 2)
    image[25, 25] = 100
    assert gamma_map(image)[25, 25] == 100


def test_dates_multiply_the_looks_and_edges_stay():
    edges = np.where(np.arange(120) < 60, 0.02, 0.4)
    stack = np.stack([speckled((120, 120), seed, reflectivity=edges) for seed in range(8)])
    got = multitemporal(stack)
    looks = looks_of_moments(got[0][:, :50])
    assert 0.75 * 8 * LOOKS < looks < 1.05 * 8 * LOOKS
    ratio = got[0][:, 60].mean() / got[0][:, 59].mean()
    assert ratio > 3 * local_moments(stack[0], 7)[0][:, 60].mean() / local_moments(stack[0], 7)[0][:, 59].mean()


def test_dates_without_the_pixel_are_left_out():
    stack = np.stack([speckled(seed=seed) for seed in range(4)])
    stack[3] = np.nan
    stack[0, 5, 5] = np.nan
    got = multitemporal(stack)
    assert np.array_equal(np.isnan(got), np.isnan(stack))
    assert np.allclose(got[:3][:, 20:], multitemporal(stack[:3])[:, 20:])


def test_bad_options_are_refused():
    with pytest.raises(InputError, match="odd number of pixels, 3 or more; got 4"):
        lee(speckled(), window=4)
    with pytest.raises(InputError, match="refined Lee filter's window is 7"):
        refined_lee(speckled(), window=5)
    with pytest.raises(UnknownNameError, match="frost"):
        filter_scene(scene_of(speckled()), "frost")
    with pytest.raises(InputError, match="needs a time dimension"):
        filter_scene(scene_of(speckled()), "multitemporal")
    scene = scene_of(speckled())
    assert filter_scene(scene, "none") is scene


def variation(power: np.ndarray) -> float:
    mean, variance = local_moments(power, 7)
    return float(np.nanmedian(variance / mean**2))


def test_real_chips_are_smoothed_and_keep_their_level(real_data):
    files = sorted((real_data / "sen1floods11" / "S1Hand").glob("*.tif"))
    assert files
    seen = 0
    for file in files:
        with rasterio.open(file) as dataset:
            decibel = dataset.read(1)
        power = 10 ** (decibel / 10)
        if np.isnan(power).all():
            assert np.isnan(lee(power)).all()
            continue
        seen += 1
        before = variation(power)
        for name, each in FILTERS.items():
            filtered = each(power, looks=LOOKS)
            assert np.array_equal(np.isnan(filtered), np.isnan(power))
            top = np.nanquantile(power, 0.95)  # bright targets are drawn down on purpose
            assert abs(np.nanmean(np.minimum(filtered, top)) / np.nanmean(np.minimum(power, top)) - 1) < 0.08, name
            assert variation(filtered) < 0.8 * before, name
    assert seen >= 6
