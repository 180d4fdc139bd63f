"""The event's collection, twice: inside its version, and to be read from the event's folder."""

import json
from pathlib import Path
from typing import Any

from pipeline_lib.content import digest_of_file
from pipeline_lib.publish.item import file_facts, make_collection, moment
from pipeline_lib.publish.version_record import VersionRecord


def write_collections(place: Path, record: VersionRecord, license_name: str) -> None:
    """Write ``collection.json`` (links within the version) and ``top/collection.json`` (links from the event's folder).

    Both name the same files; the second is what readers find at ``OUT/<event_id>/collection.json``.
    """
    (place / "top").mkdir()
    version = f"{record.version:04d}"
    for path, base in (
        (place / "collection.json", "./"),
        (place / "top" / "collection.json", f"./versions/{version}/"),
    ):
        collection = _collection(place, record, license_name, base)
        collection["links"] += _version_links(record, base)
        path.write_text(json.dumps(collection, indent=1), encoding="utf-8")


def _collection(place: Path, record: VersionRecord, license_name: str, base: str) -> dict[str, Any]:
    """The collection as seen from one of the two places."""
    event_id = record.event_id
    hrefs = {f"{record.title} (all passes)": f"{base}event/{event_id}-event.json"}
    hrefs |= {identity: f"{base}passes/{identity}/{identity}.json" for identity in record.passes}
    figures = record.figures
    return make_collection(
        event_id,
        title=record.title,
        description=_description(record),
        area=record.area,
        interval=(moment(figures.first_pass), moment(figures.last_pass)),
        item_hrefs=hrefs,
        license_name=license_name,
        properties={
            "version": str(record.version),
            "deprecated": record.retracted,
            "overbank:figures": figures.model_dump(mode="json"),
            "overbank:significance": record.significance.model_dump(mode="json"),
            "overbank:changes": list(record.changes),
            "overbank:state": figures.state,
            "summaries": {
                "platform": sorted({one.platform for one in record.passes.values()}),
                "overbank:passes": sorted(record.passes),
            },
        },
        assets=_assets(place, base),
    )


def _assets(place: Path, base: str) -> dict[str, Any]:
    """Page, quicklook and plan, with checksums."""
    known = {
        "page": ("index.html", "text/html", "Map and figures", ["overview"]),
        "quicklook": ("quicklook.png", "image/png", "Quicklook", ["thumbnail"]),
        "plan": ("plan.json", "application/json", "Plan of the run: inputs, grid, options", ["metadata"]),
    }
    return {
        key: {
            "href": f"{base}{name}",
            "type": kind,
            "title": title,
            "roles": roles,
            **file_facts(place / name, digest_of_file(place / name)),
        }
        for key, (name, kind, title, roles) in known.items()
    }


def _version_links(record: VersionRecord, base: str) -> list[dict[str, str]]:
    """Links to the version before and to the newest one."""
    top = "./" if base != "./" else "../../"
    links = [{"rel": "latest-version", "href": f"{top}collection.json", "type": "application/json"}]
    if record.version > 1:
        before = f"{top}versions/{record.version - 1:04d}/collection.json"
        links.append({"rel": "predecessor-version", "href": before, "type": "application/json"})
    return links


def _description(record: VersionRecord) -> str:
    """Markdown for catalogues."""
    figures = record.figures
    changes = "\n".join(f"- {sentence}" for sentence in record.changes)
    return (
        f"Flood mapped from {figures.passes} Sentinel-1 passes, {figures.first_pass:%Y-%m-%d} to "
        f"{figures.last_pass:%Y-%m-%d}: {figures.flood_area_km2:,.2f} km2 flooded (likely "
        f"{figures.flood_area_low_km2:,.2f} to {figures.flood_area_high_km2:,.2f}), "
        f"{figures.observed_share:.0%} of the area observed, state {figures.state}.\n\n"
        f"Version {record.version}:\n\n{changes}\n\nContains modified Copernicus Sentinel data."
    )
