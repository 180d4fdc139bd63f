"""The event's one GeoBox: chosen from the area, in UTM, snapped to whole pixels."""

import math
from typing import Any

from odc.geo.geom import Geometry
from shapely.affinity import translate
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry, BaseMultipartGeometry
from shapely.ops import unary_union

from pipeline_lib.errors import AreaError
from pipeline_lib.model.area import crosses_antimeridian, meant
from pipeline_lib.model.grid import Grid
from pipeline_lib.place import described

MAX_PIXELS = 2_000_000_000
"""A grid beyond this is refused: such an event is mapped as several areas."""


def choose_grid(area: dict[str, Any], *, pixel_m: float = 10.0) -> Grid:
    """Smallest UTM grid of ``pixel_m`` pixels over an area, edges on whole multiples of ``pixel_m``.

    The zone is that of the area's centroid, also where the area reaches into a neighbouring zone: one event has one
    grid, and UTM stays within 0.1 % of true scale for some degrees beyond its zone. An area over the antimeridian is
    taken as one piece.

    Args:
        area: GeoJSON Polygon or MultiPolygon, EPSG:4326.
        pixel_m: pixel size, metres.

    Raises:
        AreaError: the area lies beyond UTM (84 N, 80 S) or needs more than `MAX_PIXELS` pixels.
    """
    geometry = _in_one_piece(shape(area)) if crosses_antimeridian(area) else shape(area)
    centre = geometry.centroid
    if not -80 <= centre.y <= 84:
        raise AreaError(
            f"The area's centre at latitude {centre.y:g} lies beyond UTM; expected -80 to 84. It is "
            f"{described(shape(area))}.{meant(geometry.bounds)}"
        )
    zone = int(((centre.x + 180) % 360) // 6) + 1
    crs = f"EPSG:{(32600 if centre.y >= 0 else 32700) + zone}"
    west, south, east, north = _projected(geometry, crs).boundingbox.bbox
    left, bottom = math.floor(west / pixel_m) * pixel_m, math.floor(south / pixel_m) * pixel_m
    columns, rows = math.ceil((east - left) / pixel_m), math.ceil((north - bottom) / pixel_m)
    if columns * rows > MAX_PIXELS:
        raise AreaError(
            f"The area needs {columns} x {rows} pixels of {pixel_m:g} m; at most {MAX_PIXELS:,} are mapped as one "
            f"event. It is {described(shape(area))}. Give a smaller area, several events, or a larger pixel."
            f"{meant(geometry.bounds)}"
        )
    top = bottom + rows * pixel_m
    return Grid(crs=crs, transform=(pixel_m, 0.0, left, 0.0, -pixel_m, top), shape=(rows, columns))


def _in_one_piece(area: BaseGeometry) -> BaseGeometry:
    """Shift the western parts of an area over the antimeridian by 360 degrees, beside the eastern ones."""
    parts = area.geoms if isinstance(area, BaseMultipartGeometry) else [area]
    return unary_union([translate(part, 360.0) if part.bounds[2] <= 0 else part for part in parts])


def _projected(geometry: BaseGeometry, crs: str) -> Geometry:
    """Project a lon/lat geometry with its edges densified, so that the box holds curved edges too."""
    return Geometry(geometry, "EPSG:4326").to_crs(crs, resolution=0.05, wrapdateline=False)


def padded(grid: Grid, margin_px: int) -> Grid:
    """The same lattice with ``margin_px`` more pixels on every side."""
    a, b, left, d, e, top = grid.transform
    rows, columns = grid.shape
    return Grid(
        crs=grid.crs,
        transform=(a, b, left - margin_px * a, d, e, top - margin_px * e),
        shape=(rows + 2 * margin_px, columns + 2 * margin_px),
    )
