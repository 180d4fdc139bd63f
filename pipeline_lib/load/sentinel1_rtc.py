"""Sentinel-1 RTC (radiometrically terrain corrected gamma0, linear power) as a Scene on the grid."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from pipeline_lib.errors import AssetError
from pipeline_lib.load.asset import Sign, assets_of
from pipeline_lib.load.mosaic import load_band
from pipeline_lib.model import Acquisition, Grid, check_scene

POLARISATIONS = ("vv", "hh", "vh", "hv")

NO_DATA = (-32768.0, 0.0)
"""The archive's no-data value, and the zeros some processors leave around a swath; gamma0 is never exactly 0."""


def load_rtc(
    acquisition: Acquisition,
    grid: Grid,
    *,
    sign: Sign,
    chunk: int = 2048,
    resampling: str = "bilinear",
    gdal: Mapping[str, str | int] | None = None,
) -> xr.Dataset:
    """One pass on the grid: its slices joined, no-data as NaN.

    Every slice is opened now and checked; pixels are read when computed. Where slices overlap the first valid one in
    the order of sensing wins; slices on one pixel grid are joined before resampling, so that there is no seam.

    Args:
        acquisition: the pass; polarisations are taken from it, or from its assets where it names none.
        grid: of the event.
        sign: makes an href readable.
        chunk: pixels along each side of a Dask chunk; the result does not depend on it.
        resampling: ``bilinear`` (averages linear power) or ``nearest``.
        gdal: access settings of the catalogue.

    Returns:
        Scene: dims (y, x), float32, linear gamma0 (1), NaN = not observed.

    Raises:
        AssetError: an asset is missing, damaged, without CRS, or holds no data at all; the message names it.
    """
    names = acquisition.polarisations or tuple(
        name for name in POLARISATIONS if any(name in item.assets for item in acquisition.slices)
    )
    if not names or not acquisition.slices:
        raise AssetError(
            f"Acquisition {acquisition.acquisition_id} has no asset of a polarisation; expected one of "
            f"{', '.join(POLARISATIONS)}."
        )
    bands = {
        name: load_band(
            assets_of(acquisition.slices, name, sign=sign, invalid=NO_DATA, gdal=gdal),
            grid,
            chunk=chunk,
            resampling=resampling,
        )
        for name in names
    }
    measure = _measure(acquisition)
    scene = xr.Dataset(
        {name: _power(band, name, measure) for name, band in bands.items()}, attrs=_attributes(acquisition, measure)
    )
    return check_scene(scene)


def _measure(acquisition: Acquisition) -> str:
    """``gamma0``, as terrain-corrected products are unless an item says ``sigma0``."""
    return (
        "sigma0" if any(item.facts.get("overbank:backscatter") == "sigma0" for item in acquisition.slices) else "gamma0"
    )


def _power(band: xr.DataArray, name: str, measure: str) -> xr.DataArray:
    """Only positive, finite power is an observation."""
    valid = (band > 0) & np.isfinite(band)
    return band.where(valid).assign_attrs(units="1", long_name=f"{measure} {name.upper()}")


def _attributes(acquisition: Acquisition, measure: str) -> dict[str, str | int]:
    attributes: dict[str, str | int] = {
        "backscatter": measure,
        "acquisition_id": acquisition.acquisition_id,
        "datetime": acquisition.start.isoformat(),
        "platform": acquisition.platform,
        "slices": " ".join(item.item_id for item in acquisition.slices),
    }
    if acquisition.relative_orbit is not None:
        attributes["relative_orbit"] = acquisition.relative_orbit
    if acquisition.orbit_direction is not None:
        attributes["orbit_direction"] = str(acquisition.orbit_direction)
    return attributes
