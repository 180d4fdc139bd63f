"""Build one version of an event and make it the one that readers see."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr

from pipeline_lib.errors import SupersededError
from pipeline_lib.flood.area import inside_area
from pipeline_lib.model import EventFigures, Product
from pipeline_lib.publish import versions
from pipeline_lib.publish.catalogue import update_catalogue
from pipeline_lib.publish.changes import describe_changes
from pipeline_lib.publish.cog import read_cog
from pipeline_lib.publish.collection import write_collections
from pipeline_lib.publish.contents import Publication, PublishedPass
from pipeline_lib.publish.entries import write_event, write_pass
from pipeline_lib.publish.figures import event_figures, pass_series, significance
from pipeline_lib.publish.layers import DEPTH
from pipeline_lib.publish.networks import networks_of, take_networks
from pipeline_lib.publish.page_data import Imagery, draw_imagery
from pipeline_lib.publish.page_file import write_page
from pipeline_lib.publish.quicklook import write_quicklook
from pipeline_lib.publish.records import read_record, write_record
from pipeline_lib.publish.version_record import PolygonCount, Provenance, VersionRecord

__all__ = ["Publication", "PublishedPass", "draw_quicklook", "product_of", "publish", "read_record"]


def publish(publication: Publication, out: Path, since: int | None = None) -> Product:
    """Publish a version under ``out/<event_id>``; return the current one where nothing would change.

    Args:
        publication: of the version.
        out: folder of all events.
        since: the version that was current when the run began, 0 for none: what was published after it may know more.

    Raises:
        SupersededError: the event was retracted since, or published with these passes and more.
        StoreError: another writer is alive, or the folder is not writable or full. What was published stays.
    """
    folder = out / publication.plan.event.event_id
    with versions.writing(folder, publication.options.lock_wait_s):
        before = read_record(folder)
        if before is not None and before.key == publication.key:
            return product_of(folder, before)
        if before is not None and since is not None and before.version > since:
            _refuse_superseded(publication, before)
        number = versions.current_version(folder) + 1
        with versions.workplace(folder, number) as place:
            record = _build(publication, place, number, before, folder)
    update_catalogue(out)
    return product_of(folder, record)


def _refuse_superseded(publication: Publication, before: VersionRecord) -> None:
    """Refuse what would take back what a person or another run has published since this one began."""
    version, event_id = before.version, before.event_id
    mapped = {one.planned.acquisition.acquisition_id for one in publication.passes}
    if before.retracted:
        why = f"was retracted while this run mapped it ({before.retracted_because})"
    elif mapped < set(before.passes):
        why = f"was published by another run since, with {len(before.passes)} passes instead of {len(mapped)}"
    else:
        return
    raise SupersededError(
        f"Not published: {event_id} {why}; version {version} stays. Map it again if it shall be replaced "
        "(`overbank map ... --again`)."
    )


def draw_quicklook(publication: Publication, folder: Path, path: Path) -> EventFigures:
    """Draw the quicklook of a version that is not published, for whoever decides on it; return its figures.

    Args:
        publication: of the version it would be.
        folder: of the event.
        path: PNG to write.
    """
    inside = inside_area(publication.plan.event.aoi, publication.event["flood_extent"], publication.plan.grid)
    record = _record(publication, versions.current_version(folder) + 1, inside)
    _draw(path, record, _imagery(publication))
    return record.figures


def product_of(folder: Path, record: VersionRecord) -> Product:
    """What a run hands on of a published version."""
    return Product(
        event_id=record.event_id,
        version=record.version,
        collection_href=str(folder / "collection.json"),
        page_href=str(folder / "index.html"),
        quicklook_href=str(folder / "quicklook.png"),
        figures=record.figures,
        plan_digest=record.provenance.plan_digest,
        software=record.provenance.software,
        published=record.published,
    )


def _build(
    publication: Publication, place: Path, number: int, before: VersionRecord | None, folder: Path
) -> VersionRecord:
    """Write every file of a version into its hidden folder, then switch."""
    old = versions.version_folder(folder, before.version) if before else None
    inside = inside_area(publication.plan.event.aoi, publication.event["flood_extent"], publication.plan.grid)
    record = _record(publication, number, inside)
    networks = networks_of((one.made_by for one in publication.passes), publication.plan.options.detect)
    take_networks(networks.values(), place, old)
    known = {} if before is None else before.passes
    passes = {
        one.planned.acquisition.acquisition_id: write_pass(
            publication, one, place, networks, old, known.get(one.planned.acquisition.acquisition_id)
        )
        for one in publication.passes
    }
    files = write_event(publication, place, networks, record)
    record = record.model_copy(
        update={
            "passes": passes,
            "event_assets": files.assets,
            "polygons": files.polygons,
            "zones": files.zones,
            "exposure": files.exposure,
        }
    )
    record = record.model_copy(update={"changes": tuple(describe_changes(before, record))})
    imagery = _imagery(_with_depth_read(publication, place))
    _draw(place / "quicklook.png", record, imagery)
    (place / "plan.json").write_text(json.dumps(publication.plan.document, indent=1), encoding="utf-8")
    write_page(place / "index.html", record, imagery, publication.options)
    write_collections(place, record, publication.options.license)
    write_record(place, record)
    versions.switch(folder, place, number)
    return record


def _record(publication: Publication, number: int, inside: xr.DataArray) -> VersionRecord:
    """What is known before a file is written."""
    plan, event = publication.plan, publication.event
    figures = event_figures(event, inside)
    usual = [float(one.flood["archive_dark_share"]) for one in publication.passes if "archive_dark_share" in one.flood]
    rules = publication.options.significance
    verdict = significance(figures.flood_area_km2, figures.usable_land_km2, usual, rules)
    return VersionRecord(
        event_id=plan.event.event_id,
        title=plan.event.title or plan.event.event_id,
        area=plan.event.aoi,
        version=number,
        key=publication.key,
        status="published",
        published=publication.published,
        figures=figures.model_copy(update={"significant": verdict.significant}),
        series=pass_series(event),
        significance=verdict,
        rule=event.attrs["rule"],
        epoch=event.attrs["epoch"],
        license=publication.options.license,
        minimum_mapping_unit_m2=plan.options.derive.min_mapping_unit_m2,
        notes=plan.notes,
        passes={},
        polygons=PolygonCount(written=0, left_out=0),
        event_assets={},
        changes=(),
        provenance=Provenance(
            software=publication.software,
            environment=publication.environment,
            plan_digest=plan.digest,
            decision=publication.decision,
            catalog=plan.catalog,
            grid=plan.grid,
            options=plan.options.model_dump(mode="json"),
            detector=plan.options.detect,
            event_key=publication.event_key,
            dem=tuple(item.item_id for item in plan.dem),
            water_occurrence=tuple(item.item_id for item in plan.water_occurrence),
        ),
    )


def _with_depth_read(publication: Publication, place: Path) -> Publication:
    """The same with the depth as it was just written: estimating it again costs more than the rest of the page."""
    event = publication.event
    if DEPTH.name not in event:
        return publication
    depth = read_cog(place / "event" / f"{DEPTH.name}.tif", event[DEPTH.name])
    return replace(publication, event=event.assign({DEPTH.name: depth}))


def _imagery(publication: Publication) -> Imagery:
    """The pictures of the page."""
    passes = [(one.scene, one.flood) for one in publication.passes]
    return draw_imagery(publication.event, passes, publication.plan.grid, publication.options)


def _draw(path: Path, record: VersionRecord, imagery: Imagery) -> None:
    """The quicklook, north up on the event's own grid."""
    figures = record.figures
    span = f"{figures.first_pass:%Y-%m-%d %H:%M} to {figures.last_pass:%Y-%m-%d %H:%M} UTC"
    write_quicklook(
        path,
        imagery.classes,
        np.zeros_like(imagery.classes) if imagery.backdrop is None else imagery.backdrop,
        title=record.title,
        subtitle=f"{span}, {figures.passes} passes of Sentinel-1, version {record.version}",
        figures=figures,
        metres=imagery.metres,
    )
