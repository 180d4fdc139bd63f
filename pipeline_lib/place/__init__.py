"""Where on the Earth an area lies, in words for people: its size, and the countries or the sea it lies in.

Outlines and names are those of Natural Earth 1:50m (version 4.1): good to some kilometres, and no statement on borders.
"""

import math
from functools import lru_cache
from importlib.resources import files

import numpy as np
import pyogrio
import shapely
from pyproj import Geod
from shapely.affinity import translate
from shapely.geometry.base import BaseGeometry
from shapely.ops import nearest_points

COUNTRIES = "countries-50m.json"
NAMED = 3
"""So many countries are named."""
LEAST_SHARE = 0.02
"""A country with less of the area is not named, nor is the sea."""
_GEOD = Geod(ellps="WGS84")


def described(area: BaseGeometry) -> str:
    """Size and place of a lon/lat area (degrees, WGS 84), as ``3.1 x 2.6 km in Italy``."""
    return f"{size_of(area)} {place_of(area)}"


def size_of(area: BaseGeometry) -> str:
    """Width and height in kilometres, as ``3.1 x 2.6 km``; across the antimeridian the way round that is shorter."""
    west, south, east, north = _in_one_piece(area).bounds
    south, north, middle = max(south, -90.0), min(north, 90.0), min(max((south + north) / 2, -89.9), 89.9)
    width = (east - west) / 360 * 2 * math.pi * _GEOD.a * math.cos(math.radians(middle)) / 1000
    height = _GEOD.line_length([west, west], [south, north]) / 1000
    return f"{_short(width)} x {_short(height)} km"


def place_of(area: BaseGeometry) -> str:
    """Where it lies, as ``in Italy``, ``in Chad and Cameroon``, ``at sea, about 120 km from Oman``."""
    whole = area if area.is_valid else area.envelope
    names, outlines, index = _countries()
    whole_area = whole.area or 1.0
    met = index.query(whole, predicate="intersects")
    shares = {str(names[one]): shapely.intersection(outlines[one], whole).area / whole_area for one in met}
    if not shares:
        return f"at sea, {_nearest(whole)}"
    found = sorted(shares, key=lambda name: -shares[name])
    kept = [name for name in found if shares[name] >= LEAST_SHARE] or found[:1]
    if len(kept) > NAMED:
        kept = [*kept[:NAMED], f"{len(kept) - NAMED} more countries"]
    if 1 - sum(shares.values()) >= LEAST_SHARE:
        kept.append("the sea beside it" if len(kept) == 1 else "the sea beside them")
    return f"in {', '.join(kept[:-1])} and {kept[-1]}" if len(kept) > 1 else f"in {kept[0]}"


def _nearest(area: BaseGeometry) -> str:
    """The nearest country and how far it is."""
    names, outlines, index = _countries()
    nearest = int(index.nearest(area))
    (x, y), (u, v) = (point.coords[0] for point in nearest_points(area, outlines[nearest]))
    return f"about {_short(_GEOD.line_length([x, u], [y, v]) / 1000)} km from {names[nearest]}"


@lru_cache(maxsize=1)
def _countries() -> tuple[np.ndarray, np.ndarray, shapely.STRtree]:
    """Names, outlines in degrees, and an index of them."""
    source = files(__package__) / COUNTRIES
    _, _, shapes, (names,) = pyogrio.raw.read(str(source), layer="countries", columns=["name"])
    outlines = shapely.make_valid(shapely.from_wkb(shapes))
    return names, outlines, shapely.STRtree(outlines)


def _in_one_piece(area: BaseGeometry) -> BaseGeometry:
    """Parts that touch 180 from both sides brought together."""
    west, _, east, _ = area.bounds
    if (west, east) != (-180.0, 180.0):
        return area
    parts = getattr(area, "geoms", [area])
    return shapely.union_all([translate(part, 360.0) if part.bounds[2] <= 0 else part for part in parts])


def _short(number: float) -> str:
    """A length with at most three figures that count."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
