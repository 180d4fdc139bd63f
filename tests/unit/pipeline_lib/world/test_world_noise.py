"""Random fields have the statistics they are asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from pipeline_lib.world.noise import above_quantile, fractal, lattice, smooth


@pytest.mark.parametrize("beta", [2.2, 3.0, 3.8])
def test_fractal_has_the_spectral_slope(beta):
    field = fractal((512, 512), np.random.default_rng(3), beta=beta)
    power = np.abs(np.fft.fft2(field)) ** 2
    k = np.hypot(np.fft.fftfreq(512)[:, None], np.fft.fftfreq(512)[None, :])
    edges = np.geomspace(4 / 512, 0.4, 14)
    which = np.digitize(k.ravel(), edges)
    mean = [power.ravel()[which == b].mean() for b in range(1, 14)]
    centre = [k.ravel()[which == b].mean() for b in range(1, 14)]
    slope = np.polyfit(np.log(centre), np.log(mean), 1)[0]
    assert slope == pytest.approx(-beta, abs=0.12)
    assert field.std() == pytest.approx(1, abs=1e-4)
    assert field.mean() == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("sigma", [1.5, 3.0, 8.0, 20.0])
def test_smooth_has_unit_variance_and_the_kernels_correlation(sigma):
    fields = [smooth((320, 288), np.random.default_rng(seed), sigma_px=sigma) for seed in range(6)]
    lag = round(sigma)
    found = np.mean([np.corrcoef(f[:, :-lag].ravel(), f[:, lag:].ravel())[0, 1] for f in fields])
    assert found == pytest.approx(np.exp(-(lag**2) / (4 * sigma**2)), abs=0.06)
    assert all(f.std() == pytest.approx(1, abs=1e-3) and f.dtype == np.float32 for f in fields)


@given(st.integers(0, 2**31), st.floats(-3, 3), st.floats(-3, 3))
def test_lattice_is_bilinear_interpolation(seed, down, right):
    field = np.random.default_rng(seed).standard_normal((9, 7)).astype(np.float32)
    rows, columns = np.arange(9) + down, np.arange(7) + right
    expected = map_coordinates(field, np.meshgrid(rows, columns, indexing="ij"), order=1, mode="nearest")
    assert np.allclose(lattice(field, rows, columns), expected, atol=1e-4)


@given(st.integers(0, 2**31), st.floats(0, 1))
def test_above_quantile_takes_the_share(seed, share):
    rng = np.random.default_rng(seed)
    where = rng.random((30, 30)) < 0.5
    chosen = above_quantile(rng.standard_normal((30, 30)), share, where)
    assert not (chosen & ~where).any()
    assert chosen.sum() == pytest.approx(share * where.sum(), abs=1.01)
