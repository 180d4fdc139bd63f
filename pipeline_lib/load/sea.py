"""Sea without elevation: where a catalogue of Copernicus DEM has no tile, there is no land in it.

Copernicus DEM comes in tiles of one degree, and a tile that would hold nothing but sea does not exist; inside a tile
the sea is 0 m. So open sea is where the area was searched and no tile was found, and its height is that of the geoid.
This is said of catalogues that hold the whole of GLO-30 only, and never of voids inside a tile.

References:
    Copernicus DEM Product Handbook, GEO.2018-1988-2, 2.2 (tiles, spacing by latitude), 2.6 (editing of water).
"""

import math
from collections.abc import Iterable
from functools import partial
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from shapely.geometry import box, shape

from pipeline_lib.model import CatalogItem

Cell = tuple[int, int]
"""West and south of a cell of one degree, whole degrees."""

LAND_WITHOUT_TILES = (43, 38, 51, 42)
"""West, south, east, north of Armenia and Azerbaijan, whose tiles GLO-30 withheld from the public for years."""
_SPACING_S = ((50, 1.0), (60, 1.5), (70, 2.0), (80, 3.0), (85, 5.0), (90, 10.0))
"""Up to this latitude, the distance of columns, arc seconds; rows are 1 apart everywhere."""


def sea_cells(area: dict[str, Any], tiles: Iterable[CatalogItem]) -> tuple[Cell, ...]:
    """Cells of one degree that the area touches and no tile covers; none where there is no tile at all.

    Args:
        area: that the catalogue was searched for, GeoJSON, EPSG:4326; what lies beyond it was not searched.
        tiles: of Copernicus DEM over the area.
    """
    held = [shape(tile.footprint).bounds for tile in tiles if tile.footprint]
    known = {(math.floor((west + east) / 2), math.floor((south + north) / 2)) for west, south, east, north in held}
    if not known:
        return ()
    searched = shape(area)
    west, south, east, north = searched.bounds
    west_land, south_land, east_land, north_land = LAND_WITHOUT_TILES
    return tuple(
        (column, row)
        for row in range(math.floor(south), math.ceil(north))
        for column in range(math.floor(west), math.ceil(east))
        if (column, row) not in known
        and not (west_land <= column < east_land and south_land <= row < north_land)
        and searched.intersection(box(column, row, column + 1, row + 1)).area > 0
    )


def cell_name(cell: Cell) -> str:
    """A cell as its tile would be called: ``N45E012``."""
    column, row = cell
    return f"{'N' if row >= 0 else 'S'}{abs(row):02d}{'E' if column >= 0 else 'W'}{abs(column):03d}"


def with_sea(elevation_m: xr.DataArray, cells: tuple[Cell, ...]) -> xr.DataArray:
    """Put 0 m above the geoid where elevation is unknown within cells of sea.

    Args:
        elevation_m: (y, x) float32 on a map grid, Dask-chunked, NaN = unknown.
        cells: of `sea_cells`.

    Returns:
        The same with sea filled, lazily; ``attrs["sea_cells"]`` names the cells.
    """
    if not cells:
        return elevation_m
    fill = partial(_filled, geobox=elevation_m.odc.geobox, cells=frozenset(cells))
    data = da.map_blocks(fill, elevation_m.data, dtype="float32", meta=np.empty((0, 0), "f4"))
    return elevation_m.copy(data=data).assign_attrs(sea_cells=" ".join(map(cell_name, cells)))


def _filled(
    values: NDArray[np.float32], geobox: GeoBox, cells: frozenset[Cell], block_info: Any = None
) -> NDArray[np.float32]:
    """One block."""
    unknown = np.isnan(values)
    if not unknown.any():
        return values
    (top, _), (left, _) = block_info[0]["array-location"]
    row, column = np.nonzero(unknown)
    x, y = geobox.affine * (column + left + 0.5, row + top + 0.5)
    transform = Transformer.from_crs(str(geobox.crs), "EPSG:4326", always_xy=True).transform
    longitude, latitude = (np.asarray(axis) for axis in transform(x, y))
    # A tile begins half a pixel west and north of its degree: its pixels are points that lie on the degree.
    limits, spacing = (np.array(column) for column in zip(*_SPACING_S, strict=True))
    half = spacing[np.searchsorted(limits, np.minimum(np.abs(latitude), 89.9), side="right")] / 7200
    west, south = np.floor(longitude + half).astype(int), np.floor(latitude - 1 / 7200).astype(int)
    at_sea = np.zeros(row.size, bool)
    for cell in cells:
        at_sea |= (west == cell[0]) & (south == cell[1])
    out = values.copy()
    out[row[at_sea], column[at_sea]] = 0.0
    return out
