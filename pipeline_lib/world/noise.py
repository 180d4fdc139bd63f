"""Random fields: fractal relief and smooth textures, periodic on the grid, with unit variance."""

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Field = NDArray[np.float32]


def fractal(shape: tuple[int, int], rng: np.random.Generator, *, beta: float, largest_px: float | None = None) -> Field:
    """Gaussian field with power spectrum k**-beta: zero mean, unit variance, periodic.

    Args:
        shape: rows, columns.
        rng: source of randomness.
        beta: spectral slope; 2.2 looks like relief, 3 like clouds.
        largest_px: wavelengths beyond this are left out, pixels; all are kept where None.

    References:
        Turcotte, Fractals and Chaos in Geology and Geophysics, 2nd ed. 1997, section 7.4 (spectral synthesis).
    """
    frequency = _frequency(shape)
    with np.errstate(divide="ignore"):
        amplitude = np.where(frequency > 0, frequency ** np.float32(-beta / 2), 0).astype(np.float32)
    if largest_px is not None:
        amplitude[frequency < 1 / largest_px] = 0
    return _shaped(shape, amplitude, rng)


def smooth(shape: tuple[int, int], rng: np.random.Generator, *, sigma_px: float) -> Field:
    """White noise through a Gaussian kernel of ``sigma_px`` pixels: zero mean, unit variance.

    Wide kernels are made on a coarser lattice and interpolated: a field that smooth loses nothing by it.
    """
    factor = max(1, int(sigma_px / 3))
    coarse = (-(-shape[0] // factor) + 1, -(-shape[1] // factor) + 1) if factor > 1 else shape
    frequency = _frequency(coarse)
    field = _shaped(coarse, np.exp(-2 * (np.pi * np.float32(sigma_px / factor) * frequency) ** 2), rng)
    if factor == 1:
        return field
    fine = lattice(field, np.arange(shape[0]) / factor, np.arange(shape[1]) / factor)
    return np.asarray((fine - fine.mean()) / fine.std(), dtype=np.float32)


def lattice(field: Field, rows: NDArray[np.floating], columns: NDArray[np.floating]) -> Field:
    """Bilinear values of a field at every pair of the given rows and columns, edges repeated.

    From (y, x) to (row, column): one value for each of the given fractional rows and columns.
    """
    row, column = np.clip(rows, 0, field.shape[0] - 1), np.clip(columns, 0, field.shape[1] - 1)
    top, left = np.floor(row).astype(int), np.floor(column).astype(int)
    down, right = (row - top).astype(np.float32)[:, None], (column - left).astype(np.float32)[None, :]
    below, beside = np.minimum(top + 1, field.shape[0] - 1), np.minimum(left + 1, field.shape[1] - 1)
    upper = field[top] * (1 - down) + field[below] * down
    return np.asarray(upper[:, left] * (1 - right) + upper[:, beside] * right, dtype=np.float32)


def above_quantile(field: NDArray[np.floating], share: float, where: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of ``where`` whose value is among the highest ``share`` of it.

    Dims (y, x).
    """
    if share <= 0 or not where.any():
        return np.zeros_like(where)
    return np.asarray(where & (field >= np.quantile(field[where], 1 - min(share, 1.0))))


def _frequency(shape: tuple[int, int]) -> Field:
    """Radial frequency of each coefficient of a real 2-D transform, cycles per pixel."""
    rows = fft.fftfreq(shape[0]).astype(np.float32)[:, None]
    columns = fft.rfftfreq(shape[1]).astype(np.float32)[None, :]
    return np.asarray(np.hypot(rows, columns), dtype=np.float32)


def _shaped(shape: tuple[int, int], amplitude: Field, rng: np.random.Generator) -> Field:
    """Filter white noise by an amplitude spectrum and standardise."""
    spectrum = fft.rfft2(rng.standard_normal(shape, dtype=np.float32)) * amplitude
    spectrum[0, 0] = 0
    field = fft.irfft2(spectrum, s=shape).astype(np.float32)
    return np.asarray(field / max(float(field.std()), 1e-12), dtype=np.float32)
