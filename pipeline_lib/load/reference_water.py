"""Long-term water from space (JRC Global Surface Water) onto the grid.

References:
    Pekel et al. 2016, High-resolution mapping of global surface water and its long-term changes, Nature 540, 418-422.
"""

from collections.abc import Mapping, Sequence

import xarray as xr

from pipeline_lib.load.asset import Asset, Sign, assets_of
from pipeline_lib.load.mosaic import load_band
from pipeline_lib.model import CatalogItem, Grid

OCCURRENCE = "occurrence"
SEASONALITY = "seasonality"
NO_DATA = (255.0,)


def load_water_occurrence(
    items: Sequence[CatalogItem],
    grid: Grid,
    *,
    sign: Sign,
    chunk: int = 2048,
    gdal: Mapping[str, str | int] | None = None,
) -> xr.DataArray:
    """Share of the observations since 1984 that saw water.

    Returns:
        ``water_occurrence``: (y, x) float32, percent 0 to 100, Dask-chunked, NaN = unknown; all NaN without items.

    Raises:
        AssetError: a tile is missing, damaged, or without CRS.
    """
    band = load_band(_assets(items, OCCURRENCE, sign, gdal), grid, chunk=chunk, resampling="bilinear")
    percent = band.where((band >= 0) & (band <= 100))
    return percent.rename("water_occurrence").assign_attrs(units="percent", long_name="long-term water occurrence")


def load_water_seasonality(
    items: Sequence[CatalogItem],
    grid: Grid,
    *,
    sign: Sign,
    chunk: int = 2048,
    gdal: Mapping[str, str | int] | None = None,
) -> xr.DataArray:
    """Months of the year with water, from the items that have the layer.

    Returns:
        ``water_seasonality``: (y, x) float32, months 0 to 12, nearest neighbour, Dask-chunked, NaN = unknown; all NaN
        where no item has the layer.

    Raises:
        AssetError: a tile is missing, damaged, or without CRS.
    """
    holding = [item for item in items if SEASONALITY in item.assets]
    band = load_band(_assets(holding, SEASONALITY, sign, gdal), grid, chunk=chunk, resampling="nearest")
    months = band.where((band >= 0) & (band <= 12))
    return months.rename("water_seasonality").assign_attrs(units="month", long_name="months with water in a year")


def _assets(
    items: Sequence[CatalogItem], key: str, sign: Sign, gdal: Mapping[str, str | int] | None
) -> tuple[Asset, ...]:
    """Only 255 is no data, whatever the file declares: 0 means that water was never seen."""
    return assets_of(tuple(items), key, sign=sign, invalid=NO_DATA, own_nodata=False, may_be_empty=True, gdal=gdal)
