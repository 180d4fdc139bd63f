"""Footprints of items: repaired where archives are known to break them, and shares of an area."""

from typing import Any

import numpy as np
import shapely
from pyproj import Transformer
from shapely.affinity import translate
from shapely.geometry import mapping, shape

_EQUAL_AREA = Transformer.from_crs("EPSG:4326", "EPSG:6933", always_xy=True)
MIN_WIDTH_OVER_ANTIMERIDIAN = 180.0
"""No satellite image is this wide, degrees: such a footprint was drawn the wrong way round the Earth."""


class BrokenFootprintError(ValueError):
    """A footprint that cannot be read or repaired."""


def footprint_of(geometry: object, bbox: object, epsg: object) -> tuple[dict[str, Any], tuple[str, ...]]:
    """GeoJSON footprint in EPSG:4326, and what was repaired.

    Repaired are: a missing geometry (the bbox stands in), coordinates in the image's own projection (as the Planetary
    Computer's first RTC items), polygons drawn the long way round over the antimeridian, self-touching rings.

    Raises:
        BrokenFootprintError: neither geometry nor bbox can be used.
    """
    notes: list[str] = []
    polygons = _parsed(geometry)
    if polygons is None:
        polygons = _of_bbox(bbox)
        notes.append("no footprint, its bbox is used")
    if _off_the_earth(polygons):
        polygons = _from_projection(polygons, epsg)
        notes.append("footprint in projected coordinates, turned into degrees")
    polygons = _split_at_antimeridian(polygons)
    polygons = polygons if polygons.is_valid else shapely.make_valid(polygons)
    if polygons.is_empty or polygons.area == 0 or _off_the_earth(polygons):
        raise BrokenFootprintError("its footprint has no area on the Earth")
    plain: dict[str, Any] = _lists(mapping(polygons))
    return plain, tuple(notes)


def geometry_of(footprint: dict[str, Any]) -> Any:
    """A footprint or area as a shapely geometry, degrees."""
    return shape(footprint)


def union_of(footprints: list[dict[str, Any]]) -> Any:
    """Union of footprints, degrees."""
    return shapely.union_all([shape(footprint) for footprint in footprints])


def area_m2(geometry: Any) -> float:
    """Area of a lon/lat geometry on the WGS 84 ellipsoid, square metres (through the equal-area EPSG:6933)."""
    return 0.0 if geometry.is_empty else float(_through(_EQUAL_AREA, geometry).area)


def share_of(area: Any, covered: Any) -> float:
    """Share of ``area`` inside ``covered``, 0 to 1; both lon/lat geometries."""
    whole = area_m2(area)
    return min(1.0, area_m2(area.intersection(covered)) / whole) if whole else 0.0


def share_beyond(area: Any, one: Any, other: Any, *, rim_m: float) -> float:
    """Share of ``area`` inside ``one`` and not inside ``other``, 0 to 1; strips narrower than twice the rim left out.

    Args:
        area: lon/lat geometry.
        one: lon/lat geometry.
        other: lon/lat geometry.
        rim_m: how exactly both are known, metres.
    """
    whole = _through(_EQUAL_AREA, area)
    beyond = _through(_EQUAL_AREA, area.intersection(one).difference(other))
    opened = beyond.buffer(-rim_m).buffer(rim_m).intersection(beyond)
    return float(opened.area / whole.area) if whole.area else 0.0


def _parsed(geometry: object) -> Any:
    """Polygonal geometry of a GeoJSON object; None where there is none."""
    if not isinstance(geometry, dict) or str(geometry.get("type")) not in {"Polygon", "MultiPolygon"}:
        return None
    try:
        parsed = shapely.force_2d(shape(geometry))
    except (TypeError, ValueError, IndexError, KeyError, AttributeError, shapely.errors.ShapelyError):
        return None
    return None if parsed.is_empty else parsed


def _of_bbox(bbox: object) -> Any:
    if not isinstance(bbox, (list, tuple)) or len(bbox) not in {4, 6}:
        raise BrokenFootprintError("it has neither a footprint nor a bbox")
    half = len(bbox) // 2
    try:
        west, south, east, north = (float(value) for value in (*bbox[:2], *bbox[half : half + 2]))
    except (TypeError, ValueError) as error:
        raise BrokenFootprintError(f"its bbox holds something that is not a number ({error})") from error
    if not np.isfinite([west, south, east, north]).all():
        raise BrokenFootprintError("its bbox holds something that is not a number")
    return shapely.box(west, south, east + 360 if east < west else east, north)


def _off_the_earth(geometry: Any) -> bool:
    west, south, east, north = geometry.bounds
    return not (west >= -360 and east <= 360 and south >= -90.01 and north <= 90.01)


def _from_projection(geometry: Any, epsg: object) -> Any:
    code = str(epsg).rsplit(":", maxsplit=1)[-1]
    if not code.isdigit() or code == "4326":
        raise BrokenFootprintError("its footprint lies off the Earth")
    try:
        to_degrees = Transformer.from_crs(f"EPSG:{code}", "EPSG:4326", always_xy=True)
    except Exception as error:
        raise BrokenFootprintError(f"its footprint is in EPSG:{code}, which is not known") from error
    return _through(to_degrees, geometry)


def _split_at_antimeridian(geometry: Any) -> Any:
    """Cut what crosses 180 into parts within -180 to 180."""
    parts = []
    for polygon in getattr(geometry, "geoms", [geometry]):
        west, _, east, _ = polygon.bounds
        whole = polygon
        if east - west > MIN_WIDTH_OVER_ANTIMERIDIAN:
            whole = shapely.transform(polygon, _eastward)
        whole = whole if whole.is_valid else shapely.make_valid(whole)
        for turn in (-360, 0, 360):
            piece = translate(whole, turn).intersection(shapely.box(-180, -90, 180, 90))
            parts += [
                part for part in getattr(piece, "geoms", [piece]) if part.geom_type == "Polygon" and part.area > 0
            ]
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


def _through(transformer: Transformer, geometry: Any) -> Any:
    """A geometry in another reference system."""
    return shapely.transform(
        geometry, lambda points: np.column_stack(transformer.transform(points[:, 0], points[:, 1]))
    )


def _eastward(points: Any) -> Any:
    """Longitudes 0 to 360; points (n, 2) lon, lat."""
    turned = points.copy()
    turned[turned[:, 0] < 0, 0] += 360
    return turned


def _lists(value: Any) -> Any:
    """Tuples to lists, so that a record equals itself after a trip through JSON."""
    if isinstance(value, dict):
        return {key: _lists(part) for key, part in value.items()}
    return [_lists(part) for part in value] if isinstance(value, (tuple, list)) else value
