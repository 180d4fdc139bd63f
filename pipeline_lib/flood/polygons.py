"""Flood as polygons: exact in area, smooth in outline, valid in topology, safe over the antimeridian.

Objects are 4-connected. Each window is traced by itself; objects that continue over a window's edge are joined, so that
no seam shows and no memory is needed for the whole grid. Area, dates and likelihood are counted from pixels before any
outline is smoothed. Smoothing is the coverage simplification of Visvalingam and Whyatt's triangles: edges move by about
``smoothing_m``, shared corners stay shared, and no two polygons overlap.

References:
    Visvalingam, Whyatt (1993), Line generalisation by repeated elimination of points, Cartographic Journal 30(1).
    RFC 7946 section 3.1.9, antimeridian cutting.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import geopandas
import numpy as np
import shapely
import xarray as xr
from rasterio.features import shapes
from rasterio.transform import Affine
from scipy.ndimage import label
from shapely.affinity import translate
from shapely.geometry import shape

from pipeline_lib.flood.area import column_areas
from pipeline_lib.flood.window import Window, windows_of

TRACE_PX = 2048
LAYERS = ("flood_extent", "flood_class", "likelihood", "first_seen", "last_seen", "observations")
NEVER = 65535
SUMS = ("area_m2", "open_m2", "vegetation_m2", "town_m2", "pixels", "likelihood", "observations")


@dataclass
class _Traced:
    """Pieces found so far: sums of each, its outline, and which pieces are one object."""

    outlines: list[shapely.Geometry] = field(default_factory=list)
    sums: list[np.ndarray] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    last: list[int] = field(default_factory=list)
    parent: list[int] = field(default_factory=list)

    def root(self, piece: int) -> int:
        """The piece that stands for its object."""
        while self.parent[piece] != piece:
            self.parent[piece] = self.parent[self.parent[piece]]
            piece = self.parent[piece]
        return piece

    def join(self, one: np.ndarray, other: np.ndarray) -> None:
        """Pieces that face each other over a window's edge are one object (0 = none, otherwise piece + 1)."""
        facing = np.unique(np.stack([one, other])[:, (one > 0) & (other > 0)], axis=1)
        for a, b in facing.T:
            roots = sorted((self.root(int(a) - 1), self.root(int(b) - 1)))
            self.parent[roots[1]] = roots[0]


def flood_polygons(
    flood: xr.Dataset, transform: Affine, *, min_area_m2: float = 0.0, max_polygons: int | None = None
) -> geopandas.GeoDataFrame:
    """Objects of ``flood_extent == 1`` as polygons with what their pixels say.

    Args:
        flood: a FloodMap or an event, dims (y, x); of `LAYERS` those that are there are used.
        transform: pixel corner (column, row) to map coordinates.
        min_area_m2: smaller objects are left out.
        max_polygons: only the largest so many are kept.

    Returns:
        GeoDataFrame in map coordinates without CRS, largest first: ``area_km2``, ``open_km2``, ``vegetation_km2``,
        ``town_km2``, ``likelihood`` (mean percent), ``first_seen_h``, ``last_seen_h`` (hours since the epoch, -1
        unknown), ``observations`` (mean), ``geometry``. ``attrs["left_out"]`` counts the objects not returned.
    """
    traced = _trace(flood, transform, column_areas(flood["flood_extent"]))
    roots = np.array([traced.root(piece) for piece in range(len(traced.parent))], dtype=np.int64)
    objects, index = np.unique(roots, return_inverse=True)
    sums = np.zeros((objects.size, len(SUMS)))
    first, last = np.full(objects.size, NEVER), np.full(objects.size, -1)
    if objects.size:
        np.add.at(sums, index, np.array(traced.sums))
        np.minimum.at(first, index, np.array(traced.first))
        np.maximum.at(last, index, np.array(traced.last))
    order = np.argsort(-sums[:, 0], kind="stable")
    order = order[sums[order, 0] >= min_area_m2][:max_polygons]
    table = _table(sums[order], first[order], last[order])
    outlines = _merged(traced.outlines, index, order, objects.size)
    result = geopandas.GeoDataFrame(table, geometry=outlines)
    result.attrs["left_out"] = int(objects.size - order.size)
    return result


def _table(sums: np.ndarray, first: np.ndarray, last: np.ndarray) -> dict[str, np.ndarray]:
    """Columns of the result."""
    pixels = np.maximum(sums[:, 4], 1)
    names = ("area_km2", "open_km2", "vegetation_km2", "town_km2")
    table: dict[str, np.ndarray] = {name: np.round(sums[:, i] / 1e6, 6) for i, name in enumerate(names)}
    table["likelihood"] = np.round(sums[:, 5] / pixels, 1)
    table["observations"] = np.round(sums[:, 6] / pixels, 2)
    table["first_seen_h"] = np.where(first == NEVER, -1, first)
    table["last_seen_h"] = last
    return table


def _merged(
    outlines: list[shapely.Geometry], index: np.ndarray, order: np.ndarray, count: int
) -> list[shapely.Geometry]:
    """One valid outline an object."""
    pieces: list[list[shapely.Geometry]] = [[] for _ in range(count)]
    for outline, owner in zip(outlines, index, strict=True):
        pieces[owner].append(outline)
    whole = [pieces[i][0] if len(pieces[i]) == 1 else shapely.union_all(pieces[i]) for i in order]
    return [outline if outline.is_valid else shapely.make_valid(outline) for outline in whole]


def _trace(flood: xr.Dataset, transform: Affine, areas: np.ndarray) -> _Traced:
    """Trace every window and join over its edges; only the last row of labels is kept."""
    traced = _Traced()
    shape_px = (flood.sizes["y"], flood.sizes["x"])
    above = np.zeros(shape_px[1], np.int64)
    for line in windows_of(shape_px, size=TRACE_PX):
        left = np.zeros(0, np.int64)
        bottom = np.zeros(shape_px[1], np.int64)
        for window in line:
            pieces = _trace_window(flood, window, transform, areas[window.columns], traced)
            traced.join(above[window.columns], pieces[0])
            if left.size:
                traced.join(left, pieces[:, 0])
            left = pieces[:, -1]
            bottom[window.columns] = pieces[-1]
        above = bottom
    return traced


def _trace_window(
    flood: xr.Dataset, window: Window, transform: Affine, areas: np.ndarray, traced: _Traced
) -> np.ndarray:
    """Add a window's pieces; return piece + 1 of each pixel, 0 where there is no flood."""
    cut = {name: flood[name][window.rows, window.columns].values for name in LAYERS if name in flood}
    labels, count = label(cut["flood_extent"] == 1)
    if not count:
        return np.zeros(labels.shape, np.int64)
    known = len(traced.parent)
    traced.parent += range(known, known + count)
    inside = labels > 0
    owner = labels[inside] - 1
    for name, part in _weights(cut, inside, np.broadcast_to(areas, labels.shape)[inside]).items():
        total = np.bincount(owner, part, count)
        if name == SUMS[0]:
            sums = np.zeros((count, len(SUMS)))
        sums[:, SUMS.index(name)] = total
    traced.sums += list(sums)
    for name, into, start, reduce in (
        ("first_seen", traced.first, NEVER, np.minimum),
        ("last_seen", traced.last, -1, np.maximum),
    ):
        extreme = np.full(count, start, np.int64)
        if name in cut:
            reduce.at(extreme, owner, cut[name][inside].astype(np.int64))
        into.extend(extreme.tolist())
    traced.outlines += _outlines(labels, count, transform * Affine.translation(window.columns.start, window.rows.start))
    return np.where(inside, labels + np.int64(known), 0)


def _weights(cut: dict[str, np.ndarray], inside: np.ndarray, area: np.ndarray) -> dict[str, np.ndarray]:
    """What is summed over the pixels of each piece."""
    kinds = cut["flood_class"][inside] if "flood_class" in cut else np.full(area.shape, 2)
    weights = {"area_m2": area}
    for name, code in (("open_m2", 2), ("vegetation_m2", 3), ("town_m2", 4)):
        weights[name] = area * (kinds == code)
    weights["pixels"] = np.ones_like(area)
    weights["likelihood"] = cut["likelihood"][inside].astype(float) if "likelihood" in cut else np.zeros_like(area)
    weights["observations"] = cut["observations"][inside].astype(float) if "observations" in cut else np.ones_like(area)
    return weights


def _outlines(labels: np.ndarray, count: int, transform: Affine) -> Iterator[shapely.Geometry]:
    """Outline of each label, 1 first."""
    found: list[shapely.Geometry] = [shapely.Polygon()] * count
    for outline, value in shapes(labels.astype(np.int32), mask=labels > 0, connectivity=4, transform=transform):
        found[int(value) - 1] = shape(outline)
    return iter(found)


def smoothed(polygons: geopandas.GeoDataFrame, smoothing_m: float) -> geopandas.GeoDataFrame:
    """Outlines without their pixel stairs, still valid and without overlaps; nothing else changes."""
    if smoothing_m <= 0 or polygons.empty:
        return polygons
    simple = shapely.coverage_simplify(polygons.geometry.to_numpy(), smoothing_m)
    simple = np.where(shapely.is_empty(simple), polygons.geometry.to_numpy(), simple)
    valid = np.where(shapely.is_valid(simple), simple, shapely.make_valid(simple))
    result: geopandas.GeoDataFrame = polygons.set_geometry(geopandas.GeoSeries(valid, index=polygons.index))
    return result


def to_longitude_latitude(
    polygons: geopandas.GeoDataFrame, crs: str, centre_longitude: float
) -> geopandas.GeoDataFrame:
    """Project to EPSG:4326 and cut at the antimeridian (RFC 7946): no ring runs around the Earth.

    Args:
        polygons: in map coordinates.
        crs: of the map coordinates.
        centre_longitude: of the area; longitudes are continued from there before cutting, degrees.
    """
    placed = polygons.set_crs(crs, allow_override=True).to_crs("EPSG:4326")
    if abs(centre_longitude) < 150:
        return placed
    return placed.set_geometry(
        [cut_at_antimeridian(outline, centre_longitude) for outline in placed.geometry], crs="EPSG:4326"
    )


def cut_at_antimeridian(outline: shapely.Geometry, centre_longitude: float) -> shapely.Geometry:
    """One outline whose longitudes may jump by 360, as parts within -180 to 180."""

    def unwrap(xy: np.ndarray) -> np.ndarray:
        """Longitudes within 180 degrees of the centre."""
        away = xy[:, 0] - centre_longitude
        return np.column_stack([xy[:, 0] - 360 * np.round(away / 360), xy[:, 1]])

    continued = shapely.transform(outline, unwrap)
    west, _, east, _ = shapely.bounds(continued)
    if west >= -180 and east <= 180:
        return continued
    parts = []
    for shift in (-360, 0, 360):
        part = shapely.intersection(continued, shapely.box(-180 + shift, -90, 180 + shift, 90))
        if not part.is_empty and part.area > 0:
            parts.append(translate(part, -shift))
    return shapely.union_all(parts)
