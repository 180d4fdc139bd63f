"""Real rasters onto a grid, beside GDAL's warper; real GRD images are refused where a map grid is expected."""

from datetime import datetime, timezone

import numpy as np
import pytest
import rasterio
from rasterio.warp import Resampling, reproject, transform_bounds

from pipeline_lib.errors import AssetError
from pipeline_lib.load.asset import assets_of
from pipeline_lib.load.mosaic import load_band
from pipeline_lib.model import CatalogItem, Grid
from pipeline_lib.terrain import terrain_of

NOW = datetime(2020, 1, 1, tzinfo=timezone.utc)


def item_of(path) -> CatalogItem:
    return CatalogItem(
        item_id=path.stem,
        collection="c",
        start=NOW,
        end=NOW,
        footprint={"type": "Point", "coordinates": [0, 0]},
        assets={"data": str(path)},
    )


def grid_inside(dataset, shape=(300, 320)) -> Grid:
    """A UTM grid of 10 m in the middle of a raster in degrees."""
    west, south, east, north = dataset.bounds
    zone = int(((west + east) / 2 + 180) // 6) + 1
    crs = f"EPSG:{(32600 if south > 0 else 32700) + zone}"
    left, bottom, right, top = transform_bounds(dataset.crs, crs, west, south, east, north)
    x, y = np.floor((left + right) / 20) * 10, np.floor((bottom + top) / 20) * 10
    return Grid(crs=crs, transform=(10, 0, x - 5 * shape[1], 0, -10, y + 5 * shape[0]), shape=shape)


def by_gdal(path, grid: Grid, resampling: Resampling) -> np.ndarray:
    out = np.full(grid.shape, np.nan, "f4")
    with rasterio.open(path) as dataset:
        reproject(
            dataset.read(1, out_dtype="float32"),
            out,
            src_transform=dataset.transform,
            src_crs=dataset.crs,
            dst_transform=grid.geobox.affine,
            dst_crs=grid.crs,
            resampling=resampling,
            src_nodata=np.nan,
            dst_nodata=np.nan,
        )
    return out


def test_real_elevation_agrees_with_gdal_and_gives_terrain(real_data):
    path = next((path for path in sorted((real_data / "s1_safe").rglob("*DEM*.tif"))), None)
    if path is None:
        pytest.skip("no real elevation model among the SAFE samples")
    with rasterio.open(path) as dataset:
        grid = grid_inside(dataset)
    ours = load_band(assets_of((item_of(path),), "data", sign=str), grid, resampling="cubic", chunk=130)
    theirs = by_gdal(path, grid, Resampling.cubic)
    difference = np.abs(ours.compute().to_numpy() - theirs)
    assert np.isfinite(difference).mean() > 0.9
    assert np.nanmedian(difference) < 0.1  # metres, in the Apennines; GDAL's coordinates err by up to 0.125 px
    assert np.nanquantile(difference, 0.99) < 1.5
    terrain = terrain_of(ours.assign_attrs(native_pixel_m=30.9).compute())
    assert 0 < float(terrain["slope_deg"].median()) < 45
    assert float(terrain["hand_m"].min()) == 0


def test_a_real_chip_in_degrees_agrees_with_gdal(real_data):
    path = real_data / "sen1floods11" / "S1Hand" / "Spain_7370579_S1Hand.tif"
    if not path.exists():
        pytest.skip(f"no real chip: {path} is not there")
    with rasterio.open(path) as dataset:
        grid = grid_inside(dataset, (250, 260))
    ours = load_band(assets_of((item_of(path),), "data", sign=str), grid, chunk=100).compute().to_numpy()
    theirs = by_gdal(path, grid, Resampling.bilinear)
    both = np.isfinite(ours) & np.isfinite(theirs)
    assert both.mean() > 0.95
    assert np.corrcoef(ours[both], theirs[both])[0, 1] > 0.99


def test_a_chip_without_a_valid_pixel_is_refused(real_data):
    files = list((real_data / "sen1floods11" / "S1Hand").glob("Paraguay*.tif"))
    if not files:
        pytest.skip("no all-NaN chip among the real data")
    for path in files:
        with rasterio.open(path) as dataset:
            if np.isfinite(dataset.read(1)).any():
                continue
        with pytest.raises(AssetError, match="holds no data at all"):
            assets_of((item_of(path),), "data", sign=str)


def test_real_grd_images_have_no_map_grid(real_data):
    files = sorted((real_data / "rio_tiler_pds").rglob("*.tiff"))
    assert files
    for path in files:
        with pytest.raises(AssetError, match="only ground control points"):
            assets_of((item_of(path),), "data", sign=str)
