"""Areas of interest: checked, put into one form, measured."""

from typing import Any

import numpy as np
import shapely
from shapely.affinity import translate
from shapely.geometry import MultiPolygon, Polygon, mapping, shape
from shapely.geometry.base import BaseGeometry, BaseMultipartGeometry
from shapely.geometry.polygon import orient

from pipeline_lib.errors import AreaError
from pipeline_lib.place import described

MAX_CROSSING_DEG = 20.0
"""A bbox with west > east is read as crossing the antimeridian only if it is then no wider than this; and so is a ring
that runs to and fro between both sides of it."""
MAX_VERTICES = 5000
"""An area with more is simplified; some 24 bytes each, it travels with every request to the orchestrator."""
SIMPLIFIED_DEG = (1e-7, 1e-6, 1e-5, 4e-5)
"""How far its edges may move then, degrees (1 and 11 cm, 1.1 and 4.5 m; the first that will do): less than half a pixel
of 10 m."""
SAME_AREA = 0.01
"""A ring that crosses itself is mended where that changes no more of its area: spikes and small loops."""
CLOSED_GAP = 0.02
"""A line is the edge of an area if its ends lie no further apart than this share of its length (a track)."""
READ_AS = {
    "south,west,north,east": (1, 0, 3, 2),
    "west,east,south,north": (0, 2, 1, 3),
    "south,north,west,east": (2, 0, 3, 1),
}
"""Other orders in which people and programs write a bbox: where west, south, east and north stand."""
MEANT_DEG = 10.0
"""A bbox in another order is thought of if it is no wider or higher than this."""


def area_of_bbox(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    """GeoJSON area of (west, south, east, north) in degrees WGS 84.

    West greater than east crosses the antimeridian (RFC 7946 section 5.2) and gives a MultiPolygon cut at 180, and so
    does an east beyond 180.

    Raises:
        AreaError: values off the Earth, an empty box, or an order that cannot be meant.
    """
    given = f"bbox {west:g},{south:g},{east:g},{north:g}"
    order = "expected west,south,east,north in degrees (WGS 84)"
    hint = meant((west, south, east, north))
    if not (-180 <= west <= 360 and -180 <= east <= 360 and -90 <= south <= 90 and -90 <= north <= 90):
        raise AreaError(f"The {given} lies off the Earth; {order}.{hint}")
    if south >= north or west == east:
        raise AreaError(f"The {given} is empty or in the wrong order; {order}.{hint}")
    if west < east:
        return normalised_area(mapping(shapely.box(west, south, east, north)))
    if east + 360 - west > MAX_CROSSING_DEG:
        raise AreaError(
            f"The {given} has west > east; {order}. Over the antimeridian it would be "
            f"{east + 360 - west:g} degrees wide; at most {MAX_CROSSING_DEG:g} are read so.{hint}"
        )
    return normalised_area(mapping(shapely.box(west, south, east + 360, north)))


def meant(bounds: tuple[float, float, float, float]) -> str:
    """Where bounds (west, south, east, north) would lie in the other orders that people write them in.

    Returns:
        Sentences, each with a space before it; empty where no other order gives a box on the Earth of some size.
    """
    readings = []
    for order, positions in READ_AS.items():
        west, south, east, north = (bounds[position] for position in positions)
        on_earth = -180 <= west < east <= 180 and -90 <= south < north <= 90
        if on_earth and east - west <= MEANT_DEG and north - south <= MEANT_DEG:
            box = shapely.box(west, south, east, north)
            given = f"{west:g},{south:g},{east:g},{north:g}"
            readings.append(f" Read as {order} it is {described(box)}: if that is meant, give --bbox {given}.")
    return "".join(readings)


def normalised_area(value: object) -> dict[str, Any]:
    """Any GeoJSON (Feature, FeatureCollection, geometry) as one valid Polygon or MultiPolygon within -180 to 180.

    Exterior rings come out counter-clockwise (RFC 7946), holes are kept, overlapping features are united. Heights and
    measures are dropped, points and lines beside polygons left out, and without polygons closed lines are taken for
    their edges. Longitudes may run to 360 or beyond 180 on either side: what crosses the antimeridian is cut there.
    Spikes and small loops are mended. Areas of more than `MAX_VERTICES` are simplified by less than half a pixel.

    Raises:
        AreaError: no polygon in it, rings that cross themselves, off the Earth, no area, or too many vertices.
    """
    polygons = polygons_of([flat for geometry in _geometries(value) for flat in simple_parts(geometry)])
    united = _within_180(shapely.union_all([_valid(polygon) for polygon in polygons]))
    if united.is_empty or united.area == 0:
        raise AreaError("The area of interest is empty; give a polygon with an area.")
    parts = [orient(part) for part in _polygonal(_simplified(united))]
    result: dict[str, Any] = _plain(mapping(parts[0] if len(parts) == 1 else MultiPolygon(parts)))
    return result


def crosses_antimeridian(area: dict[str, Any]) -> bool:
    """Whether the parts of an area touch 180 from both sides."""
    west, _, east, _ = shape(area).bounds
    return bool(west == -180.0 and east == 180.0 and area["type"] == "MultiPolygon")


def polygons_of(parts: list[BaseGeometry]) -> list[Polygon]:
    """The polygons among simple geometries; without any, the areas that closed lines go round.

    Raises:
        AreaError: neither is there.
    """
    polygons = [part for part in parts if isinstance(part, Polygon)]
    if polygons or not parts:
        return polygons
    rings = [Polygon(part.coords) for part in parts if _is_ring(part)]
    if rings:
        return rings
    kinds = " and a ".join(sorted({part.geom_type for part in parts}))
    raise AreaError(
        f"The area of interest holds a {kinds}, which has no area; give a Polygon or MultiPolygon (draw a box around "
        "the point or line)."
    )


def _is_ring(part: BaseGeometry) -> bool:
    """Whether a line comes back to where it began."""
    if part.geom_type not in {"LineString", "LinearRing"} or len(part.coords) < 4:
        return False
    (x, y), (u, v) = part.coords[0], part.coords[-1]
    return bool(np.hypot(x - u, y - v) <= CLOSED_GAP * part.length)


def _geometries(value: Any) -> list[BaseGeometry]:
    """Geometries of a GeoJSON object, whatever its wrapping."""
    if isinstance(value, dict) and value.get("type") == "FeatureCollection":
        return [geometry for feature in value.get("features") or () for geometry in _geometries(feature)]
    if isinstance(value, dict) and value.get("type") == "Feature":
        # RFC 7946, section 3.2: a feature may have no place at all.
        return [] if value.get("geometry") is None else _geometries(value["geometry"])
    if isinstance(value, dict) and value.get("type") == "GeometryCollection":
        return [geometry for part in value.get("geometries") or () for geometry in _geometries(part)]
    try:
        return [shape({**value, "coordinates": _two(value["coordinates"])})]
    except (AttributeError, KeyError, TypeError, ValueError, IndexError, shapely.errors.ShapelyError) as error:
        reason = error if isinstance(value, dict) else f"a {type(value).__name__} and not an object"
        raise AreaError(f"The area of interest is not GeoJSON ({reason}); give a Polygon or MultiPolygon.") from error


def _two(coordinates: Any) -> Any:
    """GeoJSON coordinates without heights and measures, which are read by nobody."""
    if coordinates and isinstance(coordinates[0], (int, float)):
        if not np.isfinite(coordinates[:2]).all():
            raise AreaError("The area of interest has a coordinate that is no number; expected longitude, latitude.")
        return [float(number) for number in coordinates[:2]]
    return [_two(part) for part in coordinates]


def simple_parts(geometry: BaseGeometry) -> list[BaseGeometry]:
    """A geometry as simple ones, with what is empty left out."""
    if isinstance(geometry, BaseMultipartGeometry):
        return [part for piece in geometry.geoms for part in simple_parts(piece)]
    return [] if geometry.is_empty else [geometry]


def _valid(polygon: Polygon) -> BaseGeometry:
    """A polygon in degrees on the Earth, its spikes and small loops mended, and in one piece over the antimeridian.

    Raises:
        AreaError: it lies off the Earth, or crosses itself so that its area cannot be told.
    """
    west, south, east, north = polygon.bounds
    if west < -360 or east > 540 or south < -90 or north > 90 or east - west > 360:
        raise AreaError(
            f"The area of interest reaches {west:g},{south:g},{east:g},{north:g}, off the Earth; expected longitude, "
            "latitude in degrees (WGS 84). Are the axes swapped or the coordinates projected?"
            + meant((west, south, east, north))
        )
    polygon = _unwrapped(polygon)
    if polygon.is_valid:
        return polygon
    mended = shapely.union_all(_polygonal(shapely.make_valid(polygon)))
    rings = [_signed_area(ring) for ring in (polygon.exterior, *polygon.interiors)]
    drawn = abs(rings[0]) - sum(map(abs, rings[1:]))
    if abs(mended.area - drawn) > SAME_AREA * mended.area:
        raise AreaError(
            f"The area of interest is not valid: {shapely.is_valid_reason(polygon)}, and its ring crosses itself so "
            f"that its area cannot be told; mend the ring. It is {described(polygon.envelope)}."
        )
    return mended


def _unwrapped(polygon: Polygon) -> Polygon:
    """A ring that jumps from 179 to -179 drawn on past 180, where it is then of some size."""
    west, _, east, _ = polygon.bounds
    if east - west <= 180 or west < -180 or east > 180:
        return polygon
    further = shapely.transform(polygon, lambda points: points + [360, 0] * (points[:, :1] < 0))
    west, _, east, _ = further.bounds
    return further if 0 < east - west <= MAX_CROSSING_DEG else polygon


def _signed_area(ring: BaseGeometry) -> float:
    """Of the shoelace formula: loops of opposite sense cancel."""
    x, y = np.asarray(ring.coords).T
    return float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) / 2)


def _within_180(area: BaseGeometry) -> BaseGeometry:
    """The same area with longitudes of -180 to 180, cut where it crosses."""
    west, _, east, _ = (-180.0, 0.0, 180.0, 0.0) if area.is_empty else area.bounds
    if west >= -180 and east <= 180:
        return area
    pieces = []
    for turn in (-360, 0, 360):
        pieces += _polygonal(shapely.intersection(translate(area, turn), shapely.box(-180, -90, 180, 90)))
    return MultiPolygon(pieces) if len(pieces) > 1 else shapely.union_all(pieces)


def _simplified(area: BaseGeometry) -> BaseGeometry:
    """An area of at most `MAX_VERTICES`, its edges moved by less than half a pixel of 10 m, only where it has more.

    Raises:
        AreaError: it still has more.
    """
    count = int(shapely.get_num_coordinates(area))
    if count <= MAX_VERTICES:
        return area
    coarsest = area.simplify(SIMPLIFIED_DEG[-1], preserve_topology=True)
    if shapely.get_num_coordinates(coarsest) > MAX_VERTICES:
        raise AreaError(
            f"The area of interest has {count:,} vertices, and more than {MAX_VERTICES:,} where its edges are "
            f"simplified by {SIMPLIFIED_DEG[-1] * 111_000:.0f} m; give a simpler outline, or several areas. It is "
            f"{described(area)}."
        )
    finer = (area.simplify(tolerance, preserve_topology=True) for tolerance in SIMPLIFIED_DEG[:-1])
    simple = next((one for one in finer if shapely.get_num_coordinates(one) <= MAX_VERTICES), coarsest)
    # To a centimetre: what the vertices were given with beyond it would only be carried along.
    rounded = shapely.make_valid(shapely.transform(simple, lambda points: points.round(7)))
    return shapely.union_all(_polygonal(rounded))


def _polygonal(geometry: BaseGeometry) -> list[Polygon]:
    """Polygons of what a set operation gave: points and lines where shapes touch are no area."""
    return [part for part in simple_parts(geometry) if isinstance(part, Polygon)]


def _plain(value: Any) -> Any:
    """Tuples to lists, so that a record equals itself after a trip through JSON."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, (tuple, list)) else value
