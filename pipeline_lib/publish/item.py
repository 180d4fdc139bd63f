"""STAC: one item a pass, one for the event's mosaic, one collection for the event.

Written as plain dictionaries, in the order a person reads them; `pystac` reads them back in the tests.

References:
    STAC 1.1.0; extensions projection 2.0, raster 1.1, sar 1.0, sat 1.0, processing 1.2, classification 2.0, file 2.1,
    version 1.2, and mlm 1.4 where a network made the map.
"""

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import shapely
from shapely.geometry import mapping, shape

from pipeline_lib.model import Acquisition, Advisory, Exclusion, Grid
from pipeline_lib.model.area import crosses_antimeridian
from pipeline_lib.publish.layers import Code, Layer

STAC_VERSION = "1.1.0"
_EXTENSIONS = "https://stac-extensions.github.io"
PROJECTION = f"{_EXTENSIONS}/projection/v2.0.0/schema.json"
RASTER = f"{_EXTENSIONS}/raster/v1.1.0/schema.json"
SAR = f"{_EXTENSIONS}/sar/v1.0.0/schema.json"
SAT = f"{_EXTENSIONS}/sat/v1.0.0/schema.json"
PROCESSING = f"{_EXTENSIONS}/processing/v1.2.0/schema.json"
CLASSIFICATION = f"{_EXTENSIONS}/classification/v2.0.0/schema.json"
FILE = f"{_EXTENSIONS}/file/v2.1.0/schema.json"
VERSION = f"{_EXTENSIONS}/version/v1.2.0/schema.json"
MLM = f"{_EXTENSIONS}/mlm/v1.4.0/schema.json"
BASE = (PROJECTION, RASTER, PROCESSING, CLASSIFICATION, FILE, VERSION)
COG_TYPE = "image/tiff; application=geotiff; profile=cloud-optimized"


def file_facts(path: Path, sha256: str) -> dict[str, Any]:
    """Size and checksum (multihash: 12 20 + SHA-256) of a file."""
    return {"file:size": path.stat().st_size, "file:checksum": f"1220{sha256}"}


def raster_asset(layer: Layer, facts: dict[str, Any], grid: Grid) -> dict[str, Any]:
    """Asset of one COG beside its item."""
    band: dict[str, Any] = {
        "nodata": layer.nodata,
        "data_type": layer.dtype,
        "spatial_resolution": grid.pixel_m,
        "sampling": "area",
    }
    if layer.unit:
        band["unit"] = layer.unit
    asset: dict[str, Any] = {
        "href": f"./{layer.name}.tif",
        "type": COG_TYPE,
        "title": layer.title,
        "description": layer.description,
        "roles": ["visual" if layer.bands else "data"],
        "raster:bands": [band | {"name": name} for name in layer.bands] or [band],
    }
    return asset | _classification(layer) | facts


def _classification(layer: Layer) -> dict[str, Any]:
    """Fields of the classification extension: classes of a class layer, bits of a flag layer."""
    if layer.codes:
        return {"classification:classes": [_class(layer, code) for code in layer.codes]}
    if layer.flags is not None:
        return {"classification:bitfields": [_bitfield(flag) for flag in layer.flags]}
    return {}


def _class(layer: Layer, code: Code) -> dict[str, Any]:
    """One class."""
    return {
        "value": code.value,
        "name": code.name,
        "title": code.title,
        "description": code.title,
        "color_hint": "{:02X}{:02X}{:02X}".format(*code.colour[:3]),
        "nodata": code.value == layer.nodata,
    }


def _bitfield(flag: Exclusion | Advisory) -> dict[str, Any]:
    """One bit."""
    name = str(flag.name).lower()
    return {
        "name": name,
        "offset": flag.value.bit_length() - 1,
        "length": 1,
        "classes": [
            {"value": 0, "name": "no", "description": "does not hold"},
            {"value": 1, "name": "yes", "description": name.replace("_", " ")},
        ],
    }


def make_item(
    item_id: str,
    *,
    geometry: dict[str, Any],
    properties: dict[str, Any],
    assets: dict[str, Any],
    collection_id: str,
    acquisition: Acquisition | None = None,
) -> dict[str, Any]:
    """A STAC item: of a pass, two folders below its collection, or of the mosaic, one below.

    Args:
        item_id: also the name of its folder and file.
        geometry: GeoJSON, EPSG:4326.
        properties: all but what the acquisition adds.
        assets: by key; hrefs relative to the item.
        collection_id: of the event.
        acquisition: of a pass; None for the mosaic.
    """
    extensions, more = list(BASE), {}
    if acquisition is not None:
        more = _radar(acquisition)
        extensions += [SAR, SAT] if any(name.startswith("sat:") for name in more) else [SAR]
    if "mlm:name" in properties:
        extensions.append(MLM)
    top = ".." if acquisition is None else "../.."
    links = [
        {"rel": rel, "href": f"{top}/collection.json", "type": "application/json"}
        for rel in ("root", "parent", "collection")
    ]
    return {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": extensions,
        "id": item_id,
        "geometry": geometry,
        "bbox": bbox_of(geometry),
        "properties": properties | more,
        "links": links,
        "assets": assets,
        "collection": collection_id,
    }


def _radar(acquisition: Acquisition) -> dict[str, Any]:
    """Properties of the sar and sat extensions."""
    platform = acquisition.platform
    facts: dict[str, Any] = {
        "platform": f"sentinel-{platform[1:].lower()}" if platform.startswith("S") else platform,
        "constellation": "sentinel-1",
        "instruments": ["c-sar"],
        "sar:instrument_mode": "IW",
        "sar:frequency_band": "C",
        "sar:center_frequency": 5.405,
        "sar:polarizations": [name.upper() for name in acquisition.polarisations],
        "sar:product_type": str(acquisition.product),
    }
    if acquisition.orbit_direction is not None:
        facts["sat:orbit_state"] = str(acquisition.orbit_direction)
    if acquisition.relative_orbit is not None:
        facts["sat:relative_orbit"] = acquisition.relative_orbit
    return facts


def grid_properties(grid: Grid) -> dict[str, Any]:
    """Properties of the projection extension."""
    return {"proj:code": grid.crs, "proj:shape": list(grid.shape), "proj:transform": list(grid.transform)}


def moment(value: datetime | str) -> str:
    """A moment in UTC as STAC writes it."""
    parsed = datetime.fromisoformat(value) if isinstance(value, str) else value
    return parsed.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def footprint(acquisition: Acquisition, area: dict[str, Any]) -> dict[str, Any]:
    """The part of the area that the acquisition's slices cover; the area itself where they do not tell."""
    slices = [shape(item.footprint) for item in acquisition.slices if item.footprint]
    if not slices:
        return area
    common = shapely.union_all(slices).intersection(shape(area))
    parts = [part for part in getattr(common, "geoms", [common]) if part.geom_type == "Polygon" and part.area > 0]
    if not parts:
        return area
    found: dict[str, Any] = _plain(mapping(parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)))
    return found


def bbox_of(geometry: dict[str, Any]) -> list[float]:
    """West, south, east, north; west exceeds east over the antimeridian (RFC 7946 section 5.2)."""
    whole: Any = shape(geometry)
    west, south, east, north = whole.bounds
    if crosses_antimeridian(geometry):
        west = min(part.bounds[0] for part in whole.geoms if part.bounds[0] > 0)
        east = max(part.bounds[2] for part in whole.geoms if part.bounds[2] < 0)
    return [west, south, east, north]


def make_collection(  # noqa: PLR0913 - each is one field of the collection
    event_id: str,
    *,
    title: str,
    description: str,
    area: dict[str, Any],
    interval: tuple[str, str],
    item_hrefs: dict[str, str],
    properties: dict[str, Any],
    assets: dict[str, Any],
    license_name: str,
) -> dict[str, Any]:
    """The event's collection.

    Args:
        event_id: identifier.
        title: what people call it.
        description: markdown.
        area: GeoJSON, EPSG:4326.
        interval: first and last moment observed.
        item_hrefs: title to href of each item, relative to the collection.
        properties: further fields (version, figures ...).
        assets: page, quicklook, plan ...
        license_name: SPDX identifier.
    """
    links = [{"rel": "root", "href": "./collection.json", "type": "application/json", "title": title}]
    links += [
        {"rel": "item", "href": href, "type": "application/geo+json", "title": name}
        for name, href in item_hrefs.items()
    ]
    return {
        "type": "Collection",
        "stac_version": STAC_VERSION,
        "stac_extensions": [VERSION, FILE],
        "id": event_id,
        "title": title,
        "description": description,
        "keywords": ["flood", "Sentinel-1", "SAR", "overbank"],
        "license": license_name,
        "providers": [
            {
                "name": "European Union, Copernicus Sentinel data",
                "roles": ["producer", "licensor"],
                "url": "https://www.copernicus.eu",
            }
        ],
        "extent": {"spatial": {"bbox": [bbox_of(area)]}, "temporal": {"interval": [list(interval)]}},
        **properties,
        "links": links,
        "assets": assets,
    }


def _plain(value: Any) -> Any:
    """Tuples to lists."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, (tuple, list)) else value
