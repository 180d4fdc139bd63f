"""Writing the truth beside the archive: rasters of every scene and of the lasting landscape, and their index."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from pipeline_lib.model.acquisition import OrbitDirection
from pipeline_lib.world.inundation import Truth
from pipeline_lib.world.item import utc
from pipeline_lib.world.optical import OpticalScene
from pipeline_lib.world.radar import Land, RadarScene
from pipeline_lib.world.raster import with_short_mantissa, write_cog

CODES = {code.name.lower(): int(code) for code in Truth}


def write_radar_truth(root: Path, scene: RadarScene, items: list[str], geobox: GeoBox) -> dict[str, Any]:
    """Truth, depth, what was seen and the look-alikes of a pass; return its entry of the index."""
    layers: dict[str, NDArray[Any]] = {
        "truth": scene.inundation.truth,
        "depth_m": with_short_mantissa(scene.inundation.depth_m),
        "observed": scene.observed.astype(np.uint8),
        "look_alike": scene.look_alike,
    }
    return {
        "kind": "radar",
        "datetime": utc(scene.radar_pass.start),
        "items": items,
        "platform": scene.radar_pass.platform,
        "relative_orbit": scene.radar_pass.relative_orbit,
        "orbit_direction": scene.radar_pass.direction.value,
        "windy": scene.radar_pass.windy,
        "wet_snow": scene.radar_pass.wet_snow,
        "layers": _write(root, scene.radar_pass.pass_id, layers, geobox),
    }


def write_optical_truth(root: Path, scene: OpticalScene, item_id: str, geobox: GeoBox) -> dict[str, Any]:
    """Truth and clouds (0 clear, 1 cloud, 2 cloud shadow) of an overpass; return its entry of the index."""
    cloud = scene.cloud * np.uint8(1) + scene.cloud_shadow * np.uint8(2)
    layers: dict[str, NDArray[Any]] = {"truth": scene.inundation.truth, "cloud": cloud.astype(np.uint8)}
    return {
        "kind": "optical",
        "datetime": utc(scene.optical_pass.when),
        "items": [item_id],
        "platform": scene.optical_pass.platform,
        "layers": _write(root, scene.optical_pass.pass_id, layers, geobox),
    }


def write_landscape(root: Path, land: Land, dry_season: NDArray[np.uint8], geobox: GeoBox) -> dict[str, str]:
    """Layers that last; return name to href."""
    layers: dict[str, NDArray[Any]] = {
        "land_cover": land.cover.classes,
        "elevation_m": with_short_mantissa(land.relief.elevation_m),
        "hand_m": with_short_mantissa(land.relief.hand_m),
        "occurrence": np.rint(100 * land.cover.occurrence).astype(np.uint8),
        "parcel": land.cover.parcel,
        "dry_season_water": dry_season,
    }
    for direction in OrbitDirection:
        geometry = land.geometry[direction]
        layers[f"layover_shadow_{direction.value}"] = geometry.layover_shadow
        layers[f"incidence_deg_{direction.value}"] = with_short_mantissa(geometry.incidence_deg)
    return _write(root, "landscape", layers, geobox)


def _write(root: Path, group: str, layers: dict[str, NDArray[Any]], geobox: GeoBox) -> dict[str, str]:
    """Write layers as ``truth/<group>/<name>.tif``; name to href."""
    hrefs = {}
    for name, pixels in layers.items():
        href = f"truth/{group}/{name}.tif"
        resampling = "AVERAGE" if pixels.dtype.kind == "f" else "MODE"
        hrefs[name] = write_cog(root, href, pixels, geobox, resampling=resampling).href
    return hrefs
