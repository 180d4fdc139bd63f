"""The items of a version: files and description of each pass and of the event."""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pipeline_lib.model import Acquisition, NetworkUsed, digest_of
from pipeline_lib.publish.contents import FORMAT, Publication, PublishedPass, written_with
from pipeline_lib.publish.item import footprint, grid_properties, make_item, moment
from pipeline_lib.publish.layers import DEPTH, EVENT_LAYERS, OPTICAL_LAYERS, PASS_LAYERS
from pipeline_lib.publish.networks import PublishedNetwork, network_assets, network_properties
from pipeline_lib.publish.rasters import take_over, write_files
from pipeline_lib.publish.vectors import make_polygons
from pipeline_lib.publish.version_record import EventFiles, PassRecord, PolygonCount, StacAssets, VersionRecord
from pipeline_lib.publish.zonal import area_by_zone, exposure


def write_pass(
    publication: Publication,
    one: PublishedPass,
    place: Path,
    networks: Mapping[str, PublishedNetwork],
    old: Path | None,
    known: PassRecord | None,
) -> PassRecord:
    """Files and item of one pass; return what the record keeps of it.

    Args:
        publication: of the version.
        one: the pass.
        place: folder of the version being built.
        networks: of all passes.
        old: folder of the version before, None where there is none.
        known: what its record keeps of the pass, None where it did not hold it.
    """
    acquisition, used = one.planned.acquisition, one.made_by
    identity = acquisition.acquisition_id
    folder = place / "passes" / identity
    folder.mkdir(parents=True)
    written_by = digest_of([one.key, written_with(publication.options), FORMAT])
    files = _known_assets(folder, identity, written_by, old, known) or _pass_files(publication, one, folder)
    item = make_item(
        identity,
        geometry=footprint(acquisition, publication.plan.event.aoi),
        properties=_pass_properties(publication, one, place) | network_properties(used.all_networks, networks),
        assets=files | network_assets(used.all_networks, networks, "../.."),
        collection_id=publication.plan.event.event_id,
        acquisition=acquisition,
    )
    (folder / f"{identity}.json").write_text(json.dumps(item, indent=1), encoding="utf-8")
    return PassRecord(
        key=one.key,
        made_by=used.without_folders,
        written_by=written_by,
        time=acquisition.start,
        slices=tuple(part.item_id for part in acquisition.slices),
        references=tuple(reference.acquisition_id for reference in one.planned.references),
        platform=acquisition.platform,
        relative_orbit=acquisition.relative_orbit,
        orbit_direction=None if acquisition.orbit_direction is None else str(acquisition.orbit_direction),
        assets=files,
    )


def _known_assets(
    folder: Path, identity: str, written_by: str, old: Path | None, known: PassRecord | None
) -> StacAssets | None:
    """Assets taken over from the version before; None where the pass changed or is new."""
    if old is None or known is None or known.written_by != written_by:
        return None
    return known.assets if take_over(old / "passes" / identity, folder, known.assets) else None


def _pass_files(publication: Publication, one: PublishedPass, folder: Path) -> StacAssets:
    """Rasters and polygons of a pass; return their assets."""
    options, grid = publication.options, publication.plan.grid
    start = one.planned.acquisition.start
    polygons = partial(make_polygons, one.flood, grid, publication.longitude, start, 1, options)
    return write_files(folder, one.flood, PASS_LAYERS, grid, options, polygons)[0]


def _pass_properties(publication: Publication, one: PublishedPass, place: Path) -> dict[str, Any]:
    """Properties of a pass's item: when, from what, by what."""
    acquisition = one.planned.acquisition
    return {
        "title": f"Flood, {acquisition.start:%Y-%m-%d %H:%M} UTC",
        "datetime": moment(acquisition.start),
        "start_datetime": moment(acquisition.start),
        "end_datetime": moment(acquisition.end),
        "overbank:inputs": _digests((acquisition,)),
        "overbank:references": _digests(one.planned.references),
        "overbank:residual_shift": _measured(one, "residual_shift"),
        "overbank:residual_shift_optical": _measured(one, "optical_shift"),
        "overbank:product": str(acquisition.product),
        "overbank:product_gain": _measured(one, "product_gain"),
        "overbank:orbit_source": one.scene.attrs.get("orbit_source"),
        "overbank:sea_without_elevation": str(one.scene.attrs.get("sea_without_elevation", "")).split(),
        "overbank:key": one.key,
        "overbank:detector": one.made_by.without_folders.model_dump(mode="json", exclude_defaults=True),
        "overbank:networks": [_network(network) for network in one.made_by.all_networks],
        **_common(publication, place),
    }


def _network(used: NetworkUsed) -> dict[str, Any]:
    """A network as an item names it: which, by the digests of its files, and how it was run."""
    return used.model_dump(mode="json", exclude={"folder"})


def _networks_by_pass(publication: Publication) -> list[dict[str, Any]]:
    """Every network of the event with the passes that it had a say in."""
    told: dict[str, dict[str, Any]] = {}
    for one in publication.passes:
        for used in one.made_by.all_networks:
            network = _network(used)
            entry = told.setdefault(digest_of(network), {**network, "passes": []})
            entry["passes"].append(one.planned.acquisition.acquisition_id)
    return list(told.values())


def _measured(one: PublishedPass, name: str) -> dict[str, Any] | None:
    """What was measured of the pass against its references or Sentinel-2 (shift, gain); None where nothing was."""
    measured = one.scene.attrs.get(name)
    return None if measured is None else dict(json.loads(measured))


def _digests(acquisitions: tuple[Acquisition, ...]) -> dict[str, str]:
    """Digest of every slice by its item's id."""
    return {item.item_id: digest_of(item.identity) for one in acquisitions for item in one.slices}


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
        "overbank:minimum_mapping_unit_m2": publication.plan.options.derive.min_mapping_unit_m2,
        "overbank:plan_digest": publication.plan.digest,
        **grid_properties(publication.plan.grid),
    }


def write_event(
    publication: Publication, place: Path, networks: Mapping[str, PublishedNetwork], record: VersionRecord
) -> EventFiles:
    """Files and item of the event's mosaic."""
    plan, event, options = publication.plan, publication.event, publication.options
    used = [network for one in publication.passes for network in one.made_by.all_networks]
    folder = place / "event"
    folder.mkdir()
    trace = partial(
        make_polygons, event, plan.grid, publication.longitude, record.epoch, len(publication.passes), options
    )
    assets, polygons = write_files(folder, event, (*EVENT_LAYERS, DEPTH, *OPTICAL_LAYERS), plan.grid, options, trace)
    files = EventFiles(
        assets=assets,
        polygons=PolygonCount(written=len(polygons), left_out=polygons.attrs["left_out"]),
        zones=tuple(row for zones in options.zones for row in area_by_zone(folder / "flood_class.tif", zones)),
        exposure=tuple(exposure(polygons, options.exposure)),
    )
    properties = {
        "title": record.title,
        "datetime": None,
        "start_datetime": moment(record.figures.first_pass),
        "end_datetime": moment(record.figures.last_pass),
        "overbank:rule": record.rule,
        "overbank:epoch": moment(record.epoch),
        "overbank:state": record.figures.state,
        "overbank:significance": record.significance.model_dump(mode="json"),
        "overbank:decision": None if publication.decision is None else publication.decision.model_dump(mode="json"),
        "overbank:figures": record.figures.model_dump(mode="json"),
        "overbank:polygons": files.polygons.model_dump(mode="json"),
        "overbank:zones": [row.model_dump(mode="json") for row in files.zones],
        "overbank:exposure": [row.model_dump(mode="json") for row in files.exposure],
        "overbank:detector": plan.options.detect.model_dump(mode="json"),
        "overbank:networks": _networks_by_pass(publication),
        **_common(publication, place),
        **network_properties(used, networks),
    }
    item = make_item(
        f"{plan.event.event_id}-event",
        geometry=plan.event.aoi,
        properties=properties,
        assets=assets | network_assets(used, networks, ".."),
        collection_id=plan.event.event_id,
    )
    (folder / f"{item['id']}.json").write_text(json.dumps(item, indent=1), encoding="utf-8")
    return files
