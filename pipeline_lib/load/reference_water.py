"""Long-term water from space (JRC Global Surface Water) onto the grid.

References:
    Pekel et al. 2016, High-resolution mapping of global surface water and its long-term changes, Nature 540, 418-422.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import xarray as xr

from pipeline_lib.load.asset import Sign, assets_of
from pipeline_lib.load.mosaic import load_band
from pipeline_lib.model import CatalogItem, Grid

NO_DATA = (255.0,)


@dataclass(frozen=True, kw_only=True)
class WaterLayer:
    """One layer of the history of surface water."""

    asset: str
    most: float
    """Values from 0 to this one are meant; others say that something is unknown."""
    resampling: str
    units: str
    long_name: str
    everywhere: bool = True
    """Whether each item has it; else what has none is unknown there."""


WATER_LAYERS = {
    "water_occurrence": WaterLayer(
        asset="occurrence", most=100, resampling="bilinear", units="percent", long_name="long-term water occurrence"
    ),
    "water_seasonality": WaterLayer(
        asset="seasonality",
        most=12,
        resampling="nearest",
        units="month",
        long_name="months with water in a year",
        everywhere=False,
    ),
}
"""Share of the observations since 1984 that saw water, and months of the year with water."""


def load_reference_water(
    items: Sequence[CatalogItem],
    grid: Grid,
    *,
    sign: Sign,
    chunk: int = 2048,
    gdal: Mapping[str, str | int] | None = None,
) -> xr.Dataset:
    """Every layer of `WATER_LAYERS`.

    Returns:
        One variable a layer: (y, x) float32, ``water_occurrence`` in percent, ``water_seasonality`` in months (nearest
        neighbour), Dask-chunked, NaN = unknown; all NaN without items. Items without seasonality are unknown there.

    Raises:
        AssetError: an item has no occurrence, or a tile is missing, damaged, or without CRS.
    """
    layers = {}
    for name, layer in WATER_LAYERS.items():
        holding = tuple(item for item in items if layer.everywhere or layer.asset in item.assets)
        # Only 255 is no data, whatever the file declares: 0 means that water was never seen.
        assets = assets_of(
            holding, layer.asset, sign=sign, invalid=NO_DATA, own_nodata=False, may_be_empty=True, gdal=gdal
        )
        band = load_band(assets, grid, chunk=chunk, resampling=layer.resampling)
        known = band.where((band >= 0) & (band <= layer.most))
        layers[name] = known.assign_attrs(units=layer.units, long_name=layer.long_name)
    return xr.Dataset(layers)
