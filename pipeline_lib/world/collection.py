"""STAC collections of the simulated archive, made from the items that are in it."""

from typing import Any

from pipeline_lib.world.item import STAC_VERSION

ITEM_ASSETS = "https://stac-extensions.github.io/item-assets/v1.0.0/schema.json"
TEXTS = {
    "sentinel-1-rtc": (
        "Sentinel 1 Radiometrically Terrain Corrected (RTC), simulated",
        "Simulated gamma0 of a made-up flood in the format of Planetary Computer's sentinel-1-rtc (linear, UTM, 10 m).",
        ["SAR", "RTC", "C-Band", "simulated"],
    ),
    "sentinel-1-grd": (
        "Sentinel 1 Level-1 Ground Range Detected (GRD), simulated",
        "Simulated digital numbers of a made-up flood with annotation, calibration and noise files as real products.",
        ["SAR", "GRD", "C-Band", "simulated"],
    ),
    "sentinel-2-l2a": (
        "Sentinel-2 Level-2A, simulated",
        "Simulated surface reflectance of a made-up flood: 10000 x reflectance + 1000 (processing baseline 05.11).",
        ["optical", "reflectance", "simulated"],
    ),
    "cop-dem-glo-30": (
        "Copernicus DEM GLO-30, simulated",
        "Simulated surface model of a made-up landscape: 1 arc second, EPSG:4326, float32 metres.",
        ["DEM", "DSM", "elevation", "simulated"],
    ),
    "jrc-gsw": (
        "JRC Global Surface Water, simulated",
        "Simulated history of surface water: occurrence in percent, seasonality in months, 255 no data.",
        ["water", "occurrence", "simulated"],
    ),
}
"""Title, description and keywords of each collection."""


def collection(collection_id: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    """A collection whose extent and summaries are those of its items.

    Args:
        collection_id: one of `TEXTS`.
        items: its items, at least one.
    """
    title, description, keywords = TEXTS[collection_id]
    boxes = [entry["bbox"] for entry in items]
    united = [min(box[0] for box in boxes), min(box[1] for box in boxes)]
    united += [max(box[2] for box in boxes), max(box[3] for box in boxes)]
    first = min(entry["properties"].get("start_datetime") or entry["properties"]["datetime"] for entry in items)
    last = max(entry["properties"].get("end_datetime") or entry["properties"]["datetime"] for entry in items)
    return {
        "type": "Collection",
        "stac_version": STAC_VERSION,
        "stac_extensions": [ITEM_ASSETS],
        "id": collection_id,
        "title": title,
        "description": description,
        "license": "Apache-2.0",
        "keywords": keywords,
        "providers": [{"name": "overbank", "roles": ["producer", "host"], "description": "Simulated data."}],
        "extent": {"spatial": {"bbox": [united]}, "temporal": {"interval": [[first, last]]}},
        "summaries": _summaries(items),
        "item_assets": _item_assets(items),
        "links": [],
    }


def _summaries(items: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Distinct values of the properties that people search by."""
    searched = (
        "platform", "constellation", "sar:instrument_mode", "sar:polarizations", "sar:product_type", "sat:orbit_state",
        "sat:relative_orbit", "s2:processing_baseline", "s2:mgrs_tile", "gsd",
    )  # fmt: skip
    found: dict[str, list[Any]] = {}
    for name in searched:
        for entry in items:
            value = entry["properties"].get(name)
            if value is not None and value not in found.setdefault(name, []):
                found[name].append(value)
    return {name: values for name, values in found.items() if values}


def _item_assets(items: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What every item's assets have in common."""
    own = ("href", "file:size", "file:checksum", "proj:bbox", "proj:shape", "proj:transform")
    return {
        key: {name: value for name, value in asset.items() if name not in own}
        for entry in items[:1]
        for key, asset in entry["assets"].items()
    }
