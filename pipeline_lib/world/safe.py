"""The world's passes as Sentinel-1 GRD products: SAFE folders that any reader of the real ones can open.

Inverse of the chain that reads them: an orbit past the world, ground range, look-up tables, thermal noise, and digital
numbers that hold what each image cell would have received from the ground under it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from rasterio.control import GroundControlPoint

from pipeline_lib.atomic import whole_folder
from pipeline_lib.load.geoid import geoid_of
from pipeline_lib.model.acquisition import OrbitDirection
from pipeline_lib.sar.annotation import GroundRange
from pipeline_lib.sar.range_doppler import RadarGeometry, to_radar
from pipeline_lib.world.safe_annotation import (
    BETA_LUT,
    IPF,
    SafeFacts,
    TiePoints,
    annotation_xml,
    azimuth_noise,
    calibration_xml,
    noise_xml,
    range_noise,
    tie_points,
    vector_lines,
)
from pipeline_lib.world.safe_image import Field, Ground, radar_brightness
from pipeline_lib.world.safe_orbit import (
    LINE_INTERVAL_S,
    RANGE_PIXEL_M,
    Flight,
    fly_past,
    ground_range_records,
    identity_frame,
    state_vectors,
)

MARGIN_S, MARGIN_M = 0.03, 300.0
"""Image beyond the world's pixels, along and across the flight."""


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One flight over a piece of ground."""

    platform: str
    direction: OrbitDirection
    incidence_deg: float
    """At the middle of the ground, on the ellipsoid."""
    abeam: datetime
    """When the satellite passes the middle of the ground, UTC."""
    absolute_orbit: int
    relative_orbit: int
    datatake: int


def ellipsoidal_heights(elevation_m: Field, geobox: GeoBox) -> Field:
    """Heights above the geoid as heights above the ellipsoid; the geoid is taken at the corners of the grid."""
    outline = geobox.geographic_extent.boundingbox
    longitude, latitude = np.meshgrid([outline.left, outline.right], [outline.top, outline.bottom])
    corners = geoid_of("geoid")(longitude, latitude)
    rows, columns = elevation_m.shape
    down, right = np.linspace(0, 1, rows)[:, None], np.linspace(0, 1, columns)[None, :]
    upper = corners[0, 0] * (1 - right) + corners[0, 1] * right
    lower = corners[1, 0] * (1 - right) + corners[1, 1] * right
    return np.asarray(elevation_m + upper * (1 - down) + lower * down, dtype=np.float32)


def write_safe(
    folder: Path,
    flown: Pass,
    gamma0: Mapping[str, Field],
    height_m: Field,
    geobox: GeoBox,
    *,
    seen: NDArray[np.bool_] | None = None,
    slice_number: int = 1,
) -> TiePoints:
    """Write ground as one GRD product in SAFE format.

    Args:
        folder: ``<product>.SAFE``; written beside its place and renamed.
        flown: the flight.
        gamma0: (y, x) linear terrain-flattened gamma0 by polarisation; NaN = not observed.
        height_m: (y, x) heights above the ellipsoid.
        geobox: grid of both.
        seen: (y, x) False where this product has no data.
        slice_number: as the annotation states it.

    Returns:
        The tie points of the image.
    """
    seen = np.ones(height_m.shape, bool) if seen is None else seen
    ground = Ground.of(geobox, height_m)
    flight = _flight(flown, geobox)
    geometry, first_s, records = _frame(flight, ground, seen)
    points = tie_points(geometry)
    orbit = state_vectors(flight, first_s, first_s + (geometry.lines - 1) * geometry.line_interval_s)
    facts = SafeFacts(
        platform=flown.platform,
        polarisation="",
        direction=flown.direction.value,
        first_line=flown.abeam + timedelta(seconds=first_s),
        absolute_orbit=flown.absolute_orbit,
        relative_orbit=flown.relative_orbit,
        datatake=flown.datatake,
        slice_number=slice_number,
    )
    with whole_folder(folder) as partial:
        names = []
        for number, (pol, beta0) in enumerate(radar_brightness(geometry, ground, gamma0, seen).items(), start=1):
            mine = replace(facts, polarisation=pol)
            stem = _stem(mine, geometry, number)
            _put(partial / "annotation" / f"{stem}.xml", annotation_xml(mine, geometry, orbit, records, points))
            for kind, text in (
                ("calibration", calibration_xml(mine, geometry, points)),
                ("noise", noise_xml(mine, geometry)),
            ):
                _put(partial / "annotation" / "calibration" / f"{kind}-{stem}.xml", text)
            _write_image(partial / "measurement" / f"{stem}.tiff", digital_numbers(beta0, geometry), points)
            names.append(stem)
        _put(partial / "manifest.safe", _manifest(facts, names))
    return points


def _flight(flown: Pass, geobox: GeoBox) -> Flight:
    """The orbit that passes abeam of the middle of the ground."""
    rows, columns = (int(side) for side in geobox.shape)
    middle = geobox.affine * (columns / 2, rows / 2)
    longitude, latitude = Transformer.from_crs(str(geobox.crs), "EPSG:4326", always_xy=True).transform(*middle)
    return fly_past(longitude, latitude, flown.incidence_deg, flown.direction)


def _frame(flight: Flight, ground: Ground, seen: NDArray[np.bool_]) -> tuple[RadarGeometry, float, GroundRange]:
    """Image frame that holds all seen ground: geometry, time of the first line after abeam, ground-range records."""
    sample = ground.points_m[::16, ::16][seen[::16, ::16]]
    identity = identity_frame(flight, -30.0, 30.0)
    time, slant, *_ = to_radar(identity, sample)
    start, stop = float(time.min()) - 30.0 - MARGIN_S, float(time.max()) - 30.0 + MARGIN_S
    near, far = float(slant.min()) - MARGIN_M, float(slant.max()) + MARGIN_M
    lines = int(np.ceil((stop - start) / LINE_INTERVAL_S)) + 1
    duration = (lines - 1) * LINE_INTERVAL_S
    records = ground_range_records(identity_frame(flight, start, start + duration), near, far, duration)
    base = identity_frame(flight, start, start + duration)
    samples = int(np.polynomial.polynomial.polyval(far - near, records.slant_to_ground[0]) / RANGE_PIXEL_M)
    geometry = replace(
        base,
        record_time_s=records.time_s,
        slant_origin_m=records.slant_origin_m,
        slant_to_ground=records.slant_to_ground,
        ground_origin_m=records.ground_origin_m,
        ground_to_slant=records.ground_to_slant,
        line_interval_s=LINE_INTERVAL_S,
        range_pixel_m=RANGE_PIXEL_M,
        lines=lines,
        samples=samples,
    )
    return geometry, start, records


def digital_numbers(beta0: Field, geometry: RadarGeometry) -> NDArray[np.uint16]:
    """What the processor would have written: calibrated power, thermal noise added, the root rounded to 16 bits."""
    lines, pixels = np.arange(geometry.lines), np.arange(geometry.samples)
    posts = np.unique(np.append(np.arange(0, geometry.samples, 40), geometry.samples - 1))
    table = range_noise(geometry)
    across = np.interp(pixels, posts, table[0])
    rising = np.interp(lines, vector_lines(geometry), table[:, 0] / table[0, 0])
    factor = np.ones((geometry.lines, geometry.samples))
    for _, first, last, at, values in azimuth_noise(geometry):
        factor[:, first : last + 1] = np.interp(lines, at, values)[:, None]
    power = beta0.astype(np.float64) * BETA_LUT**2 + rising[:, None] * across[None, :] * factor
    known = np.isfinite(power)
    return np.where(known, np.clip(np.rint(np.sqrt(np.where(known, power, 0))), 1, 65535), 0).astype(np.uint16)


def _stem(facts: SafeFacts, geometry: RadarGeometry, number: int) -> str:
    """``s1a-iw-grd-vv-<start>-<stop>-<orbit>-<datatake>-001``."""
    stop = facts.first_line + timedelta(seconds=(geometry.lines - 1) * geometry.line_interval_s)
    return (
        f"{facts.platform.lower()}-iw-grd-{facts.polarisation}-{facts.first_line:%Y%m%dt%H%M%S}-{stop:%Y%m%dt%H%M%S}"
        f"-{facts.absolute_orbit:06d}-{facts.datatake:06x}-{number:03d}"
    )


def _put(path: Path, text: str) -> None:
    """Write a text file, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _write_image(path: Path, numbers: NDArray[np.uint16], points: TiePoints) -> None:
    """A tiled TIFF placed by ground control points alone, as the real ones are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    control = [
        GroundControlPoint(row=row, col=column, x=x, y=y, z=0.0)
        for row, column, x, y in zip(points.line, points.pixel, points.longitude_deg, points.latitude_deg, strict=True)
    ]
    profile = {"driver": "GTiff", "dtype": "uint16", "count": 1, "nodata": 0, "tiled": True, "compress": "deflate"}
    profile |= {"height": numbers.shape[0], "width": numbers.shape[1], "blockxsize": 512, "blockysize": 512}
    with rasterio.open(path, "w", **profile, gcps=control, crs="EPSG:4326") as target:
        target.write(numbers, 1)
        target.update_tags(TIFFTAG_SOFTWARE=f"Sentinel-1 IPF {IPF}", TIFFTAG_IMAGEDESCRIPTION="simulated")


def _manifest(facts: SafeFacts, stems: list[str]) -> str:
    """The manifest: processor, orbits and files."""
    files = [f"./measurement/{stem}.tiff" for stem in stems] + [f"./annotation/{stem}.xml" for stem in stems]
    files += [f"./annotation/calibration/{kind}-{stem}.xml" for stem in stems for kind in ("calibration", "noise")]
    objects = "".join(
        f'<dataObject ID="file{k}"><byteStream><fileLocation href="{name}"/></byteStream></dataObject>'
        for k, name in enumerate(files)
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<xfdu:XFDU xmlns:xfdu="urn:ccsds:schema:xfdu:1" xmlns:safe="http://www.esa.int/safe/sentinel-1.0">
<metadataSection><safe:processing name="GRD Post Processing"><safe:facility name="simulated">
<safe:software name="Sentinel-1 IPF" version="{IPF}"/></safe:facility></safe:processing>
<safe:platform><safe:familyName>SENTINEL-1</safe:familyName><safe:number>{facts.platform[2]}</safe:number></safe:platform>
<safe:orbitReference><safe:orbitNumber type="start">{facts.absolute_orbit}</safe:orbitNumber>
<safe:relativeOrbitNumber type="start">{facts.relative_orbit}</safe:relativeOrbitNumber></safe:orbitReference>
</metadataSection><dataObjectSection>{objects}</dataObjectSection></xfdu:XFDU>
"""
