"""Any raster of radar backscatter as a Scene: which band is which, decibel or linear, what is no data."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.errors
import rioxarray
import xarray as xr

from pipeline_lib.errors import RasterError

Scale = Literal["db", "linear"]

CHUNK = 1024
_SAMPLE_PX = 1024
_KNOWN = ("vv", "vh", "hh", "hv")
LOWEST_DB, HIGHEST_DB = -70.0, 30.0
"""Calibrated backscatter in dB lies between."""
DARKEST_LINEAR_MEDIAN, BRIGHTEST_LINEAR_MEDIAN = 1e-4, 10.0
"""The median of calibrated linear backscatter of a scene lies between (-40 dB, +10 dB)."""
AMPLITUDE_DB_MEDIAN = -10.0
"""No landscape has a median of cross-polarised backscatter above -10 dB (town -10 to -16 dB)."""


@dataclass(frozen=True)
class _Sample:
    """Finite values of one band, read at reduced size."""

    values: npt.NDArray[np.float64]
    negative_share: float
    median: float

    @classmethod
    def of(cls, values: npt.NDArray[np.float64]) -> "_Sample":
        """Summarise what is finite and not zero (zero is the usual fill)."""
        usable = values[np.isfinite(values) & (values != 0)]
        if usable.size == 0:
            return cls(usable, 0.0, float("nan"))
        return cls(usable, float((usable < 0).mean()), float(np.median(usable)))


def load_raster(path: Path, *, scale: Scale | None = None, polarisations: tuple[str, ...] | None = None) -> xr.Dataset:
    """Open a raster of calibrated backscatter lazily as a Scene.

    Args:
        path: any raster GDAL reads, with a CRS.
        scale: ``db`` or ``linear`` (power); told from the values where None.
        polarisations: names of the bands in order; told from the band descriptions where None.

    Returns:
        Scene: dims (y, x), float32, linear (1), NaN = no data. ``attrs["scale"]`` says how the values were read;
        ``attrs["backscatter"]`` is what the file says, else ``sigma0``.

    Raises:
        RasterError: not readable, no CRS, bands that cannot be named, or values that are not calibrated backscatter in
            the scale given (digital numbers, amplitude, decibel taken from amplitude).
    """
    source = _opened(path)
    names = _band_names(source, polarisations, path)
    samples = {name: _sample(path, band + 1) for band, name in names.items()}
    found = _scale(samples, scale, path)
    fill_is_zero = source.rio.nodata is None and found == "linear"
    scene = xr.Dataset(
        {
            name: _linear(source.isel(band=band, drop=True), found, zero_is_fill=fill_is_zero)
            for band, name in names.items()
        }
    )
    said = source.attrs.get("backscatter")  # a tag that `overbank calibrate` writes
    facts = {
        "backscatter": said if said in {"gamma0", "sigma0"} else "sigma0",
        "scale": found,
        "acquisition_id": path.stem,
    }
    return scene.assign_attrs(facts)


def _opened(path: Path) -> xr.DataArray:
    """The raster, lazily, masked to NaN where it says no data."""
    if not path.is_file():
        raise RasterError(f"There is no raster {path}; give the path of a GeoTIFF with VV and/or VH.")
    try:
        source = rioxarray.open_rasterio(path, chunks={"x": CHUNK, "y": CHUNK}, masked=True, cache=False)
    except (rasterio.errors.RasterioError, OSError, ValueError) as error:
        raise RasterError(f"{path} cannot be read as a raster ({error}); give a complete GeoTIFF.") from error
    if not isinstance(source, xr.DataArray):
        raise RasterError(f"{path} holds several rasters of different grids; give one with VV and VH as bands.")
    if source.rio.crs is None:
        raise RasterError(f"{path} has no CRS, so it has no place on the map; set one (gdal_edit.py -a_srs EPSG:...).")
    return source


def _band_names(source: xr.DataArray, given: tuple[str, ...] | None, path: Path) -> dict[int, str]:
    """Band position to polarisation."""
    number = source.sizes["band"]
    if given is not None:
        names = tuple(name.lower() for name in given)
        if len(names) > number or len(set(names)) != len(names) or not set(names) <= set(_KNOWN):
            raise RasterError(
                f"Polarisations {','.join(given)} do not name bands of {path}, which has {number}; "
                "give each band once, in order, of VV, VH, HH, HV."
            )
        return dict(enumerate(names))
    described = _described(path)
    if described:
        return described
    if number == 2:
        return {0: "vv", 1: "vh"}
    raise RasterError(
        f"{path} has {number} band{'s' if number != 1 else ''} and does not say which polarisation "
        f"{'they are' if number != 1 else 'it is'}; tell it with --polarisations (as VV or VV,VH)."
    )


def _described(path: Path) -> dict[int, str]:
    """Band position to polarisation by the bands' descriptions, each polarisation once."""
    with rasterio.open(path) as source:
        words = [(description or "").lower() for description in source.descriptions]
    found: dict[int, str] = {}
    for position, word in enumerate(words):
        for name in _KNOWN:
            if name in word and name not in found.values():
                found[position] = name
                break
    return found


def _sample(path: Path, band: int) -> _Sample:
    """A band at reduced size, nearest pixels."""
    with rasterio.open(path) as source:
        shape = tuple(min(size, _SAMPLE_PX) for size in source.shape)
        try:
            values = source.read(band, out_shape=shape, masked=True)
        except rasterio.errors.RasterioError as error:
            raise RasterError(f"{path} cannot be read ({error}); the file is damaged or cut short.") from error
    return _Sample.of(np.ma.filled(values.astype(np.float64), np.nan))


def _scale(samples: dict[str, _Sample], given: Scale | None, path: Path) -> Scale:
    """Decibel or linear power, checked against what the values can be."""
    held = {name: sample for name, sample in samples.items() if sample.values.size}
    if not held:
        return given or "linear"
    found = given or _guessed(held, path)
    for name, sample in held.items():
        if found == "db":
            _check_decibel(name, sample, path)
        else:
            _check_linear(name, sample, path)
    return found


def _guessed(held: dict[str, _Sample], path: Path) -> Scale:
    """Power is never negative, decibel of land and water nearly always."""
    shares = [sample.negative_share for sample in held.values()]
    if min(shares) > 0.5:
        return "db"
    if max(shares) <= 0.01:
        return "linear"
    raise RasterError(
        f"{path}: {100 * max(shares):.0f} % of the values are negative, too many for linear power and too few for "
        "decibel; tell what they are with --scale db or --scale linear."
    )


def _check_decibel(name: str, sample: _Sample, path: Path) -> None:
    """Decibel of calibrated power: mostly negative, within the range of the Earth's surface."""
    low, high = np.percentile(sample.values, [1, 99])
    if low < LOWEST_DB or high > HIGHEST_DB or sample.negative_share < 0.5:
        raise RasterError(
            f"{path}: {name.upper()} lies between {low:.3g} and {high:.3g} (median {sample.median:.3g}): not "
            "decibel of calibrated backscatter. Amplitude or digital numbers must be calibrated first; linear power is "
            "--scale linear."
        )
    if name in {"vh", "hv"} and sample.median > AMPLITUDE_DB_MEDIAN:
        raise RasterError(
            f"{path}: the median of {name.upper()} is {sample.median:.1f} dB, more than any landscape scatters back. "
            "These look like decibel of amplitude (10 log10 of amplitude); multiply them by 2 to get decibel of power."
        )


def _check_linear(name: str, sample: _Sample, path: Path) -> None:
    """Linear power: not negative but for noise that was taken off, of the order of 0.1."""
    if sample.negative_share > 0.2:
        raise RasterError(
            f"{path}: {100 * sample.negative_share:.0f} % of {name.upper()} is negative: not linear power; "
            "use --scale db."
        )
    if not DARKEST_LINEAR_MEDIAN <= sample.median <= BRIGHTEST_LINEAR_MEDIAN:
        raise RasterError(
            f"{path}: the median of {name.upper()} is {sample.median:.3g}, where calibrated linear power is of the "
            "order of 0.1: these are amplitude, digital numbers or 8-bit greys; calibrate to sigma0 or gamma0 first."
        )


def _linear(band: xr.DataArray, scale: Scale, *, zero_is_fill: bool) -> xr.DataArray:
    """One band as linear power, float32, NaN = no data."""
    values = band.astype(np.float32)
    if scale == "db":
        values = xr.apply_ufunc(_power, values, dask="parallelized", output_dtypes=[np.float32])
    values = values.where(np.isfinite(values))
    if zero_is_fill:
        values = values.where(values != 0)
    values.attrs = {"units": "1"}
    return values


def _power(decibel: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Decibel to linear power; an infinite value is no measurement."""
    known = np.where(np.isfinite(decibel), decibel, np.float32(np.nan))
    power: npt.NDArray[np.float32] = np.power(np.float32(10.0), known / np.float32(10.0))
    return power
