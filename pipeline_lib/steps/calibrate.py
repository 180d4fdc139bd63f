"""Calibrate: one Sentinel-1 GRD product and an elevation model in, one georeferenced raster out."""

import math
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import rasterio
import rioxarray
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from pyproj.exceptions import ProjError
from rasterio.errors import RasterioError
from rasterio.windows import Window
from shapely.geometry import MultiPoint, mapping

from pipeline_lib.errors import InputError, RasterError
from pipeline_lib.grid import MAX_PIXELS, choose_grid
from pipeline_lib.load.safe_tile import INCIDENCE, MASK, GrdProduct
from pipeline_lib.load.sentinel1_grd import open_grd, scene_of
from pipeline_lib.model import Grid, polarisations_of
from pipeline_lib.options.calibrate import CalibrateOptions
from pipeline_lib.whole_raster import whole_raster

DEM_CHUNK = 2048
BLOCK = 512


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """What ``overbank calibrate`` wrote."""

    path: Path
    bands: tuple[str, ...]
    grid: Grid
    observed_share: float
    """Share of the grid's pixels with a value in the first polarisation."""
    layover_share: float
    shadow_share: float
    """Shares of the pixels in view."""
    orbit_source: str


def calibrate(
    safe: str,
    dem: Path,
    out: Path,
    *,
    grid: str | None = None,
    pixel_m: float = 10.0,
    options: CalibrateOptions | None = None,
) -> Calibrated:
    """Calibrate, geocode and flatten one GRD product; write a tiled GeoTIFF.

    Args:
        safe: path or URL of the SAFE folder or zip.
        dem: elevation model with a CRS that covers the area; any raster GDAL reads (a VRT of several tiles, too).
        out: GeoTIFF to write: one float32 band for each polarisation (linear), the local incidence angle (degree), and
            layover and shadow (1 shadow, 2 layover, 3 both); NaN = no data.
        grid: a raster whose grid is taken, or ``EPSG:<code>`` of the CRS; the UTM zone of the image where None.
        pixel_m: pixel where the grid is not taken from a raster, in units of the CRS.
        options: calibration and geometry.

    Raises:
        AssetError: a file of the product is missing or damaged.
        RasterError: the DEM or the grid's raster cannot be used, or a polarisation is not in the product.
        StoreError: the output cannot be written.
    """
    options = options or CalibrateOptions()
    product = open_grd(safe, options)
    target = _grid(product, grid, pixel_m)
    scene = scene_of((product,), target, open_dem(dem), options)
    bands = (*polarisations_of(scene), INCIDENCE, MASK)
    observed, layover, shadow = _write(scene, bands, target, out)
    pixels = target.shape[0] * target.shape[1]
    return Calibrated(
        path=out,
        bands=bands,
        grid=target,
        observed_share=observed / pixels,
        layover_share=layover / max(observed, 1),
        shadow_share=shadow / max(observed, 1),
        orbit_source=str(scene.attrs["orbit_source"]),
    )


def open_dem(path: Path) -> xr.DataArray:
    """Open an elevation model lazily as float32 (y, x), NaN = void.

    Raises:
        RasterError: it is not there, not a raster, or has no CRS.
    """
    try:
        raster = rioxarray.open_rasterio(path, chunks={"x": DEM_CHUNK, "y": DEM_CHUNK}, masked=True, cache=False)
    except (RasterioError, OSError, ValueError) as error:
        raise RasterError(f"The elevation model {path} cannot be read ({error}); give a GeoTIFF or a VRT.") from error
    if not isinstance(raster, xr.DataArray) or raster.sizes.get("band", 1) != 1 or raster.rio.crs is None:
        raise RasterError(
            f"The elevation model {path} must have one band and a CRS; give a DEM such as Copernicus GLO-30."
        )
    return raster.squeeze("band", drop=True).astype(np.float32)


def _grid(product: GrdProduct, grid: str | None, pixel_m: float) -> Grid:
    """The grid asked for."""
    tie = next(iter(product.measurements.values())).annotation.geolocation
    if grid is None:
        outline = MultiPoint(np.stack([tie.longitude_deg, tie.latitude_deg], axis=1)).convex_hull
        return choose_grid(dict(mapping(outline)), pixel_m=pixel_m)
    if grid.upper().startswith("EPSG:"):
        return _grid_in(grid.upper(), tie.longitude_deg, tie.latitude_deg, pixel_m)
    try:
        with rasterio.open(grid) as raster:
            if raster.crs is None:
                raise RasterError(f"The raster {grid} has no CRS, so it gives no grid.")
            return Grid.of_geobox(GeoBox(raster.shape, raster.transform, str(raster.crs)))
    except (RasterioError, OSError) as error:
        raise RasterError(f"--grid {grid} is neither EPSG:<code> nor a raster that can be read ({error}).") from error


def _grid_in(crs: str, longitude: NDArray[np.float64], latitude: NDArray[np.float64], pixel: float) -> Grid:
    """Smallest grid of whole pixels in a CRS over the image's tie points."""
    try:
        x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(longitude, latitude)
    except ProjError as error:
        raise InputError(f"--grid {crs} is not a CRS that the image can be mapped to ({error}).") from error
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError(f"--grid {crs} does not reach the image; choose the CRS of its region.")
    left, top = math.floor(x.min() / pixel) * pixel, math.ceil(y.max() / pixel) * pixel
    columns, rows = math.ceil((x.max() - left) / pixel), math.ceil((top - y.min()) / pixel)
    if not 0 < columns * rows <= MAX_PIXELS:
        raise InputError(
            f"--grid {crs} with a pixel of {pixel:g} needs {columns} x {rows} pixels; give a larger pixel."
        )
    return Grid(crs=crs, transform=(pixel, 0.0, left, 0.0, -pixel, top), shape=(rows, columns))


class _Band:
    """Where Dask puts the blocks of one band."""

    def __init__(self, target: Any, number: int, lock: Any) -> None:
        self.target, self.number, self.lock = target, number, lock

    def __setitem__(self, key: tuple[slice, slice], block: NDArray[Any]) -> None:
        rows, columns = key
        window = Window(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
        with self.lock:
            self.target.write(block.astype(np.float32), self.number, window=window)


def _write(scene: xr.Dataset, bands: tuple[str, ...], grid: Grid, out: Path) -> tuple[int, int, int]:
    """Write block by block beside the target, then rename; count observed, layover and shadow pixels on the way."""
    profile = {
        "driver": "GTiff", "dtype": "float32", "count": len(bands), "height": grid.shape[0], "width": grid.shape[1],
        "crs": grid.crs, "transform": grid.geobox.affine, "nodata": float("nan"), "tiled": True, "blockxsize": BLOCK,
        "blockysize": BLOCK, "compress": "zstd", "zstd_level": 1, "predictor": 3, "bigtiff": "if_safer",
        "num_threads": 2, "interleave": "band",
    }  # fmt: skip
    seen, codes = scene[bands[0]].data, scene[MASK].data
    counts = [da.isfinite(seen).sum(), ((codes & 2) > 0).sum(), ((codes & 1) > 0).sum()]
    with (
        whole_raster(out) as partial,
        rasterio.Env(GDAL_CACHEMAX=256),
        rasterio.open(partial, "w", **profile) as target,
    ):
        for number, name in enumerate(bands, start=1):
            target.set_band_description(number, name)
        target.update_tags(**{key: str(value) for key, value in scene.attrs.items()})
        lock = threading.Lock()
        stores = [
            da.store(scene[name].data, _Band(target, number, lock), lock=False, compute=False)
            for number, name in enumerate(bands, start=1)
        ]
        observed, layover, shadow, *_ = da.compute(*counts, *stores)
    return int(observed), int(layover), int(shadow)
