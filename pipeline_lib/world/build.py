"""Writing a world to a folder that looks like an archive: complete, or not there."""

import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml
from odc.geo.geobox import GeoBox

from pipeline_lib.atomic import whole_folder
from pipeline_lib.errors import InputError
from pipeline_lib.model.record import digest_of
from pipeline_lib.options.world import WorldOptions
from pipeline_lib.world.ancillary_item import write_dem, write_water_history
from pipeline_lib.world.collection import collection
from pipeline_lib.world.inundation import Truth
from pipeline_lib.world.item import utc
from pipeline_lib.world.optical_item import write_optical
from pipeline_lib.world.radar import Land
from pipeline_lib.world.radar_item import write_radar
from pipeline_lib.world.safe_item import write_grd
from pipeline_lib.world.simulate import make_land, optical_scenes, radar_scenes, world_geobox
from pipeline_lib.world.statistics import Statistics
from pipeline_lib.world.truth_files import CODES, write_landscape, write_optical_truth, write_radar_truth

FORMAT = 4
"""Grows when the same options give other files."""
DESCRIPTION = "world.json"
AOI_MARGIN = 0.03
"""Share of the world's width left out of the event's area on every side."""


def build_world(folder: Path, options: WorldOptions | None = None) -> Path:
    """Simulate a world and write it: STAC collections and items, COGs, truth, and the event to map.

    The folder is written under a temporary name beside its place and renamed. A folder that already holds the same
    world is left as it is; one that holds another world is replaced.

    Args:
        folder: where the world is to be.
        options: the world; the default is that of the demonstration.

    Returns:
        The folder.

    Raises:
        InputError: the folder exists and holds something that is not a simulated world.
        StoreError: it cannot be written.
    """
    folder, options = Path(folder), options or WorldOptions()
    if _holds(folder) == world_digest(options):
        return folder
    _check_replaceable(folder)
    sweep(folder)
    with whole_folder(folder, unless=lambda: _holds(folder) == world_digest(options)) as partial:
        _write_world(partial, options)
    return folder


def world_digest(options: WorldOptions) -> str:
    """Identity of a world's files."""
    return digest_of({"format": FORMAT, "options": options.model_dump(mode="json")})


def sweep(folder: Path) -> int:
    """Remove what killed builds of a folder left beside it; return how many that were. Builds that run are spared."""
    leftovers = [path for path in folder.parent.glob(f".{folder.name}.*-*") if path.suffix in {".partial", ".former"}]
    dead = [path for path in leftovers if not _runs(path.name.removeprefix(f".{folder.name}.").partition("-")[0])]
    for path in dead:
        shutil.rmtree(path, ignore_errors=True)
    return len(dead)


def _runs(process: str) -> bool:
    """Whether a process of this number runs; what is no number counts as running, so that nothing foreign goes."""
    return not process.isdigit() or psutil.pid_exists(int(process))


def _holds(folder: Path) -> str | None:
    """Digest of the world in a folder; None where there is none."""
    try:
        return str(json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))["digest"])
    except (OSError, ValueError, KeyError):
        return None


def _check_replaceable(folder: Path) -> None:
    """Never delete what is not a world."""
    if folder.is_dir() and any(folder.iterdir()) and _holds(folder) is None:
        raise InputError(f"{folder} is not empty and holds no simulated world; choose another folder or empty it.")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; a world needs a folder.")


def _write_world(root: Path, options: WorldOptions) -> None:
    """Write everything; one scene is in memory at a time."""
    geobox, land = world_geobox(options), make_land(options)
    statistics = Statistics(land)
    items = [write_dem(root, land, geobox, options.seed), write_water_history(root, land, geobox)]
    scenes: dict[str, dict[str, Any]] = {}
    dry_season = np.zeros(geobox.shape, np.uint8)
    for scene in radar_scenes(options, land):
        slices = write_radar(root, options, scene, geobox)
        if options.grd:
            slices += write_grd(root, options, scene, land, geobox)
        scenes[scene.radar_pass.pass_id] = write_radar_truth(root, scene, [part["id"] for part in slices], geobox)
        statistics.add(scene)
        items += slices
        if scene.radar_pass.start < options.flood_start:
            dry_season |= (scene.inundation.truth == Truth.REFERENCE_WATER).astype(np.uint8)
    for overpass in optical_scenes(options, land):
        items.append(write_optical(root, overpass, geobox))
        entry = write_optical_truth(root, overpass, items[-1]["id"], geobox)
        scenes[overpass.optical_pass.pass_id] = entry
    layers = write_landscape(root, land, dry_season, geobox)
    _write_index(root, scenes, layers)
    _write_catalogue(root, items)
    _write_event(root, options, geobox)
    _write_description(root, options, geobox, land, statistics)


def _write_index(root: Path, scenes: dict[str, dict[str, Any]], layers: dict[str, str]) -> None:
    """truth.json."""
    ordered = dict(sorted(scenes.items(), key=lambda pair: str(pair[1]["datetime"])))
    _write_json(root / "truth.json", {"codes": CODES, "scenes": ordered, "layers": layers})


def _write_catalogue(root: Path, items: list[dict[str, Any]]) -> None:
    """Items and the collections they make."""
    for entry in items:
        _write_json(root / "items" / entry["collection"] / f"{entry['id']}.json", entry)
    for name in dict.fromkeys(entry["collection"] for entry in items):
        members = [entry for entry in items if entry["collection"] == name]
        _write_json(root / "collections" / f"{name}.json", collection(name, members))


def _write_event(root: Path, options: WorldOptions, geobox: GeoBox) -> None:
    """event.yaml: the flood as a user would ask for it."""
    margin = round(AOI_MARGIN * options.size)
    box = geobox[margin:-margin, margin:-margin].geographic_extent.boundingbox
    event = {
        "event_id": f"simulated-flood-{options.seed}",
        "title": f"Simulated flood (seed {options.seed})",
        "bbox": [round(float(part), 6) for part in box.bbox],
        "start": utc(options.flood_start),
        "end": utc(options.flood_end),
    }
    (root / "event.yaml").write_text(yaml.safe_dump(event, sort_keys=False), encoding="utf-8")


def _write_description(root: Path, options: WorldOptions, geobox: GeoBox, land: Land, statistics: Statistics) -> None:
    """world.json: written last, so that a folder that has it is complete."""
    description = {
        "format": FORMAT,
        "digest": world_digest(options),
        "software": f"overbank {version('overbank')}",
        "options": options.model_dump(mode="json"),
        "crs": str(geobox.crs),
        "transform": list(geobox.affine)[:6],
        "shape": [int(side) for side in geobox.shape],
        "land_cover_share": statistics.land_cover_share(land.cover.classes),
        "backscatter": statistics.table(),
    }
    _write_json(root / DESCRIPTION, description)


def _write_json(path: Path, value: object) -> None:
    """JSON for people and programs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
