"""Areas of interest: checked, put into one form, measured."""

from typing import Any

import shapely
from shapely.geometry import MultiPolygon, Polygon, mapping, shape
from shapely.geometry.base import BaseGeometry, BaseMultipartGeometry
from shapely.geometry.polygon import orient

from pipeline_lib.errors import AreaError

MAX_CROSSING_DEG = 20.0
"""A bbox with west > east is read as crossing the antimeridian only if it is then no wider than this."""


def area_of_bbox(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    """GeoJSON area of (west, south, east, north) in degrees WGS 84.

    West greater than east crosses the antimeridian (RFC 7946 section 5.2) and gives a MultiPolygon cut at 180.

    Raises:
        AreaError: values off the Earth, an empty box, or an order that cannot be meant.
    """
    given = f"bbox {west:g},{south:g},{east:g},{north:g}"
    order = "expected west,south,east,north in degrees (WGS 84)"
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= 90 and -90 <= north <= 90):
        raise AreaError(f"The {given} lies off the Earth; {order}.")
    if south >= north or west == east:
        raise AreaError(f"The {given} is empty or in the wrong order; {order}.")
    if west < east:
        return normalised_area(mapping(shapely.box(west, south, east, north)))
    if east + 360 - west > MAX_CROSSING_DEG:
        raise AreaError(
            f"The {given} has west > east; {order}. Over the antimeridian it would be "
            f"{east + 360 - west:g} degrees wide; at most {MAX_CROSSING_DEG:g} are read so."
        )
    halves = MultiPolygon([shapely.box(west, south, 180, north), shapely.box(-180, south, east, north)])
    return normalised_area(mapping(halves))


def normalised_area(value: object) -> dict[str, Any]:
    """Any GeoJSON (Feature, FeatureCollection, geometry) as one valid Polygon or MultiPolygon.

    Exterior rings come out counter-clockwise (RFC 7946), holes are kept, overlapping features are united.

    Raises:
        AreaError: no polygon in it, self-crossing rings, off the Earth, or no area.
    """
    polygons = [polygon for geometry in _geometries(value) for polygon in _polygons(geometry)]
    united = shapely.union_all(polygons)
    west, south, east, north = united.bounds if not united.is_empty else (0.0, 0.0, 0.0, 0.0)
    if united.is_empty or united.area == 0:
        raise AreaError("The area of interest is empty; give a polygon with an area.")
    if west < -180 or east > 180 or south < -90 or north > 90:
        raise AreaError(
            f"The area of interest reaches {west:g},{south:g},{east:g},{north:g}, off the Earth; expected longitude, "
            "latitude in degrees (WGS 84). Are the axes swapped or the coordinates projected?"
        )
    parts = [orient(part) for part in _polygons(united)]
    result: dict[str, Any] = _plain(mapping(parts[0] if len(parts) == 1 else MultiPolygon(parts)))
    return result


def crosses_antimeridian(area: dict[str, Any]) -> bool:
    """Whether the parts of an area touch 180 from both sides."""
    west, _, east, _ = shape(area).bounds
    return bool(west == -180.0 and east == 180.0 and area["type"] == "MultiPolygon")


def _geometries(value: Any) -> list[BaseGeometry]:
    """Geometries of a GeoJSON object, whatever its wrapping."""
    if isinstance(value, dict) and value.get("type") == "FeatureCollection":
        return [geometry for feature in value.get("features", ()) for geometry in _geometries(feature)]
    if isinstance(value, dict) and value.get("type") == "Feature":
        # RFC 7946, section 3.2: a feature may have no place at all.
        return [] if value.get("geometry") is None else _geometries(value["geometry"])
    try:
        return [shape(value)]
    except (AttributeError, KeyError, TypeError, ValueError, IndexError, shapely.errors.ShapelyError) as error:
        reason = error if isinstance(value, dict) else f"a {type(value).__name__} and not an object"
        raise AreaError(f"The area of interest is not GeoJSON ({reason}); give a Polygon or MultiPolygon.") from error


def _polygons(geometry: BaseGeometry) -> list[Polygon]:
    """The polygons of a geometry; anything without area is an error that names it."""
    if isinstance(geometry, BaseMultipartGeometry):
        return [polygon for part in geometry.geoms for polygon in _polygons(part)]
    if not isinstance(geometry, Polygon):
        raise AreaError(
            f"The area of interest holds a {geometry.geom_type}, which has no area; give a Polygon or "
            "MultiPolygon (draw a box around the point or line)."
        )
    if not geometry.is_valid:
        raise AreaError(f"The area of interest is not valid: {shapely.is_valid_reason(geometry)}; mend the ring.")
    return [geometry]


def _plain(value: Any) -> Any:
    """Tuples to lists, so that a record equals itself after a trip through JSON."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, (tuple, list)) else value
