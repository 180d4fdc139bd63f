"""Any raster of radar backscatter as a Scene: which band is which, decibel or linear, what is no data."""

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.errors
import rioxarray
import xarray as xr

from pipeline_lib.errors import RasterError
from pipeline_lib.load.raster_bands import Scale, Told, told
from pipeline_lib.load.raster_values import LOWEST_DB, check_one_value, check_order, measured, samples_of, scale_of

__all__ = ["Scale", "load_raster"]

CHUNK = 1024
FAR_BELOW_NOISE = -1.0
"""Linear power that lost its noise may be a little negative; what is less is no power."""


def load_raster(
    path: Path,
    *,
    scale: Scale | None = None,
    polarisations: tuple[str, ...] | None = None,
    nodata: float | None = None,
) -> xr.Dataset:
    """Open a raster of calibrated backscatter lazily as a Scene.

    No data are what the file declares, NaN, infinity, zero, numbers beyond all backscatter (-9999, 1e20 ...) and
    decibels below -70. A scale and offset that the file declares are applied. Bands without any data are left out.

    Args:
        path: any raster GDAL reads, with a CRS.
        scale: ``db``, ``linear`` (power) or ``amplitude``; what the file says, or told from the values, where None.
        polarisations: names of the bands in order; told from the file where None.
        nodata: one more value, as stored, that means no data; NaN: there is none, whatever share has one value.

    Returns:
        Scene: dims (y, x), float32, linear (1), NaN = no data. ``attrs["scale"]`` says how the values were read;
        ``attrs["backscatter"]`` is what the file says, else ``sigma0``.

    Raises:
        RasterError: not readable, no CRS, no data, bands that cannot be named or are swapped, values that are not
            calibrated backscatter in the scale given (digital numbers, amplitude, decibel taken from amplitude,
            complex), or of which it cannot be told what they are.
    """
    source = _opened(path)
    try:
        with rasterio.open(path) as file:
            what = told(file, path, polarisations)
    except rasterio.errors.RasterioError as error:
        raise RasterError(f"{path} cannot be read as a raster ({error}); give a complete GeoTIFF.") from error
    fill = None if nodata is None or math.isnan(nodata) else nodata
    samples = samples_of(path, what, fill)
    if nodata is None or not math.isnan(nodata):
        check_one_value(samples, what, path)
    check_order(samples, path)  # first: VV in the place of VH is too bright for power as well
    found = scale_of(samples, scale, what, path)
    scene = xr.Dataset(
        {
            name: _linear(source.isel(band=band, drop=True), found, what, band, fill)
            for band, name in what.bands.items()
            if name in samples
        }
    )
    facts = {"backscatter": what.backscatter or "sigma0", "scale": found, "acquisition_id": path.stem}
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
    return source


def _linear(band: xr.DataArray, scale: Scale, what: Told, position: int, fill: float | None) -> xr.DataArray:
    """One band as linear power, float32, NaN = no data."""
    values: xr.DataArray = xr.apply_ufunc(
        _power,
        band.astype(np.float32),
        kwargs={"scale": scale, "gain": what.gains[position], "fill": fill},
        dask="parallelized",
        output_dtypes=[np.float32],
    )
    values.attrs = {"units": "1"}
    return values


def _power(
    numbers: npt.NDArray[np.float32], *, scale: Scale, gain: tuple[float, float], fill: float | None
) -> npt.NDArray[np.float32]:
    """Numbers as stored to linear power, NaN = no data."""
    values = measured(numbers, gain, fill)
    if scale == "linear":
        return np.where(values > FAR_BELOW_NOISE, values, np.float32(np.nan))
    if scale == "amplitude":
        return values * values
    known = np.where(values >= LOWEST_DB, values, np.float32(np.nan))
    power: npt.NDArray[np.float32] = np.power(np.float32(10.0), known / np.float32(10.0))
    return power
