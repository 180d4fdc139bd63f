"""Build one version of an event and make it the one that readers see."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from shapely.geometry import shape

from pipeline_lib.flood.area import inside_area
from pipeline_lib.model import MappingPlan, PlannedPass, Product, digest_of
from pipeline_lib.options.publish import PublishOptions
from pipeline_lib.publish import versions
from pipeline_lib.publish.catalogue import update_catalogue
from pipeline_lib.publish.changes import describe_changes
from pipeline_lib.publish.collection import write_collections
from pipeline_lib.publish.figures import event_figures, pass_series, significance
from pipeline_lib.publish.item import footprint, grid_properties, make_item, moment
from pipeline_lib.publish.layers import DEPTH, EVENT_LAYERS, PASS_LAYERS
from pipeline_lib.publish.page_data import Imagery, draw_imagery
from pipeline_lib.publish.page_file import write_page
from pipeline_lib.publish.quicklook import write_quicklook
from pipeline_lib.publish.rasters import take_over, write_layers, write_vectors
from pipeline_lib.publish.records import RECORD, read_record
from pipeline_lib.publish.vectors import make_polygons
from pipeline_lib.publish.zonal import area_by_zone, exposure

__all__ = ["Publication", "PublishedPass", "product_of", "publish", "read_record"]
FORMAT = 1
"""Of what this module writes; a new one makes every version anew."""


@dataclass(frozen=True, kw_only=True)
class PublishedPass:
    """One pass, opened lazily."""

    planned: PlannedPass
    scene: xr.Dataset
    flood: xr.Dataset
    key: str
    """Of the stored FloodMap: same key, same pixels."""


@dataclass(frozen=True, kw_only=True)
class Publication:
    """Everything a version is made of."""

    plan: MappingPlan
    passes: tuple[PublishedPass, ...]
    """In order of time."""
    event: xr.Dataset
    event_key: str
    options: PublishOptions
    software: str
    environment: dict[str, str]
    """Versions of whatever can change a pixel."""
    published: datetime

    @property
    def key(self) -> str:
        """Same key, same version: publishing again changes nothing."""
        event = self.plan.event
        return digest_of(
            {
                "passes": [one.key for one in self.passes],
                "event": [self.event_key, event.event_id, event.title, event.aoi],
                "options": self.options.model_dump(mode="json"),
                "software": self.software,
                "format": FORMAT,
            }
        )


def publish(publication: Publication, out: Path) -> Product:
    """Publish a version under ``out/<event_id>``; return the current one where nothing would change.

    Raises:
        StoreError: another writer is alive, or the folder is not writable or full. What was published stays.
    """
    folder = out / publication.plan.event.event_id
    with versions.writing(folder, publication.options.lock_wait_s):
        before = read_record(folder)
        if before is not None and before["key"] == publication.key:
            return product_of(folder, before)
        number = versions.current_version(folder) + 1
        record = _build(publication, versions.workplace(folder, number), number, before, folder)
    update_catalogue(out)
    return product_of(folder, record)


def product_of(folder: Path, record: dict[str, Any]) -> Product:
    """What a run hands on of a published version."""
    return Product(
        event_id=record["event_id"],
        version=record["version"],
        collection_href=str(folder / "collection.json"),
        page_href=str(folder / "index.html"),
        quicklook_href=str(folder / "quicklook.png"),
        figures=record["figures"],
        plan_digest=record["provenance"]["plan_digest"],
        software=record["provenance"]["software"],
        published=datetime.fromisoformat(record["published"]),
    )


def _build(
    publication: Publication, place: Path, number: int, before: dict[str, Any] | None, folder: Path
) -> dict[str, Any]:
    """Write every file of a version into its hidden folder, then switch."""
    old = versions.version_folder(folder, before["version"]) if before else None
    inside = inside_area(publication.plan.event.aoi, publication.event["flood_extent"], publication.plan.grid)
    record = _record(publication, number, inside)
    for one in publication.passes:
        identity = one.planned.acquisition.acquisition_id
        known = (before or {"passes": {}})["passes"].get(identity)
        record["passes"][identity] = _write_pass(publication, one, place, old, known)
    record["event_assets"] = _write_event(publication, place, record)
    record["changes"] = describe_changes(before, record)
    imagery = draw_imagery(
        publication.event,
        [(one.scene, one.flood) for one in publication.passes],
        publication.plan.grid,
        publication.options,
    )
    _draw(place, record, imagery)
    (place / "plan.json").write_text(publication.plan.model_dump_json(indent=1), encoding="utf-8")
    write_page(place / "index.html", record, imagery, publication.options)
    write_collections(place, record, publication.options.license)
    (place / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
    versions.switch(folder, place, number)
    return record


def _record(publication: Publication, number: int, inside: xr.DataArray) -> dict[str, Any]:
    """What is known before a file is written."""
    plan, event = publication.plan, publication.event
    figures = event_figures(event, inside)
    usual = [float(one.flood["archive_dark_share"]) for one in publication.passes if "archive_dark_share" in one.flood]
    verdict = significance(figures, usual, publication.options.significance)
    figures["significant"] = verdict["significant"]
    return {
        "event_id": plan.event.event_id,
        "title": plan.event.title or plan.event.event_id,
        "area": plan.event.aoi,
        "version": number,
        "key": publication.key,
        "status": "published",
        "published": publication.published.isoformat(),
        "figures": figures,
        "series": pass_series(event),
        "significance": verdict,
        "rule": event.attrs["rule"],
        "epoch": event.attrs["epoch"],
        "license": publication.options.license,
        "minimum_mapping_unit_m2": _derive_option(plan, "min_mapping_unit_m2"),
        "notes": list(plan.notes),
        "passes": {},
        "provenance": {
            "software": publication.software,
            "environment": publication.environment,
            "plan_digest": plan.digest,
            "catalog": plan.catalog.model_dump(mode="json"),
            "grid": plan.grid.model_dump(mode="json"),
            "options": plan.options,
            "detector": plan.options.get("detect", {}),
            "event_key": publication.event_key,
            "dem": [item.item_id for item in plan.dem],
            "water_occurrence": [item.item_id for item in plan.water_occurrence],
        },
    }


def _derive_option(plan: MappingPlan, name: str) -> Any:
    """One option of the derive step, None where the plan does not say."""
    return plan.options.get("derive", {}).get(name)


def _write_pass(
    publication: Publication, one: PublishedPass, place: Path, old: Path | None, known: dict[str, Any] | None
) -> dict[str, Any]:
    """Files and item of one pass."""
    plan, acquisition = publication.plan, one.planned.acquisition
    identity = acquisition.acquisition_id
    folder = place / "passes" / identity
    folder.mkdir(parents=True)
    written_by = digest_of([one.key, publication.options.model_dump(mode="json"), FORMAT])
    unchanged = known is not None and known["written_by"] == written_by
    if (
        known is None
        or old is None
        or not unchanged
        or not take_over(old / "passes" / identity, folder, known["assets"])
    ):
        assets = write_layers(folder, one.flood, PASS_LAYERS, plan.grid, publication.options.compression)
        polygons = make_polygons(
            one.flood, plan.grid, _longitude(plan), acquisition.start.isoformat(), 1, publication.options
        )
        assets |= write_vectors(folder, polygons, publication.options)
    else:
        assets = known["assets"]
    facts = {
        "key": one.key,
        "written_by": written_by,
        "time": acquisition.start.isoformat(),
        "slices": [item.item_id for item in acquisition.slices],
        "references": [reference.acquisition_id for reference in one.planned.references],
        "platform": acquisition.platform,
        "relative_orbit": acquisition.relative_orbit,
        "orbit_direction": None if acquisition.orbit_direction is None else str(acquisition.orbit_direction),
        "assets": assets,
    }
    properties = {
        "title": f"Flood, {acquisition.start:%Y-%m-%d %H:%M} UTC",
        "datetime": moment(acquisition.start),
        "start_datetime": moment(acquisition.start),
        "end_datetime": moment(acquisition.end),
        "overbank:inputs": {item.item_id: digest_of(item.identity) for item in acquisition.slices},
        "overbank:references": {
            reference.acquisition_id: digest_of(reference.identity) for reference in one.planned.references
        },
        "overbank:key": one.key,
        **_common(publication, place),
    }
    item = make_item(
        identity,
        geometry=footprint(acquisition, plan.event.aoi),
        properties=properties,
        assets=assets,
        collection_id=plan.event.event_id,
        acquisition=acquisition,
    )
    (folder / f"{identity}.json").write_text(json.dumps(item, indent=1), encoding="utf-8")
    return facts


def _common(publication: Publication, place: Path) -> dict[str, Any]:
    """Properties that every item carries."""
    number = int(place.name.split(".")[1])
    return {
        "created": moment(publication.published),
        "updated": moment(publication.published),
        "version": str(number),
        "license": publication.options.license,
        "processing:software": publication.environment,
        "processing:level": "L3",
        "processing:lineage": "Sentinel-1 -> water -> flood (water that is not reference water, where radar can tell)",
        "overbank:minimum_mapping_unit_m2": _derive_option(publication.plan, "min_mapping_unit_m2"),
        "overbank:detector": publication.plan.options.get("detect", {}),
        "overbank:plan_digest": publication.plan.digest,
        **grid_properties(publication.plan.grid),
    }


def _write_event(publication: Publication, place: Path, record: dict[str, Any]) -> dict[str, Any]:
    """Files and item of the event's mosaic."""
    plan, event, options = publication.plan, publication.event, publication.options
    folder = place / "event"
    folder.mkdir()
    assets = write_layers(folder, event, (*EVENT_LAYERS, DEPTH), plan.grid, options.compression)
    polygons = make_polygons(event, plan.grid, _longitude(plan), record["epoch"], len(publication.passes), options)
    record["polygons"] = {"written": len(polygons), "left_out": polygons.attrs["left_out"]}
    assets |= write_vectors(folder, polygons, options)
    record["zones"] = [row for zones in options.zones for row in area_by_zone(folder / "flood_class.tif", zones)]
    record["exposure"] = exposure(polygons, options.exposure)
    properties = {
        "title": record["title"],
        "datetime": None,
        "start_datetime": moment(record["figures"]["first_pass"]),
        "end_datetime": moment(record["figures"]["last_pass"]),
        "overbank:rule": record["rule"],
        "overbank:epoch": moment(record["epoch"]),
        "overbank:state": record["figures"]["state"],
        "overbank:significance": record["significance"],
        "overbank:figures": record["figures"],
        "overbank:polygons": record["polygons"],
        "overbank:zones": record["zones"],
        "overbank:exposure": record["exposure"],
        **_common(publication, place),
    }
    item = make_item(
        f"{plan.event.event_id}-event",
        geometry=plan.event.aoi,
        properties=properties,
        assets=assets,
        collection_id=plan.event.event_id,
    )
    (folder / f"{item['id']}.json").write_text(json.dumps(item, indent=1), encoding="utf-8")
    return assets


def _draw(place: Path, record: dict[str, Any], imagery: Imagery) -> None:
    """The quicklook, north up on the event's own grid."""
    figures = record["figures"]
    span = f"{figures['first_pass'][:16].replace('T', ' ')} to {figures['last_pass'][:16].replace('T', ' ')} UTC"
    write_quicklook(
        place / "quicklook.png",
        imagery.classes,
        np.zeros_like(imagery.classes) if imagery.backdrop is None else imagery.backdrop,
        title=record["title"],
        subtitle=f"{span}, {figures['passes']} passes of Sentinel-1, version {record['version']}",
        figures=figures,
        metres=imagery.metres,
    )


def _longitude(plan: MappingPlan) -> float:
    """Longitude of the middle of the area, degrees."""
    area = shape(plan.event.aoi)
    west, _, east, _ = area.bounds
    return 180.0 if west <= -180 and east >= 180 else float(area.centroid.x)
