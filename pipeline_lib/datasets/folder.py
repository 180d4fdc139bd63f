"""Any folder of image and label pairs.

Datasheet
    Layout read: ``<root>[/<split>]/images/<name>.tif`` and ``<root>[/<split>]/labels/<name>.tif`` (or .png), the same
        name on both sides (a trailing ``_image``/``_label`` or ``_S1Hand``/``_LabelHand`` may differ); optional
        ``before/<name>.tif``. Splits are the folders ``train``, ``valid``/``val``, ``test``; without them ``all``.
    Bands: by the file's band descriptions (``VV``, ``VH``); where there are none, 1 = vv, 2 = vh.
    Unit: ``chips.json`` beside the folders says ``{"unit": "dB" | "linear power" | "8 bit", "water": [1], "dry": [0],
        "pixel_m": 10, "meaning": "all water" | "flood only", "events": {"<name>": "<event>"},
        "stretch": {"vv": [-25, 0]}}``, every entry optional. Without ``unit``: uint8 is 8 bit; a float image with
        negative values is dB (power is never negative), one without is linear power.
    Label: without ``water``: 0 dry, 1 and (in 8 bit labels without 1) 255 water; every other code is no answer.
"""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from pipeline_lib.datasets.chip import Band, Chip, Label, Layer, Meaning, Stretch, Unit
from pipeline_lib.errors import InputError, shown

PICTURES = {".tif", ".tiff", ".png"}
DEFAULT_STRETCH = {"vv": (-25.0, 0.0), "vh": (-32.0, -5.0)}
_SIDE = re.compile(r"_(image|label|mask|S1Hand|LabelHand)$")
_KNOWN = {"unit", "water", "dry", "pixel_m", "meaning", "events", "stretch"}


def read_chips(root: Path) -> list[Chip]:
    """Every image below ``root`` that has a label, in order of split and name.

    Raises:
        InputError: no pair of ``images`` and ``labels`` is there, or ``chips.json`` cannot be meant.
    """
    chips = [chip for images in sorted(root.rglob("images")) if images.is_dir() for chip in _folder(images, root)]
    if not chips:
        raise InputError(f"{root} holds no images/<name>.tif with labels/<name>.tif; expected such pairs.")
    return chips


def _folder(images: Path, root: Path) -> list[Chip]:
    facts = _facts(images.parent, root)
    labels = _by_name(images.parent / "labels")
    before = _by_name(images.parent / "before")
    return [
        _chip(name, image, labels[name], before.get(name), facts)
        for name, image in _by_name(images).items()
        if name in labels
    ]


def _by_name(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        return {}
    return {_SIDE.sub("", path.stem): path for path in sorted(folder.iterdir()) if path.suffix.lower() in PICTURES}


def _facts(home: Path, root: Path) -> dict[str, Any]:
    path = next((place / "chips.json" for place in (home, root) if (place / "chips.json").is_file()), None)
    if path is None:
        return {}
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {shown(error)}.") from error
    unknown = sorted(set(facts) - _KNOWN)
    if unknown:
        raise InputError(f"{path} has unknown entries {unknown}; known are {sorted(_KNOWN)}.")
    return facts


def _chip(name: str, image: Path, label: Path, before: Path | None, facts: dict[str, Any]) -> Chip:
    split = image.parent.parent.name.lower()
    event = facts.get("events", {}).get(name, name)
    return Chip(
        dataset="chips",
        chip_id=name,
        event=event,
        group=event,
        split={"val": "valid"}.get(split, split) if split in {"train", "valid", "val", "test"} else "all",
        meaning=Meaning(facts.get("meaning", Meaning.ALL_WATER)),
        sar=_layer(image, facts),
        sar_before=None if before is None else _layer(before, facts),
        label=_label(label, facts),
        pixel_m=facts.get("pixel_m"),
    )


def _layer(path: Path, facts: dict[str, Any]) -> Layer:
    bands = _bands(path)
    try:
        unit = Unit(facts["unit"]) if "unit" in facts else _guessed_unit(next(iter(bands.values())))
    except ValueError as error:
        raise InputError(
            f"chips.json: unit {facts['unit']!r} is unknown; known are {[u.value for u in Unit]}."
        ) from error
    ends = DEFAULT_STRETCH | facts.get("stretch", {})
    stretch = {name: Stretch(db_at_0=ends[name][0], db_at_255=ends[name][1]) for name in bands if name in ends}
    return Layer(bands=bands, unit=unit, stretch=stretch, facts={"acquisition_id": path.stem})


def _bands(path: Path) -> dict[str, Band]:
    with rasterio.open(path) as raster:
        told = [(text or "").lower() for text in raster.descriptions]
    names = told if {"vv", "vh", "hh", "hv"} & set(told) else ["vv", "vh"][: len(told)]
    return {
        name: Band(path=path, index=index) for index, name in enumerate(names, 1) if name in {"vv", "vh", "hh", "hv"}
    }


def _guessed_unit(band: Band) -> Unit:
    stored = band.read()
    if stored.dtype == np.uint8:
        return Unit.BYTE
    return Unit.DECIBEL if bool(np.nanmin(np.where(np.isfinite(stored), stored, np.inf)) < 0) else Unit.LINEAR


def _label(path: Path, facts: dict[str, Any]) -> Label:
    band = Band(path=path)
    if "water" in facts:
        return Label(band=band, water=tuple(facts["water"]), dry=tuple(facts.get("dry", (0,))))
    stored = band.read()
    is_black_and_white = stored.dtype == np.uint8 and not (stored == 1).any()
    return Label(band=band, water=(255,) if is_black_and_white else (1,), dry=(0,))
