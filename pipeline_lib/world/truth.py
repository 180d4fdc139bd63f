"""Reading the truth of a simulated world: what really was water, pass by pass, for scores and tests."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import rioxarray  # noqa: F401 - registers the rasterio engine
import xarray as xr

from pipeline_lib.errors import InputError, UnknownNameError
from pipeline_lib.world.inundation import Truth
from pipeline_lib.world.land_cover import LandCover

INDEX = "truth.json"
NEAREST = timedelta(hours=1)
"""A time asked for means the scene within this of it."""


def truth_scenes(folder: Path) -> dict[str, dict[str, Any]]:
    """Every scene of the world in order of time: its id to ``datetime``, ``kind`` (radar, optical), ``items``, layers.

    Raises:
        InputError: the folder is not a simulated world.
    """
    return dict(_index(folder)["scenes"])


def truth_for(folder: Path, scene: str | datetime, *, observed_only: bool = False) -> xr.DataArray:
    """What each pixel truly was on a scene's date: uint8 `Truth` codes, dims (y, x), with CRS.

    Args:
        folder: the world.
        scene: an acquisition id (``S1A_20251101T171450_R015_A``), the id of one of its items, or its time.
        observed_only: set pixels that the scene did not see to `Truth.OUTSIDE`.

    Raises:
        UnknownNameError: the world has no such scene.
    """
    entry = _scene(folder, scene)
    truth = _open(folder, entry["layers"]["truth"])
    if observed_only and "observed" in entry["layers"]:
        truth = truth.where(_open(folder, entry["layers"]["observed"]) == 1, np.uint8(Truth.OUTSIDE)).astype("uint8")
    return truth


def truth_layer(folder: Path, name: str, scene: str | datetime | None = None) -> xr.DataArray:
    """Another layer of the truth: of a scene (``depth_m``, ``observed``, ``look_alike``, ``cloud``) or lasting.

    Lasting layers (``scene`` None): ``land_cover``, ``elevation_m``, ``hand_m``, ``occurrence``, ``parcel``,
    ``layover_shadow_ascending``, ``layover_shadow_descending``, ``incidence_deg_ascending``,
    ``incidence_deg_descending``, ``dry_season_water``.

    Dims (y, x), on the world's grid.

    Raises:
        UnknownNameError: no such layer or scene.
    """
    layers = _index(folder)["layers"] if scene is None else _scene(folder, scene)["layers"]
    if name not in layers:
        raise UnknownNameError("truth layer", name, tuple(layers))
    return _open(folder, layers[name])


def open_land(folder: Path) -> xr.DataArray:
    """Where radar can see a flood in the open: no forest, reed or town, and no layover or shadow on either orbit.

    Returns:
        bool, dims (y, x). The look-alikes are open land too: they are what a detector must not fall for.
    """
    cover = truth_layer(folder, "land_cover")
    hidden = np.isin(cover, (LandCover.FOREST, LandCover.WETLAND, LandCover.TOWN))
    for direction in ("ascending", "descending"):
        hidden |= truth_layer(folder, f"layover_shadow_{direction}").to_numpy() > 0
    return cover.copy(data=~hidden).rename("open_land")


def flood_of(truth: xr.DataArray) -> xr.DataArray:
    """Flood of every kind (open, vegetation, town): bool; pixels outside are False.

    ``truth`` is uint8 (y, x) of `pipeline_lib.world.inundation.Truth`.
    """
    kinds = (Truth.OPEN_FLOOD, Truth.FLOODED_VEGETATION, Truth.FLOODED_TOWN)
    return truth.copy(data=np.isin(truth, kinds)).rename("flood")


def _index(folder: Path) -> dict[str, Any]:
    """The world's truth.json."""
    path = Path(folder) / INDEX
    if not path.is_file():
        raise InputError(f"{folder} is not a simulated world: it has no {INDEX}. Make one with 'overbank world build'.")
    return dict(json.loads(path.read_text(encoding="utf-8")))


def _scene(folder: Path, scene: str | datetime) -> dict[str, Any]:
    """The entry of a scene by id, item id or time."""
    scenes = truth_scenes(folder)
    for scene_id, entry in scenes.items():
        if isinstance(scene, datetime):
            if abs(datetime.fromisoformat(entry["datetime"]) - scene) <= NEAREST:
                return entry
        elif scene == scene_id or scene in entry["items"]:
            return entry
    raise UnknownNameError("scene of the simulated world", str(scene), tuple(scenes))


def _open(folder: Path, href: str) -> xr.DataArray:
    """One layer in memory, without a band dimension."""
    with xr.open_dataarray(Path(folder) / href, engine="rasterio", mask_and_scale=False) as opened:
        return opened.squeeze("band", drop=True).load()
