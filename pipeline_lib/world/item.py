"""STAC items of the simulated archive: what all of them share."""

from datetime import datetime, timezone
from typing import Any

from odc.geo.geobox import GeoBox
from odc.geo.geom import Geometry
from shapely.geometry import Polygon, mapping
from shapely.geometry.base import BaseGeometry

from pipeline_lib.world.raster import COG_TYPE, Written

STAC_VERSION = "1.0.0"
EXTENSIONS = {
    "sar": "https://stac-extensions.github.io/sar/v1.0.0/schema.json",
    "sat": "https://stac-extensions.github.io/sat/v1.0.0/schema.json",
    "eo": "https://stac-extensions.github.io/eo/v1.0.0/schema.json",
    "proj": "https://stac-extensions.github.io/projection/v1.2.0/schema.json",
    "grid": "https://stac-extensions.github.io/grid/v1.0.0/schema.json",
    "raster": "https://stac-extensions.github.io/raster/v1.0.0/schema.json",
    "file": "https://stac-extensions.github.io/file/v2.1.0/schema.json",
    "sci": "https://stac-extensions.github.io/scientific/v1.0.0/schema.json",
    "version": "https://stac-extensions.github.io/version/v1.0.0/schema.json",
}


def utc(when: datetime) -> str:
    """RFC 3339 with microseconds and Z."""
    return f"{when.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%S.%f}Z"


def asset(written: Written, title: str, **more: object) -> dict[str, Any]:
    """One data asset."""
    return {
        "href": written.href,
        "type": COG_TYPE,
        "title": title,
        "roles": ["data"],
        "file:size": written.size_bytes,
        "file:checksum": written.checksum,
        **more,
    }


def item(
    item_id: str,
    collection: str,
    footprint: Polygon,
    properties: dict[str, Any],
    assets: dict[str, dict[str, Any]],
    extensions: tuple[str, ...],
) -> dict[str, Any]:
    """Put an item together; ``footprint`` is in longitude and latitude."""
    ring = Polygon([(round(x, 7), round(y, 7)) for x, y in footprint.exterior.coords])
    return {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": [EXTENSIONS[name] for name in extensions],
        "id": item_id,
        "collection": collection,
        "geometry": _plain(mapping(ring)),
        "bbox": [float(part) for part in ring.bounds],
        "properties": properties,
        "links": [{"rel": "collection", "href": f"../../collections/{collection}.json", "type": "application/json"}],
        "assets": assets,
    }


def extent_of(geobox: GeoBox) -> Polygon:
    """A grid's outline in longitude and latitude."""
    outline = geobox.extent if geobox.crs == "EPSG:4326" else geobox.extent.to_crs("EPSG:4326")
    return Polygon(shell_of(outline))


def geographic(polygon: BaseGeometry, crs: str) -> Polygon:
    """A projected polygon in longitude and latitude."""
    return Polygon(shell_of(Geometry(polygon, crs).to_crs("EPSG:4326")))


def shell_of(polygon: Geometry) -> list[tuple[float, float]]:
    """Corners of a polygon without holes."""
    ring, *_ = polygon.json["coordinates"]
    return [(float(x), float(y)) for x, y in ring]


def _plain(geometry: dict[str, Any]) -> dict[str, Any]:
    """Coordinates as lists, as JSON has them."""
    return {
        "type": geometry["type"],
        "coordinates": [[list(point) for point in ring] for ring in geometry["coordinates"]],
    }
