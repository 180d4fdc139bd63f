"""A GRD image placed by its own ground control points alone: for a first look, where there is no annotation or DEM.

The points carry the terrain's heights, so a warp by them bends with relief (hundreds of metres off in mountains, a
fraction of a pixel over plains and sea). `pipeline_lib.load.sentinel1_grd` is the way to measure; this is for seeing.

What an item says of a GRD image's place (``proj:transform``, ``proj:epsg``) is never read: archives make it up from the
footprint. The file decides, and a file with a CRS of its own is refused here. GDAL's WarpedVRT is not used: on images
placed by control points it returns zeros for an explicit grid (GDAL 3.10), without a word.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import dask.array as da
import numpy as np
import rasterio
import xarray as xr
from dask.base import tokenize
from numpy.typing import NDArray
from odc.geo.xr import xr_coords
from rasterio.control import GroundControlPoint
from rasterio.errors import RasterioError
from rasterio.transform import GCPTransformer
from rasterio.windows import Window

from pipeline_lib.errors import AssetError, shown
from pipeline_lib.load.safe_files import gdal_path, unsigned
from pipeline_lib.model import Grid
from pipeline_lib.sar.lattice import transformer
from pipeline_lib.sar.resample import sample_image

NODE_STEP = 32
"""Grid pixels between two exactly transformed nodes; linear between them."""


def load_by_gcps(
    href: str,
    grid: Grid,
    *,
    sign: Callable[[str], str] = unsigned,
    chunk: int = 1024,
    gdal: Mapping[str, str | int] | None = None,
) -> xr.DataArray:
    """Warp a GRD measurement onto a grid by a thin-plate spline through its ground control points.

    Args:
        href: of the TIFF.
        grid: target.
        sign: makes the href readable.
        chunk: pixels along each side of a Dask chunk.
        gdal: access settings.

    Returns:
        (y, x) float32 digital numbers (amplitude, not calibrated), NaN = no data.

    Raises:
        AssetError: the file cannot be read, has a map CRS of its own, or has no control points.
    """
    with rasterio.Env(**dict(gdal or {})):
        try:
            with rasterio.open(gdal_path(sign(href))) as dataset:
                points, crs = dataset.gcps
                own, shape = dataset.crs, dataset.shape
        except (RasterioError, OSError) as error:
            raise AssetError(f"The GRD image {shown(href)} cannot be read ({type(error).__name__}).") from None
    if own is not None or not points or crs is None:
        placed = f"a map CRS ({own})" if own is not None else "no ground control points"
        raise AssetError(
            f"The GRD image {shown(href)} has {placed}; expected one placed by ground control points alone."
        )
    frame = ([(p.row, p.col, p.x, p.y) for p in points], crs.to_string(), shape)
    chunks = tuple(tuple(min(chunk, size - start) for start in range(0, size, chunk)) for size in grid.shape)
    blocks = da.map_blocks(
        partial(_block, href=href, sign=sign, frame=frame, grid=grid, gdal=dict(gdal or {})),
        chunks=chunks,
        dtype=np.float32,
        meta=np.empty((0, 0), np.float32),
        name=f"gcp-{tokenize(href, frame, grid.model_dump())}",
    )
    warped = xr.DataArray(blocks, dims=("y", "x"), coords=xr_coords(grid.geobox), name="digital_number")
    return warped.assign_attrs(units="1", long_name="GRD digital number, placed by ground control points")


def _block(
    *,
    href: str,
    sign: Callable[[str], str],
    frame: tuple[list[tuple[float, float, float, float]], str, tuple[int, int]],
    grid: Grid,
    gdal: dict[str, str | int],
    block_info: Any,
) -> NDArray[np.float32]:
    """One block: positions in the image, the window they span, and its samples."""
    (top, bottom), (left, right) = block_info[None]["array-location"]
    points, crs, shape = frame
    line, pixel = _positions(points, crs, grid, (top, bottom, left, right))
    inside = (line > -1) & (line < shape[0]) & (pixel > -1) & (pixel < shape[1])
    if not inside.any():
        return np.full(line.shape, np.nan, np.float32)
    first_line, first_pixel = max(int(line[inside].min()) - 1, 0), max(int(pixel[inside].min()) - 1, 0)
    last_line = min(int(line[inside].max()) + 3, shape[0])
    last_pixel = min(int(pixel[inside].max()) + 3, shape[1])
    window = Window(first_pixel, first_line, last_pixel - first_pixel, last_line - first_line)
    try:
        with rasterio.Env(**gdal), rasterio.open(gdal_path(sign(href))) as dataset:
            numbers = dataset.read(1, window=window).astype(np.float32)
    except (RasterioError, OSError) as error:
        raise AssetError(
            f"The GRD image {shown(href)} is damaged near line {first_line} ({type(error).__name__})."
        ) from None
    numbers[numbers == 0] = np.nan
    return sample_image(numbers, line, pixel, origin=(first_line, first_pixel))


def _positions(
    points: list[tuple[float, float, float, float]], crs: str, grid: Grid, window: tuple[int, int, int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Line and pixel (row, column) at sample centres, exact at nodes of the grid and linear between."""
    top, bottom, left, right = window
    rows = np.arange(top // NODE_STEP, -(-bottom // NODE_STEP) + 1) * NODE_STEP
    columns = np.arange(left // NODE_STEP, -(-right // NODE_STEP) + 1) * NODE_STEP
    column, row = np.meshgrid(columns + 0.5, rows + 0.5)
    x, y = grid.geobox.affine * (column, row)
    longitude, latitude = transformer(grid.crs, crs).transform(x, y)
    control = [GroundControlPoint(row=r, col=c, x=px, y=py) for r, c, px, py in points]
    with GCPTransformer(control, tps=True) as spline:
        lines, pixels = spline.rowcol(np.ravel(longitude), np.ravel(latitude), op=np.asarray)
    return tuple(  # type: ignore[return-value]
        _between(np.asarray(values, dtype=np.float64).reshape(column.shape) - 0.5, rows, columns, window)
        for values in (lines, pixels)
    )


def _between(
    nodes: NDArray[np.float64], rows: NDArray[np.int64], columns: NDArray[np.int64], window: tuple[int, int, int, int]
) -> NDArray[np.float64]:
    """Bilinear from nodes to every pixel of the window."""
    top, bottom, left, right = window
    r, c = np.arange(top, bottom), np.arange(left, right)
    i, j = (r - rows[0]) // NODE_STEP, (c - columns[0]) // NODE_STEP
    u, v = ((r - rows[i]) / NODE_STEP)[:, None], ((c - columns[j]) / NODE_STEP)[None, :]
    upper = nodes[i][:, j] * (1 - v) + nodes[i][:, j + 1] * v
    lower = nodes[i + 1][:, j] * (1 - v) + nodes[i + 1][:, j + 1] * v
    return np.asarray(upper * (1 - u) + lower * u)
