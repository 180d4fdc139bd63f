"""Flood as polygons: exact in area, smooth in outline, valid in topology, safe over the antimeridian.

Objects are 4-connected. Windows are read one by one and leave runs of pixels behind, joined over the windows' edges;
outlines are then walked over the whole grid at once (`pipeline_lib.flood.outlines`), so that there are no seams. Area,
dates and likelihood are counted from pixels before any outline is smoothed. Smoothing is the coverage simplification of
Visvalingam and Whyatt's triangles: edges move by about ``smoothing_m``, shared corners stay shared, and no two polygons
overlap.

References:
    Visvalingam, Whyatt (1993), Line generalisation by repeated elimination of points, Cartographic Journal 30(1).
    RFC 7946 section 3.1.9, antimeridian cutting.
"""

from dataclasses import dataclass, field

import geopandas
import numpy as np
import shapely
import xarray as xr
from rasterio.transform import Affine
from shapely.affinity import translate

from pipeline_lib.flood.area import column_areas
from pipeline_lib.flood.outlines import BitGrid
from pipeline_lib.flood.runs import Runs, edge_labels, extremes, runs_of, sum_areas, sum_runs
from pipeline_lib.flood.window import Window, windows_of
from pipeline_lib.union_find import roots, unite_all

TRACE_PX = 2048
LAYERS = ("flood_class", "likelihood", "first_seen", "last_seen", "observations")
NEVER = 65535
SUMS = ("area_m2", "open_m2", "vegetation_m2", "town_m2", "pixels", "likelihood", "observations")


@dataclass
class _Pieces:
    """Objects of each window: their runs and sums, and which pieces are one object over the edges."""

    windows: list[tuple[Window, Runs, int]] = field(default_factory=list)
    """Each window with flood, its runs, and the number of its first piece."""
    sums: list[np.ndarray] = field(default_factory=list)
    first: list[np.ndarray] = field(default_factory=list)
    last: list[np.ndarray] = field(default_factory=list)
    count: int = 0
    joints: list[np.ndarray] = field(default_factory=list)
    """Pairs of pieces that are one object, each (pairs, 2)."""

    def roots(self) -> np.ndarray:
        """The piece that stands for the object of each piece."""
        parent = np.arange(self.count)
        for pairs in self.joints:
            unite_all(parent, pairs)
        return np.asarray(roots(parent))

    def join(self, one: np.ndarray, other: np.ndarray) -> None:
        """Pieces that face each other over a window's edge are one object (0 = none, otherwise piece + 1)."""
        facing = np.unique(np.stack([one, other], axis=1)[(one > 0) & (other > 0)], axis=0)
        self.joints.append(facing - 1)

    def add(self, window: Window, runs: Runs, cut: dict[str, np.ndarray], areas: np.ndarray) -> int:
        """Take a window's objects in; return the number of its first piece."""
        known = self.count
        self.count += runs.objects
        self.windows.append((window, runs, known))
        self.sums.append(_sums(runs, cut, areas))
        never = np.full(runs.objects, NEVER)
        self.first.append(extremes(runs, cut["first_seen"])[0] if "first_seen" in cut else never)
        self.last.append(extremes(runs, cut["last_seen"])[1] if "last_seen" in cut else never - NEVER - 1)
        return known


def flood_polygons(
    flood: xr.Dataset,
    transform: Affine,
    *,
    min_area_m2: float = 0.0,
    max_polygons: int | None = None,
    block_px: int = TRACE_PX,
) -> geopandas.GeoDataFrame:
    """Objects of ``flood_extent == 1`` as polygons with what their pixels say.

    Args:
        flood: a FloodMap or an event, dims (y, x); of `LAYERS` those that are there are used.
        transform: pixel corner (column, row) to map coordinates.
        min_area_m2: smaller objects are left out.
        max_polygons: only the largest so many are kept.
        block_px: side of the windows that are worked on one by one; the result does not depend on it.

    Returns:
        GeoDataFrame in map coordinates without CRS, largest first: ``area_km2``, ``open_km2``, ``vegetation_km2``,
        ``town_km2``, ``likelihood`` (mean percent), ``first_seen_h``, ``last_seen_h`` (hours since the epoch, -1
        unknown), ``observations`` (mean), ``geometry``. ``attrs["left_out"]`` counts the objects not returned.
    """
    pieces = _find_pieces(flood, column_areas(flood["flood_extent"]), block_px)
    objects, index = np.unique(pieces.roots(), return_inverse=True)
    sums = np.zeros((objects.size, len(SUMS)))
    first, last = np.full(objects.size, NEVER), np.full(objects.size, -1)
    if objects.size:
        np.add.at(sums, index, np.concatenate(pieces.sums))
        np.minimum.at(first, index, np.concatenate(pieces.first))
        np.maximum.at(last, index, np.concatenate(pieces.last))
    order = np.argsort(-sums[:, 0], kind="stable")
    order = order[sums[order, 0] >= min_area_m2][:max_polygons]
    rank = np.full(objects.size, -1, np.int64)
    rank[order] = np.arange(order.size)
    outlines = _outlines(pieces, rank[index], order.size, (flood.sizes["y"], flood.sizes["x"]), transform)
    result = geopandas.GeoDataFrame(_table(sums[order], first[order], last[order]), geometry=outlines)
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


def _outlines(
    pieces: _Pieces, rank: np.ndarray, count: int, shape_px: tuple[int, int], transform: Affine
) -> np.ndarray:
    """Outline of each object that has a rank, in that order."""
    grid = BitGrid(shape_px)
    placed = [
        (runs, rank[known : known + runs.objects], window.rows.start, window.columns.start)
        for window, runs, known in pieces.windows
    ]
    for window in placed:
        grid.mark(*window)
    for window in placed:
        grid.walk(*window)
    return grid.polygons(count, transform)


def _find_pieces(flood: xr.Dataset, areas: np.ndarray, block_px: int) -> _Pieces:
    """Label every window and join over its edges; of the pixels only the runs are kept."""
    pieces = _Pieces()
    shape_px = (flood.sizes["y"], flood.sizes["x"])
    above = np.zeros(shape_px[1], np.int64)
    for line in windows_of(shape_px, size=block_px):
        left = np.zeros(0, np.int64)
        bottom = np.zeros(shape_px[1], np.int64)
        for window in line:
            mask = flood["flood_extent"][window.rows, window.columns].values == 1
            if not mask.any():
                left = np.zeros(0, np.int64)
                continue
            runs = runs_of(mask)
            cut = {name: flood[name][window.rows, window.columns].values for name in LAYERS if name in flood}
            known = pieces.add(window, runs, cut, areas[window.columns])
            sides = {side: edge_labels(runs, mask.shape, side) for side in ("top", "left", "bottom", "right")}
            line_of = {side: np.where(labels > 0, labels + known, 0) for side, labels in sides.items()}
            pieces.join(above[window.columns], line_of["top"])
            if left.size:
                pieces.join(left, line_of["left"])
            left, bottom[window.columns] = line_of["right"], line_of["bottom"]
        above = bottom
    return pieces


def _sums(runs: Runs, cut: dict[str, np.ndarray], areas: np.ndarray) -> np.ndarray:
    """What is summed over the pixels of each object of a window, columns of `SUMS`."""
    classes = cut.get("flood_class", np.zeros((0, 0), np.uint8))
    whole = sum_areas(runs, areas, classes, -1)
    kinds = (
        [sum_areas(runs, areas, classes, code) for code in (2, 3, 4)] if classes.size else [whole, 0 * whole, 0 * whole]
    )
    lengths = np.bincount(runs.label, runs.stop - runs.start, runs.objects)
    likelihood = sum_runs(runs, cut["likelihood"]) if "likelihood" in cut else 0 * whole
    observations = sum_runs(runs, cut["observations"]) if "observations" in cut else lengths
    return np.column_stack([whole, *kinds, lengths, likelihood, observations])


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
