"""One door to Sentinel-1 pixels: whatever the product type, a Scene on the event's grid comes out."""

from collections.abc import Mapping

import xarray as xr

from pipeline_lib.errors import AssetError
from pipeline_lib.load.asset import Sign
from pipeline_lib.load.sentinel1_grd import load_grd
from pipeline_lib.load.sentinel1_rtc import load_rtc
from pipeline_lib.model import Acquisition, Grid, ProductType
from pipeline_lib.options.calibrate import CalibrateOptions
from pipeline_lib.options.prepare import PrepareOptions


def load_scene(
    acquisition: Acquisition,
    grid: Grid,
    *,
    elevation_m: xr.DataArray | None,
    sign: Sign,
    gdal: Mapping[str, str | int],
    options: PrepareOptions,
    calibrate: CalibrateOptions | None = None,
) -> xr.Dataset:
    """Open one Sentinel-1 pass lazily as a Scene on the grid.

    Args:
        acquisition: an RTC or GRD pass; its slices are merged.
        grid: the event's grid.
        elevation_m: elevation on the grid, float32 (y, x), metres; needed for GRD.
        sign: turns a catalogue's href into one that can be read.
        gdal: access settings of the catalogue.
        options: resampling and chunking of RTC.
        calibrate: calibration, orbits and tiles of GRD; defaults where None.

    Returns:
        Scene: dims (y, x), float32, linear gamma0 (1), NaN = not observed.

    Raises:
        AssetError: an asset cannot be read, or a GRD pass has no elevation model to be geocoded with.
    """
    if acquisition.product is ProductType.RTC:
        return load_rtc(acquisition, grid, sign=sign, chunk=options.chunk, resampling=options.resampling, gdal=gdal)
    if acquisition.product is not ProductType.GRD:
        raise AssetError(f"{acquisition.acquisition_id} is {acquisition.product}; a Scene is made from RTC or GRD.")
    if elevation_m is None:
        raise AssetError(
            f"{acquisition.acquisition_id} is GRD, in radar geometry: placing it on the map needs an elevation model, "
            "and the catalogue has none for this area. Give a DEM, or use a catalogue of RTC."
        )
    return load_grd(acquisition, grid, elevation_m, options=calibrate, sign=sign, gdal=gdal)
