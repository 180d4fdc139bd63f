"""A whole scene from the archive to the published event: one GRD product, no reference passes, the default detector.

    python benchmarks/full_scene.py WORK OUT [--share 1] [--workers 2]

WORK is what `benchmarks/grd.py prepare` made: a full IW product (real annotation, simulated numbers with lakes) and an
elevation model. It is served as a STAC API by another process; then every step runs as `overbank map` runs it: search
and plan, elevation with slope and HAND, geocoding of both polarisations to 10 m, detection, flood, mosaic, publication.
OUT is emptied first. ``--share`` maps the middle of the scene alone, so large a part of its area. One line of JSON a
stage, then one for the whole. References and Sentinel-2 are left out: what they cost is in benchmarks/end_to_end.py.
"""

import argparse
import json
import os
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import rasterio
from end_to_end import measured
from shapely.geometry import MultiPoint, Polygon, box, mapping
from stopwatch import tell

from pipeline_lib.load.safe_annotation import read_annotation
from pipeline_lib.load.safe_files import find_safe
from pipeline_lib.model import Event
from pipeline_lib.options.map_event import MapOptions
from pipeline_lib.sar.annotation import GrdAnnotation
from pipeline_lib.world.collection import collection
from pipeline_lib.world.item import item, utc
from pipeline_lib.world.safe_item import safe_assets

OPTIONS = {
    "search": {"product": "GRD", "optical": False},
    "plan": {"require_references": False},
}


def outline(note: GrdAnnotation) -> Polygon:
    """What the product saw, in longitude and latitude."""
    tie = note.geolocation
    return MultiPoint(np.stack([tie.longitude_deg, tie.latitude_deg], axis=1)).convex_hull


def end_of(note: GrdAnnotation) -> datetime:
    """Time of the last line."""
    return note.epoch + timedelta(seconds=note.image.lines * note.image.line_interval_s)


def write_archive(work: Path) -> None:
    """An archive of the product and the elevation model, which are linked into it."""
    assets_folder = work / "assets"
    if not assets_folder.exists():
        shutil.copytree(work / "scene.SAFE", assets_folder / "scene.SAFE", copy_function=os.link)
        os.link(work / "dem.tif", assets_folder / "dem.tif")
    note = read_annotation(find_safe(str(work / "scene.SAFE")), "vv")
    properties = {
        "datetime": utc(note.epoch), "start_datetime": utc(note.epoch), "end_datetime": utc(end_of(note)),
        "platform": f"SENTINEL-{note.platform[1:]}", "constellation": "Sentinel-1", "sar:instrument_mode": note.mode,
        "sar:polarizations": ["VV", "VH"], "sar:product_type": "GRD", "sat:orbit_state": note.orbit_direction,
        "sat:absolute_orbit": note.absolute_orbit, "sat:relative_orbit": note.relative_orbit, "s1:slice_number": "1",
    }  # fmt: skip
    assets = safe_assets(work, assets_folder / "scene.SAFE")
    radar = item("full-scene", "sentinel-1-grd", outline(note), properties, assets, ("sar", "sat"))
    with rasterio.open(work / "dem.tif") as dem:
        extent = box(*dem.bounds)
    data = {"data": {"href": "assets/dem.tif", "type": "image/tiff; application=geotiff", "roles": ["data"]}}
    ground = item("dem", "cop-dem-glo-30", extent, {"datetime": "2021-04-22T00:00:00Z"}, data, ())
    for entry in (radar, ground):
        name = entry["collection"]
        for path, content in (
            (work / "collections" / f"{name}.json", collection(name, [entry])),
            (work / "items" / name / f"{entry['id']}.json", entry),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content))


def event_of(work: Path, share: float) -> Event:
    """An event over the middle of the scene."""
    note = read_annotation(find_safe(str(work / "scene.SAFE")), "vv")
    whole = outline(note)
    area = whole if share >= 1 else whole.centroid.buffer((share * whole.area) ** 0.5 / 2, cap_style="square")
    day = timedelta(days=1)
    return Event(event_id="full-scene", aoi=mapping(area), start=note.epoch - day, end=note.epoch + day, title="Scene")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    shutil.rmtree(given.out, ignore_errors=True)
    write_archive(given.work)
    options = MapOptions.model_validate(OPTIONS)
    for row in measured(event_of(given.work, given.share), given.work, given.out, 1, given.workers, options):
        tell(**row, share=given.share)


if __name__ == "__main__":
    main()
