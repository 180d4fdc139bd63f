"""The embedded world: every pass over a simulated flood as one large chip, with exact truth.

Datasheet
    What: a folder written by ``overbank world``: Sentinel-1 RTC items (VV, VH gamma0, linear power, 10 m, UTM), a DEM,
        long-term water occurrence, and per pass the truth. One chip is one pass since the flood began (or, in a
        world without flood, every pass), the passes of the same relative orbit before it are its history.
    Label: 1 = open flood or reference water (river, lakes, seasonal), 0 = dry. Flooded vegetation and flooded town
        (codes 3 and 4) are left out: they brighten, and are scored as classes of their own elsewhere. ``flood`` labels
        open flood only, reference water counted as dry, as Copernicus EMS does.
    Caveats: simulated. Speckle, noise floor, incidence, layover, shadow, wind, wet snow and look-alikes are there, the
        surprises of nature are not.
"""

import json
from pathlib import Path
from typing import Any

import yaml

from pipeline_lib.datasets.chip import Band, Chip, Label, Layer, Meaning, Unit
from pipeline_lib.errors import InputError

PIXEL_M = 10.0


def read_world(root: Path) -> list[Chip]:
    """Passes of every world below ``root``, labelled with all open water; see `read_world_flood`."""
    return _worlds(root, Meaning.ALL_WATER)


def read_world_flood(root: Path) -> list[Chip]:
    """Passes of every world below ``root``, labelled with open flood only.

    Raises:
        InputError: no ``truth.json`` is there.
    """
    return _worlds(root, Meaning.FLOOD)


def _worlds(root: Path, meaning: Meaning) -> list[Chip]:
    folders = [path.parent for path in sorted(root.rglob("truth.json"))]
    if not folders:
        raise InputError(f"{root} holds no truth.json; expected a folder written by `overbank world`.")
    return [chip for folder in folders for chip in _passes(folder, meaning)]


def _passes(folder: Path, meaning: Meaning) -> list[Chip]:
    scenes: dict[str, dict[str, Any]] = json.loads((folder / "truth.json").read_text(encoding="utf-8"))["scenes"]
    event = yaml.safe_load((folder / "event.yaml").read_text(encoding="utf-8"))
    radar = {name: scene for name, scene in scenes.items() if scene["kind"] == "radar"}
    during = {name: scene for name, scene in radar.items() if scene["datetime"] >= str(event["start"])} or radar
    return [_chip(folder, name, scene, radar, event, meaning) for name, scene in during.items()]


def _chip(
    folder: Path,
    name: str,
    scene: dict[str, Any],
    radar: dict[str, dict[str, Any]],
    event: dict[str, Any],
    meaning: Meaning,
) -> Chip:
    before = [
        other
        for other in radar.values()
        if other["relative_orbit"] == scene["relative_orbit"] and other["datetime"] < str(event["start"])
    ]
    water = (2,) if meaning is Meaning.FLOOD else (1, 2)
    truth = folder / scene["layers"]["truth"]
    return Chip(
        dataset="world",
        chip_id=f"{folder.name}/{name}",
        event=str(event["event_id"]),
        group=str(event["event_id"]),
        split="all",
        meaning=meaning,
        sar=_layer(folder, name, scene, truth),
        history=tuple(_layer(folder, other["items"][0], other, truth) for other in before),
        sar_before=_layer(folder, before[-1]["items"][0], before[-1], truth) if before else None,
        label=Label(band=Band(path=truth), water=water, dry=(0,) if meaning is Meaning.ALL_WATER else (0, 1)),
        reference_water=Label(band=Band(path=truth), water=(1,), dry=(0, 2, 3, 4)),
        elevation=_warped(folder, "assets/cop-dem-glo-30", truth),
        water_occurrence=_warped(folder, "assets/jrc-gsw", truth, "occurrence*"),
        pixel_m=PIXEL_M,
    )


def _layer(folder: Path, name: str, scene: dict[str, Any], grid: Path) -> Layer:
    bands = {
        polarisation: Band(
            path=_asset(folder, scene["items"][0], polarisation),
            also=tuple(_asset(folder, item, polarisation) for item in scene["items"][1:]),
            onto=grid,
        )
        for polarisation in ("vv", "vh")
    }
    facts = {key: scene[key] for key in ("datetime", "relative_orbit", "orbit_direction", "platform")}
    return Layer(bands=bands, unit=Unit.LINEAR, facts={"acquisition_id": name} | facts)


def _asset(folder: Path, item: str, key: str) -> Path:
    text = (folder / "items" / "sentinel-1-rtc" / f"{item}.json").read_text(encoding="utf-8")
    return folder / str(json.loads(text)["assets"][key]["href"])


def _warped(folder: Path, assets: str, grid: Path, pattern: str = "*") -> Band | None:
    paths = sorted((folder / assets).glob(f"{pattern}.tif"))
    return Band(path=paths[0], also=tuple(paths[1:]), onto=grid) if paths else None
