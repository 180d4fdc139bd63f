"""Features that survive speckle, and masked normalised cross-correlation of two images over small shifts."""

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

Image = NDArray[np.floating]
Mask = NDArray[np.bool_]

FINE_PX = 1.5
BROAD_PX = 12.0
MIN_PIXELS = 600
"""Usable in both images, at every shift, for a block to count."""
STEP_PX = 0.02


def smooth(image: Image, sigma: float) -> Image:
    """Gaussian mean of the finite neighbours: (y, x), NaN where the image is."""
    valid = np.isfinite(image)
    total = _gaussian(np.where(valid, image, np.float32(0)), sigma)
    if valid.all():  # the weight falls off at the edges only: the product of one for each axis
        along_y, along_x = (_gaussian(np.ones(length, image.dtype), sigma) for length in image.shape)
        return np.asarray(total / np.multiply.outer(along_y, along_x))
    return np.where(valid, total / np.maximum(_gaussian(valid.astype("f4"), sigma), 1e-9), np.float32(np.nan))


def _gaussian(values: Image, sigma: float) -> Image:
    """Gaussian sum, zero beyond the edge."""
    filtered: Image = ndimage.gaussian_filter(values, sigma, mode="constant", truncate=3.0)
    return filtered


def structure(image: Image) -> Image:
    """Image between the scales `FINE_PX` and `BROAD_PX`: without speckle and without the slow change across a swath.

    Dims (y, x), NaN = not observed; units as given.
    """
    fine = smooth(image, FINE_PX)
    return fine - smooth(image, BROAD_PX)


def gradient(image: Image) -> Image:
    """Strength of edges after smoothing: whatever their sign, which differs between radar and optical.

    Dims (y, x); NaN = not observed, and beside it.
    """
    fine = smooth(image, FINE_PX)
    filled = np.where(np.isfinite(fine), fine, np.nanmedian(fine) if np.isfinite(fine).any() else 0.0)
    strength: Image = np.hypot(ndimage.sobel(filled, 0), ndimage.sobel(filled, 1))
    near_gap = ndimage.maximum_filter(~np.isfinite(fine), 3)
    return np.where(near_gap, np.nan, strength)


def masked_correlation(fixed: Image, moving: Image, usable: Mask, reach: int) -> Image:
    """Correlation coefficient of ``fixed(p)`` and ``moving(p + s)`` for every shift s up to ``reach`` pixels.

    Only pixels usable (and finite) in both count, anew for each shift, so that a mask pulls the peak nowhere.

    Args:
        fixed: (y, x), NaN = unknown.
        moving: (y, x) of the same shape.
        usable: (y, x), of both.
        reach: largest shift in rows and columns.

    Returns:
        (2 reach + 1, 2 reach + 1); entry (reach + dy, reach + dx) is the correlation at s = (dy, dx). All NaN where
        fewer than `MIN_PIXELS` are left at some shift, or one of the images is flat.

    References:
        Padfield 2012, eq. 19-21.
    """
    size = tuple(fft.next_fast_len(length + reach, real=True) for length in fixed.shape)
    shifts = np.arange(-reach, reach + 1)
    one, one_known = _prepared(fixed, usable)
    other, other_known = _prepared(moving, usable)
    spectra = [fft.rfft2(part, size) for part in (one, one_known, one * one)]
    others = [fft.rfft2(part, size) for part in (other, other_known, other * other)]

    def summed(a: int, b: int) -> Image:
        """Sum over p of a(p) b(p + s), for the shifts within reach."""
        full: Image = fft.irfft2(np.conj(spectra[a]) * others[b], size)
        return full[np.ix_(shifts, shifts)]

    count = np.maximum(summed(1, 1), 1.0)
    mean_one, mean_other = summed(0, 1) / count, summed(1, 0) / count
    covariance = summed(0, 0) / count - mean_one * mean_other
    variance = (summed(2, 1) / count - mean_one**2) * (summed(1, 2) / count - mean_other**2)
    if count.min() < MIN_PIXELS or variance.min() <= 1e-12:
        return np.full(count.shape, np.nan)
    return np.asarray(covariance / np.sqrt(variance))


def best_shift(surface: Image) -> tuple[float, float, float, bool]:
    """Peak of a correlation surface to a fiftieth of a pixel, by a cubic spline around its highest entry.

    ``surface`` is square, (2 reach + 1, 2 reach + 1): rows are shifts dy, columns dx, each from -reach to reach pixels.

    Returns:
        dy, dx, the height of the peak, and whether it lies inside the surface (not on its rim).
    """
    reach = surface.shape[0] // 2
    row, column = divmod(int(surface.argmax()), surface.shape[1])
    inside = 0 < row < 2 * reach and 0 < column < 2 * reach
    if not inside:
        return float(row - reach), float(column - reach), float(surface.max()), False
    coefficients = ndimage.spline_filter(surface, order=3, mode="mirror")
    centre, step = np.array([float(row), float(column)]), 0.2
    while True:
        around = np.arange(-5, 6) * step
        places = np.stack(np.meshgrid(centre[0] + around, centre[1] + around, indexing="ij"))
        values = ndimage.map_coordinates(coefficients, places, order=3, mode="mirror", prefilter=False)
        best = divmod(int(values.argmax()), values.shape[1])
        centre = places[:, best[0], best[1]]
        if step <= STEP_PX:
            return float(centre[0] - reach), float(centre[1] - reach), float(values.max()), True
        step /= 5


def _prepared(image: Image, usable: Mask) -> tuple[Image, Image]:
    """Image without its mean and with zeros where it is not usable, and the usable pixels as 0 and 1."""
    known = usable & np.isfinite(image)
    mean = image.sum(where=known, dtype=np.float64) / max(int(known.sum()), 1)
    return np.where(known, image - image.dtype.type(mean), image.dtype.type(0)), known.astype(image.dtype)
