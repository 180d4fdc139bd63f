"""Elevation onto the grid."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import unquote, urlsplit

import rasterio
import xarray as xr
from rasterio.errors import RasterioError
from rasterio.warp import transform_bounds

from pipeline_lib.catalog.footprint import footprint_of
from pipeline_lib.catalog.profiles import folder_reference
from pipeline_lib.errors import AssetError, InputError, shown
from pipeline_lib.load.asset import Asset, Sign, assets_of
from pipeline_lib.load.mosaic import load_band
from pipeline_lib.model import CatalogItem, Grid
from pipeline_lib.pixel import ground_size_m

ASSET_KEYS = ("data", "elevation", "dem")
FILL = (-32768.0, -32767.0, -9999.0)
LOWEST_M, HIGHEST_M = -500.0, 9000.0
"""Below the shore of the Dead Sea and above Mount Everest there is no ground: such values are fill."""
UNDATED = datetime(2000, 1, 1, tzinfo=timezone.utc)
"""The date of an elevation model of a person's own; nothing depends on it."""


def load_dem(
    items: Sequence[CatalogItem],
    grid: Grid,
    *,
    sign: Sign,
    chunk: int = 2048,
    resampling: str = "cubic",
    gdal: Mapping[str, str | int] | None = None,
) -> xr.DataArray:
    """Elevation above the DEM's own geoid (EGM2008 for Copernicus DEM) on the grid.

    Tiles that share a pixel lattice are joined before resampling, so that slope and drainage see no seam. Copernicus
    DEM has no tiles over open sea: sea is NaN here, like any void (`pipeline_lib.load.sea` tells them apart).

    Returns:
        ``elevation_m``: (y, x) float32, metres, Dask-chunked, NaN = unknown; all NaN where there are no items.
        ``attrs["native_pixel_m"]`` is the pixel of the coarsest tile.

    Raises:
        AssetError: a tile is missing, damaged, or without CRS.
    """
    assets = tuple(
        asset
        for item in items
        for asset in assets_of((item,), _key(item), sign=sign, invalid=FILL, may_be_empty=True, gdal=gdal)
    )
    band = load_band(assets, grid, chunk=chunk, resampling=resampling)
    known = (band > LOWEST_M) & (band < HIGHEST_M)
    attributes: dict[str, str | float] = {"units": "m", "long_name": "elevation above the geoid"}
    if assets:
        attributes["native_pixel_m"] = max(_pixel_m(asset) for asset in assets)
    return band.where(known).rename("elevation_m").assign_attrs(attributes)


def dem_file(name: str) -> CatalogItem | None:
    """A raster of elevation that a person names, as an item; None where there is no such file.

    Args:
        name: path, or ``file://`` URL.

    Raises:
        InputError: the file is no raster, or has no place on the map.
    """
    path = Path(unquote(urlsplit(name).path) if name.startswith("file:") else name).expanduser().resolve()
    if not path.is_file():
        return None
    try:
        with rasterio.open(path) as dataset:
            if dataset.crs is None:
                raise InputError(f"The elevation model {path} has no CRS; give a raster with its place on the map.")
            bounds = transform_bounds(dataset.crs, "EPSG:4326", *dataset.bounds, densify_pts=21)
    except RasterioError as error:
        raise InputError(f"The elevation model {path} cannot be read as a raster ({shown(error)}).") from error
    return CatalogItem(
        item_id=path.stem,
        collection="elevation",
        start=UNDATED,
        end=UNDATED,
        footprint=footprint_of(None, bounds, None)[0],
        assets={"data": path.as_uri()},
        catalog=folder_reference(path.parent),
    )


def _pixel_m(asset: Asset) -> float:
    """Height of a pixel of a tile, metres."""
    height, _ = ground_size_m(asset.transform[4], asset.transform[0], asset.crs, latitude_deg=0.0)
    return round(height, 2)


def _key(item: CatalogItem) -> str:
    for key in ASSET_KEYS:
        if key in item.assets:
            return key
    raise AssetError(
        f"DEM item {item.item_id} has none of the assets {', '.join(ASSET_KEYS)}; it has: "
        f"{', '.join(sorted(item.assets)) or 'none'}."
    )
