"""What the values of a raster can be: decibel, power or amplitude of backscatter, fill, or nothing of the kind."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import rasterio.errors
from numpy.typing import NDArray

from pipeline_lib.errors import RasterError
from pipeline_lib.load.raster_bands import Scale, Told

SAMPLE_PX = 1024
LEAST, MOST = -900.0, 1e9
"""What lies beyond stands for no data, declared or not: -999, -9999, -32768, 9.97e36, 1e20, -3.4e38 in files of GDAL,
SNAP, netCDF and Esri. Zero is one more."""
LOWEST_DB, HIGHEST_DB = -70.0, 30.0
"""Calibrated backscatter in dB lies between."""
DARKEST_LINEAR_MEDIAN, BRIGHTEST_LINEAR_MEDIAN = 1e-4, 10.0
"""The median of calibrated linear backscatter of a scene lies between (-40 dB, +10 dB)."""
MOST_NEGATIVE = 0.2
"""Power that lost its noise is negative in at most this share of the pixels."""
LEAST_OF_POWER = -0.5
"""Nor is it less than this in one of a hundred, as decibels are that are negative at all."""
AMPLITUDE_DB_MEDIAN = -10.0
"""No landscape has a median of cross-polarised backscatter above -10 dB (town -10 to -16 dB)."""
AMPLITUDE_DB_MEDIAN_CO = -6.5
"""Few landscapes have a median of VV or HH above: the brightest of 15 chips of Sen1Floods11 has -7.7 dB; amplitude,
half the decibels, of 14 of the 15 lies above."""
ONE_VALUE_SHARE = 0.005
"""More pixels than this share with one value, and ten times as many as with any other, are fill or clipped."""
SWAPPED_SHARE = 0.9
"""Cross-polarised backscatter above co-polarised in more than this share of pixels: the bands are swapped (at most 3 %
in the chips of Sen1Floods11)."""


@dataclass(frozen=True)
class Sample:
    """One band at reduced size in the file's own unit, gain applied; NaN = no data."""

    values: NDArray[np.float64]
    """Dims (y, x)."""

    @property
    def usable(self) -> NDArray[np.float64]:
        """What is data, one-dimensional."""
        found: NDArray[np.float64] = self.values[np.isfinite(self.values)]
        return found

    @property
    def negative_share(self) -> float:
        """Share of negative values."""
        return float((self.usable < 0).mean())

    @property
    def median(self) -> float:
        """Of what is data."""
        return float(np.median(self.usable))


def measured(numbers: NDArray[np.floating], gain: tuple[float, float], fill: float | None) -> NDArray[np.floating]:
    """Numbers as stored in the file's own unit, NaN for zero, for ``fill`` and for what is no measurement.

    Args:
        numbers: as stored, floating point.
        gain: scale and offset that the file declares.
        fill: one more number, as stored, that means no data.
    """
    kind = numbers.dtype.type
    values = numbers if gain == (1.0, 0.0) else numbers * kind(gain[0]) + kind(gain[1])
    known = (values > LEAST) & (values < MOST) & (values != 0)
    if fill is not None:
        known &= ~np.isclose(numbers, fill, rtol=1e-6, atol=0)
    cleaned: NDArray[np.floating] = np.where(known, values, kind(np.nan))
    return cleaned


def samples_of(path: Path, what: Told, fill: float | None) -> dict[str, Sample]:
    """Every band that holds data, at reduced size (nearest pixels); block by block where those pixels miss it.

    Raises:
        RasterError: the file is damaged, or no band holds anything.
    """
    held = {}
    try:
        with rasterio.open(path) as source:
            shape = tuple(min(size, SAMPLE_PX) for size in source.shape)
            for position, name in what.bands.items():
                sample = _sample(source, position, what, fill, out_shape=shape)
                if not sample.usable.size:
                    windows = (window for _, window in source.block_windows(position + 1))
                    tried = (_sample(source, position, what, fill, window=window) for window in windows)
                    sample = next((one for one in tried if one.usable.size), sample)
                if sample.usable.size:
                    held[name] = sample
    except rasterio.errors.RasterioError as error:
        raise RasterError(f"{path} cannot be read ({error}); the file is damaged or cut short.") from error
    if not held:
        raise RasterError(f"{path} holds no data: every pixel is zero, NaN or no-data. There is nothing to map.")
    return held


def _sample(source: rasterio.DatasetReader, position: int, what: Told, fill: float | None, **which: object) -> Sample:
    read = source.read(position + 1, masked=True, **which)
    numbers = np.ma.filled(read.astype(np.float64), np.nan)
    return Sample(measured(numbers, what.gains[position], fill).astype(np.float64, copy=False))


def scale_of(samples: dict[str, Sample], given: Scale | None, what: Told, path: Path) -> Scale:
    """Decibel, power or amplitude, checked against what the values can be.

    Args:
        samples: of `samples_of`.
        given: by the caller; else what the file says, else it is told from the values.
        what: the file says.
        path: of the raster, for messages.

    Raises:
        RasterError: they are not calibrated backscatter in that scale, or it cannot be told which it is.
    """
    known = given or what.scale
    found = known or _guessed(samples, path)
    for name, sample in samples.items():
        if found == "db":
            _check_decibel(name, sample, path)
        else:
            _check_linear(name, sample, path, found)
        _check_amplitude(name, sample, path, found, known=known is not None)
    return found


def check_one_value(samples: dict[str, Sample], what: Told, path: Path) -> None:
    """Make sure that no single value stands for a share of the raster: nobody knows whether it was measured.

    Raises:
        RasterError: it does.
    """
    if what.whole_numbers:
        return
    for name, sample in samples.items():
        numbers, counts = np.unique(sample.usable.astype(np.float32), return_counts=True)
        order = np.argsort(counts)
        first, second = counts[order[-1]], counts[order[-2]] if len(counts) > 1 else 0
        share = first / sample.usable.size
        if sample.usable.size >= SAMPLE_PX and share > ONE_VALUE_SHARE and first > 10 * second:
            value = f"{numbers[order[-1]]:.7g}"
            raise RasterError(
                f"{path}: {100 * share:.1f} % of {name.upper()} has the one value {value}: is it fill, or were values "
                f"clipped there? Say --nodata {value} to leave it out, or --nodata none to take it as measured."
            )


def check_order(samples: dict[str, Sample], path: Path) -> None:
    """Make sure that co-polarised backscatter is not below cross-polarised everywhere.

    Raises:
        RasterError: it is: the bands are swapped.
    """
    for co, cross in (("vv", "vh"), ("hh", "hv")):
        if co not in samples or cross not in samples or samples[co].values.shape != samples[cross].values.shape:
            continue
        both = np.isfinite(samples[co].values) & np.isfinite(samples[cross].values)
        above = (samples[cross].values > samples[co].values)[both]
        if above.size >= 100 and above.mean() > SWAPPED_SHARE:
            high, low = cross.upper(), co.upper()
            raise RasterError(
                f"{path}: {high} lies above {low} in {100 * above.mean():.0f} % of the pixels, which it does over no "
                f"landscape: the bands look swapped. Name them in their order with --polarisations (as {high},{low})."
            )


def _guessed(samples: dict[str, Sample], path: Path) -> Scale:
    """Power is negative by a little, where it lost its noise; decibel of land and water are nearly always."""
    shares = [sample.negative_share for sample in samples.values()]
    if min(shares) > 0.5:
        return "db"
    lowest = min(np.percentile(sample.usable, 1) for sample in samples.values())
    if max(shares) <= 0.01 or (max(shares) <= MOST_NEGATIVE and lowest > LEAST_OF_POWER):
        return "linear"
    raise RasterError(
        f"{path}: {100 * max(shares):.0f} % of the values are negative, too many for linear power and too few for "
        "decibel; tell what they are with --scale db or --scale linear."
    )


def _check_decibel(name: str, sample: Sample, path: Path) -> None:
    """Decibel of calibrated power: mostly negative, within the range of the Earth's surface."""
    low, high = np.percentile(sample.usable, [1, 99])
    if low < LOWEST_DB or high > HIGHEST_DB or sample.negative_share < 0.5:
        raise RasterError(
            f"{path}: {name.upper()} lies between {low:.3g} and {high:.3g} (median {sample.median:.3g}): not "
            "decibel of calibrated backscatter. Amplitude or digital numbers must be calibrated first; linear power is "
            "--scale linear."
        )


def _check_linear(name: str, sample: Sample, path: Path, scale: Scale) -> None:
    """Linear power or amplitude: not negative but for noise that was taken off, power of the order of 0.1."""
    if sample.negative_share > MOST_NEGATIVE:
        raise RasterError(
            f"{path}: {100 * sample.negative_share:.0f} % of {name.upper()} is negative: not linear power; "
            "use --scale db."
        )
    power = sample.median**2 if scale == "amplitude" else sample.median
    if not DARKEST_LINEAR_MEDIAN <= power <= BRIGHTEST_LINEAR_MEDIAN:
        raise RasterError(
            f"{path}: the median of {name.upper()} is {sample.median:.3g}, where calibrated linear power is of the "
            "order of 0.1: these are amplitude, digital numbers or 8-bit greys; calibrate to sigma0 or gamma0 first."
        )


def _check_amplitude(name: str, sample: Sample, path: Path, scale: Scale, *, known: bool) -> None:
    """Brighter than landscapes are: amplitude that is taken for power, or decibel of it.

    Cross-polarised backscatter tells for certain; co-polarised only well enough to ask, where nobody said the scale.
    """
    cross = name in {"vh", "hv"}
    if scale == "amplitude" or (known and not cross):
        return
    median = sample.median if scale == "db" else 10 * np.log10(sample.median)
    if median <= (AMPLITUDE_DB_MEDIAN if cross else AMPLITUDE_DB_MEDIAN_CO):
        return
    bright = (
        f"{path}: the median of {name.upper()} is {median:.1f} dB, more than {'any' if cross else 'a'} landscape has. "
    )
    if scale == "db":
        other = "" if cross else ", or say --scale db if they are decibel of power"
        advice = (
            "These look like decibel of amplitude (10 log10 of amplitude); multiply them by 2 to get decibel of power"
        )
        raise RasterError(f"{bright}{advice}{other}.")
    other = "" if cross else ", or --scale linear if they are power"
    raise RasterError(f"{bright}These look like amplitude: say --scale amplitude{other}.")
