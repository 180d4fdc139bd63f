"""GRD products of the simulated archive: one SAFE folder and one STAC item for each slice of a pass."""

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox
from shapely.geometry import MultiPoint, Polygon

from pipeline_lib.model.acquisition import OrbitDirection
from pipeline_lib.options.world import WorldOptions
from pipeline_lib.world.calendar import RadarSlice
from pipeline_lib.world.item import item
from pipeline_lib.world.radar import Land, RadarScene
from pipeline_lib.world.radar_geometry import footprint
from pipeline_lib.world.radar_item import product_id, radar_properties
from pipeline_lib.world.safe import Pass, ellipsoidal_heights, write_safe
from pipeline_lib.world.safe_annotation import TiePoints

COLLECTION = "sentinel-1-grd"
KINDS = {"schema-product": "Product Schema", "schema-calibration": "Calibration Schema", "schema-noise": "Noise Schema"}


def write_grd(root: Path, options: WorldOptions, scene: RadarScene, land: Land, geobox: GeoBox) -> list[dict[str, Any]]:
    """Write a pass of the world as GRD products, one for each slice, and return their items.

    Args:
        root: the world's folder; products go to ``assets/sentinel-1-grd/<product>.SAFE``.
        options: of the world.
        scene: the pass.
        land: the world's relief, heights above the geoid.
        geobox: the world's grid.
    """
    radar_pass = scene.radar_pass
    angles = {
        OrbitDirection.ASCENDING: options.radar.ascending_incidence_deg,
        OrbitDirection.DESCENDING: options.radar.descending_incidence_deg,
    }
    flown = Pass(
        platform=radar_pass.platform,
        direction=radar_pass.direction,
        incidence_deg=angles[radar_pass.direction],
        abeam=radar_pass.start + timedelta(seconds=5),
        absolute_orbit=radar_pass.absolute_orbit,
        relative_orbit=radar_pass.relative_orbit,
        datatake=radar_pass.datatake,
    )
    height = ellipsoidal_heights(land.relief.elevation_m, geobox)
    items = []
    for part in radar_pass.slices:
        seen = footprint(options, radar_pass, part.share)
        content = {"vv": scene.vv, "vh": scene.vh}
        name = product_id(radar_pass, part)
        folder = root / "assets" / COLLECTION / f"{name}_{name_digest(name)}.SAFE"
        written = write_safe(folder, flown, content, height, geobox, seen=seen, slice_number=part.number)
        items.append(_item(root, folder, written, scene, part))
    return items


def name_digest(name: str) -> str:
    """The four hexadecimal digits at the end of a product's name."""
    return hashlib.sha256(name.encode()).hexdigest()[:4].upper()


def _item(root: Path, folder: Path, points: TiePoints, scene: RadarScene, part: RadarSlice) -> dict[str, Any]:
    """STAC item as the Planetary Computer writes those of GRD: images beside the three kinds of annotation."""
    radar_pass = scene.radar_pass
    outline = MultiPoint(np.stack([points.longitude_deg, points.latitude_deg], axis=1)).convex_hull
    if not isinstance(outline, Polygon):
        raise TypeError(f"{folder.name} has an image of no extent.")
    name = product_id(radar_pass, part)
    return item(
        name, COLLECTION, outline, radar_properties(radar_pass, part), safe_assets(root, folder), ("sar", "sat")
    )


def safe_assets(root: Path, folder: Path) -> dict[str, dict[str, Any]]:
    """Every file of the product in ``folder`` under the keys of the real collections, hrefs relative to ``root``."""
    assets: dict[str, dict[str, Any]] = {"safe-manifest": _asset(root, folder / "manifest.safe", "Manifest File")}
    for pol in ("vv", "vh"):
        image = next(folder.glob(f"measurement/*-{pol}-*.tiff"))
        assets[pol] = _asset(root, image, f"{pol.upper()} Data", "image/tiff; application=geotiff", "data")
        for kind, title in KINDS.items():
            prefix = {"schema-product": "annotation/s1", "schema-calibration": "annotation/calibration/calibration-"}
            start = prefix.get(kind, "annotation/calibration/noise-")
            path = next(folder.glob(f"{start}*-{pol}-*.xml"))
            assets[f"{kind}-{pol}"] = _asset(root, path, f"{pol.upper()} {title}")
    return assets


def _asset(
    root: Path, path: Path, title: str, media: str = "application/xml", role: str = "metadata"
) -> dict[str, Any]:
    """One file."""
    return {"href": path.relative_to(root).as_posix(), "type": media, "title": title, "roles": [role]}
