"""OMBRIA: Sentinel-1 and Sentinel-2 before and after a flood, 8 bit, labelled by Copernicus EMS rapid mapping.

Datasheet
    What: 256 x 256 chips, **uint8**. S1: one grey band (no polarisation given; here called ``vv``) before and after.
        S2: three-band false colour before and after, after-images often cloudy. The same number is the same place.
    Label: ``MASK`` 0/255, **flood only**: permanent water is labelled dry. Noisy.
    Caveats: every chip was contrast-stretched by itself to 0..255: there is no dB, and the same grey is another
        backscatter in the next chip. The stretch used here (-25 to 0 dB) is nominal. No pixel is marked as no data.
        **The published train and test split leaks**: chips were cut side by side from a few scenes and then shuffled;
        all 70 published test chips have neighbours in train (`pipeline_lib.datasets.same_scene`). ``event`` and
        ``group`` are therefore found from the pixels, over every chip below the root, and splits must follow them.
    Licence: none given; not redistributed here.
    Layout read: ``OmbriaS1/<split>/{BEFORE,AFTER,MASK}/S1_{before,after,mask}_<number>.png`` and the same with S2, from
        any root above an ``AFTER`` folder; a folder may hold one split only, need not hold S2, BEFORE or
        MASK, and may hold other events. GeoTIFFs (``.tif``, ``.tiff``) and endings in capitals are read as well,
        folders that are links are followed, and a mask of 0 and 1 is one of 0 and 255. An ``events.csv``
        (``chip,event``) below the root overrules the pixels.

References:
    Drakonakis, Tsagkatakis, Fotiadou, Tsakalides: OmbriaNet - supervised flood mapping via convolutional neural
    networks using multitemporal Sentinel-1 and Sentinel-2 data fusion, IEEE JSTARS 15, 2022.
"""

import csv
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline_lib.datasets.chip import Band, Chip, Label, Layer, Meaning, Stretch, Unit
from pipeline_lib.datasets.same_scene import duplicates, groups, seams
from pipeline_lib.errors import InputError

STRETCH = {"vv": Stretch(db_at_0=-25.0, db_at_255=0.0)}
"""Nominal: see the datasheet."""
PIXEL_M = 10.0
S2_BANDS = ("red", "green", "blue")
"""Display channels of the false colour picture, in the order stored; which wavelengths they are was not published."""
ENDINGS = (".png", ".tif", ".tiff")
"""Of images, in small letters or capitals."""
_NUMBER = re.compile(r"(\d+)$")


def read_ombria(root: Path) -> list[Chip]:
    """Every chip below ``root``, in order of split and number, with groups found from the pixels.

    Raises:
        InputError: no ``AFTER/S1_after_*.png`` (or .tif) is there, or two chips share split and number.
    """
    files = _files(root)
    after = [path for path in files if path.parent.name == "AFTER" and path.name.startswith("S1_after_")]
    if not after:
        raise InputError(
            f"{root} holds no AFTER/S1_after_*.png (or .tif); expected the layout of OMBRIA: "
            "OmbriaS1/<split>/{BEFORE,AFTER,MASK}/S1_{before,after,mask}_<number>.png."
        )
    known = {path.with_suffix(""): path for path in files}
    chips = [_chip(path, known) for path in after]
    names = [chip.chip_id for chip in chips]
    if len(set(names)) < len(names):
        raise InputError(
            f"{root} holds chips of the same split and number more than once; give a folder with one copy."
        )
    told = _told_events(root)
    if told:
        return [
            replace(chip, event=told[_stem(chip)], group=told[_stem(chip)]) for chip in chips if _stem(chip) in told
        ]
    found = _found_groups(chips)
    return [replace(chip, event=group, group=group) for chip, group in zip(chips, found, strict=True)]


def _files(root: Path) -> list[Path]:
    """Every image below the root, sorted; folders that are links are followed, each folder once."""
    found, seen = [], set()
    for folder, below, names in os.walk(root, followlinks=True):
        place = os.path.realpath(folder)
        if place in seen:
            below.clear()
            continue
        seen.add(place)
        found += [Path(folder, name) for name in names if name.lower().endswith(ENDINGS)]
    return sorted(found)


def _stem(chip: Chip) -> str:
    return chip.chip_id.rsplit("/", 1)[-1]


def _chip(after: Path, known: dict[Path, Path]) -> Chip:
    """One chip; ``known`` gives every image by its path without the ending."""
    number = after.stem.removeprefix("S1_after_")
    home = after.parent.parent
    split = home.name if home.name.lower() in {"train", "valid", "val", "test"} else "all"
    optical = home.parent.parent / "OmbriaS2" / home.name
    return Chip(
        dataset="ombria",
        chip_id=f"{split}/{number}",
        event="",
        group="",
        split="valid" if split == "val" else split.lower(),
        meaning=Meaning.FLOOD,
        sar=_radar(after, number),
        sar_before=_optional_radar(known.get(home / "BEFORE" / f"S1_before_{number}"), number),
        label=_label(known.get(home / "MASK" / f"S1_mask_{number}")),
        optical=_optical(known.get(optical / "AFTER" / f"S2_after_{number}")),
        optical_before=_optical(known.get(optical / "BEFORE" / f"S2_before_{number}")),
        pixel_m=PIXEL_M,
    )


def _radar(path: Path, number: str) -> Layer:
    facts: dict[str, str | int] = {"acquisition_id": number, "platform": "S1"}
    return Layer(bands={"vv": Band(path=path)}, unit=Unit.BYTE, stretch=STRETCH, facts=facts)


def _optional_radar(path: Path | None, number: str) -> Layer | None:
    return None if path is None else _radar(path, number)


def _label(path: Path | None) -> Label | None:
    return None if path is None else Label(band=Band(path=path), water=(255,), dry=(0,))


def _optical(path: Path | None) -> Layer | None:
    if path is None:
        return None
    return Layer(bands={name: Band(path=path, index=index) for index, name in enumerate(S2_BANDS, 1)}, unit=Unit.BYTE)


def _told_events(root: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in root.rglob("events.csv"):
        with path.open(encoding="utf-8", newline="") as lines:
            found |= {row["chip"]: row["event"] for row in csv.DictReader(lines)}
    return found


def _found_groups(chips: list[Chip]) -> list[str]:
    """Look-alike groups, named by their first chip; chips of unequal size or without BEFORE use what they share."""
    after = [chip.sar.read()["vv"] for chip in chips]
    if len({image.shape for image in after}) > 1:
        return [chip.chip_id for chip in chips]
    dates = [np.stack(after)]
    if all(chip.sar_before for chip in chips):
        dates.append(np.stack([chip.sar_before.read()["vv"] for chip in chips if chip.sar_before]))
    linked = seams(dates) | np.logical_and.reduce([duplicates(date) for date in dates])
    numbers = [_NUMBER.search(chip.chip_id) for chip in chips]
    known = [int(found.group()) for found in numbers if found]
    index = groups(linked, known if len(known) == len(chips) else None)
    names = {group: _stem(chips[index.index(group)]) for group in set(index)}
    return [f"scene-{names[group]}" for group in index]
