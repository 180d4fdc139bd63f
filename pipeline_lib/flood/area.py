"""True areas of pixels: a map projection stretches, and a country's flooded square kilometres should not."""

import math
import threading
from typing import Any

import dask
import dask.array as da
import numpy as np
import rioxarray  # noqa: F401 - registers the .rio accessor
import shapely
import xarray as xr
from pyproj import CRS, Proj, Transformer
from rasterio.features import rasterize
from rasterio.transform import Affine
from shapely.affinity import translate
from shapely.geometry import mapping, shape
from shapely.ops import unary_union

from pipeline_lib.flood.window import WINDOW_PX, windows_of
from pipeline_lib.model import Grid
from pipeline_lib.model.area import crosses_antimeridian
from pipeline_lib.pixel import pixel_size_m

RASTERIO_WARNINGS = threading.Lock()
"""rasterio hides GDAL's warning about its own array by swapping the warning filters, which all threads share: two at a
time undo each other's and the warning comes through."""


def column_areas(layer: xr.DataArray) -> np.ndarray:
    """Ground area of a pixel of each column, square metres, float64 (x,).

    In transverse Mercator the areal scale depends on easting almost alone (to 1e-5 along a column of 200 km), so one
    value a column, taken at the middle row, is exact enough for any figure. A layer without CRS counts as undistorted.

    Args:
        layer: (y, x) with the coordinates of its pixels, in degrees or in a projected CRS.

    Raises:
        ContractError: the coordinates do not tell the size of a pixel.
    """
    nominal, columns = math.prod(pixel_size_m(layer)), layer.sizes["x"]
    crs = None if layer.rio.crs is None else CRS.from_user_input(layer.rio.crs.to_wkt())
    if crs is None or crs.is_geographic:
        return np.full(columns, nominal)
    x, y = layer["x"].values, layer["y"].values
    middle = np.full(columns, y[y.size // 2])
    longitude, latitude = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True).transform(x, middle)
    scale = np.asarray(Proj(crs).get_factors(longitude, latitude).areal_scale, dtype=np.float64)
    areas: np.ndarray = nominal / scale
    return areas


def inside_area(
    area: dict[str, Any], layer: xr.DataArray, grid: Grid, *, block_px: int = 2 * WINDOW_PX
) -> xr.DataArray:
    """Which pixels (by their centre) lie in an area of interest, lazily: uint8 (y, x), 1 inside.

    Args:
        area: GeoJSON Polygon or MultiPolygon, EPSG:4326.
        layer: gives the coordinates.
        grid: the grid of ``layer``.
        block_px: side of the windows that are worked on one by one; the result does not depend on it.
    """
    projected = project_area(area, grid.crs)
    run = dask.delayed(_inside, pure=True)
    box, rows = grid.geobox, []
    for line in windows_of(grid.shape, size=block_px):
        row = []
        for window in line:
            part = box[window.rows, window.columns]
            row.append(da.from_delayed(run(projected, part.affine, tuple(part.shape)), part.shape, np.uint8))
        rows.append(row)
    return xr.DataArray(da.block(rows), dims=("y", "x"), coords=layer.coords)


def project_area(area: dict[str, Any], crs: str) -> dict[str, Any]:
    """An EPSG:4326 area in another CRS, edges densified to 0.05 degrees, continued over the antimeridian."""
    geometry: Any = shape(area)
    if crosses_antimeridian(area):
        geometry = unary_union([translate(part, 360.0) if part.bounds[2] <= 0 else part for part in geometry.geoms])
    transform = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    dense = shapely.segmentize(geometry, 0.05)
    projected = shapely.transform(dense, lambda xy: np.column_stack(transform.transform(xy[:, 0], xy[:, 1])))
    result: dict[str, Any] = mapping(projected)
    return result


def _inside(area: dict[str, Any], transform: Affine, shape_px: tuple[int, int]) -> np.ndarray:
    """One window."""
    with RASTERIO_WARNINGS:
        burnt: np.ndarray = rasterize(
            [area], out_shape=shape_px, transform=transform, fill=0, default_value=1, dtype=np.uint8
        )
    return burnt
