"""Sentinel-1 RTC products of a pass, as Planetary Computer's ``sentinel-1-rtc`` keeps them."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from shapely.geometry import Polygon, box
from shapely.geometry.base import BaseGeometry as Geometry

from pipeline_lib.options.world import WorldOptions
from pipeline_lib.world.calendar import RadarPass, RadarSlice
from pipeline_lib.world.item import asset, geographic, item, utc
from pipeline_lib.world.noise import Field
from pipeline_lib.world.radar import RadarScene
from pipeline_lib.world.radar_geometry import flight_vector, footprint, look_vector
from pipeline_lib.world.raster import Written, projection_of, with_short_mantissa, write_cog
from pipeline_lib.world.relief import Mask

COLLECTION = "sentinel-1-rtc"
NODATA = -32768.0
DESIGNATORS = {"S1A": "2014-016A", "S1C": "0000-000A"}
"""As the real collection's summaries list them; it writes zeros for Sentinel-1C."""
PROVIDERS = [
    {"name": "ESA", "roles": ["producer", "processor", "licensor"], "url": "https://earth.esa.int/web/guest/home"},
    {"name": "overbank", "roles": ["processor", "host"], "description": "Simulated; no satellite took this image."},
]


def write_radar(root: Path, options: WorldOptions, scene: RadarScene, geobox: GeoBox) -> list[dict[str, Any]]:
    """Write the COGs of every slice of a pass and return their items."""
    return [_write_slice(root, options, scene, part, geobox) for part in scene.radar_pass.slices]


def product_id(radar_pass: RadarPass, part: RadarSlice) -> str:
    """``S1A_IW_GRDH_1SDV_<start>_<end>_<absolute orbit>_<datatake>``: the product's name less its last digits."""
    return (
        f"{radar_pass.platform}_IW_GRDH_1SDV_{part.start:%Y%m%dT%H%M%S}_{part.end:%Y%m%dT%H%M%S}"
        f"_{radar_pass.absolute_orbit:06d}_{radar_pass.datatake:06X}"
    )


def _write_slice(
    root: Path, options: WorldOptions, scene: RadarScene, part: RadarSlice, geobox: GeoBox
) -> dict[str, Any]:
    """One slice: cut to its own extent, no data outside its footprint."""
    radar_pass = scene.radar_pass
    item_id = f"{product_id(radar_pass, part)}_rtc"
    seen = footprint(options, radar_pass, part.share)
    window = _window(seen)
    cut = geobox[window]
    assets = {}
    for name, pixels in (("vv", scene.vv), ("vh", scene.vh)):
        written = write_cog(
            root, f"assets/{COLLECTION}/{item_id}/{name}.tif", _filled(pixels, seen)[window], cut, nodata=NODATA
        )
        assets[name] = _asset(written, name)
    outline = geographic(_outline(radar_pass, part, geobox), str(geobox.crs))
    properties = {**_properties(radar_pass, part), **projection_of(cut), "s1:shape": [int(side) for side in cut.shape]}
    return item(item_id, COLLECTION, outline, properties, assets, ("sar", "sat", "eo", "proj", "raster", "file"))


def _filled(pixels: Field, seen: Mask) -> NDArray[np.float32]:
    """No-data value outside a slice."""
    return np.where(seen & np.isfinite(pixels), with_short_mantissa(pixels), np.float32(NODATA))


def _window(seen: Mask) -> tuple[slice, slice]:
    """Smallest rows and columns that hold all seen pixels."""
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _outline(radar_pass: RadarPass, part: RadarSlice, geobox: GeoBox) -> Geometry:
    """Footprint of a slice on the map: the world's square between its limits along and across the flight."""
    extent = geobox.boundingbox
    square: Geometry = box(extent.left, extent.bottom, extent.right, extent.top)
    for (right, down), limits in (
        (look_vector(radar_pass.direction), radar_pass.swath),
        (flight_vector(radar_pass.direction), part.share),
    ):
        square = square.intersection(_slab(extent, (right, -down), limits))
    return square


def _slab(extent: Any, vector: tuple[float, float], limits: tuple[float, float]) -> Polygon:
    """The stripe between two shares of a square's extent along a unit vector."""
    middle = ((extent.left + extent.right) / 2, (extent.bottom + extent.top) / 2)
    half = (extent.right - extent.left) / 2
    reach = half * (abs(vector[0]) + abs(vector[1]))
    first, last = (reach * (2 * share - 1) for share in limits)
    aside, far = (-vector[1], vector[0]), 4 * half
    corners = ((first, -far), (first, far), (last, far), (last, -far))
    return Polygon(
        [(middle[0] + a * vector[0] + b * aside[0], middle[1] + a * vector[1] + b * aside[1]) for a, b in corners]
    )


def _asset(written: Written, name: str) -> dict[str, Any]:
    """The asset of one polarisation."""
    received = {"vv": "vertical", "vh": "horizontal"}[name]
    return asset(
        written,
        f"{name.upper()}: vertical transmit, {received} receive",
        description=(
            f"Terrain-corrected gamma naught values of signal transmitted with vertical polarization and received with "
            f"{received} polarization with radiometric terrain correction applied."
        ),
        **{"raster:bands": [{"data_type": "float32", "spatial_resolution": 10.0, "nodata": NODATA}]},
    )


def radar_properties(radar_pass: RadarPass, part: RadarSlice) -> dict[str, Any]:
    """What the items of a slice say as RTC and as GRD alike, under the names of the real archives."""
    return {
        "datetime": utc(part.start + (part.end - part.start) / 2),
        "start_datetime": utc(part.start),
        "end_datetime": utc(part.end),
        "platform": f"SENTINEL-{radar_pass.platform[1:]}",
        "constellation": "Sentinel-1",
        "sar:frequency_band": "C",
        "sar:center_frequency": 5.405,
        "sar:observation_direction": "right",
        "sar:instrument_mode": "IW",
        "sar:polarizations": ["VV", "VH"],
        "sar:product_type": "GRD",
        "sat:orbit_state": radar_pass.direction.value,
        "sat:absolute_orbit": radar_pass.absolute_orbit,
        "sat:relative_orbit": radar_pass.relative_orbit,
        "s1:datatake_id": str(radar_pass.datatake),
        "s1:resolution": "high",
        "s1:slice_number": str(part.number),
    }


def _properties(radar_pass: RadarPass, part: RadarSlice) -> dict[str, Any]:
    """Properties of a terrain-corrected product."""
    return {
        **radar_properties(radar_pass, part),
        "providers": PROVIDERS,
        "sar:resolution_range": 20,
        "sar:resolution_azimuth": 22,
        "sar:pixel_spacing_range": 10,
        "sar:pixel_spacing_azimuth": 10,
        "sar:looks_range": 5,
        "sar:looks_azimuth": 1,
        "sar:looks_equivalent_number": 4.4,
        "sat:platform_international_designator": DESIGNATORS[radar_pass.platform],
        "s1:instrument_configuration_ID": "7",
        "s1:product_timeliness": "Fast-24h",
        "s1:processing_level": "1",
        "s1:orbit_source": "RESORB",
        "s1:total_slices": "18",
    }
