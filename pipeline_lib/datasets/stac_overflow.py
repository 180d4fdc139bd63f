"""STAC Overflow: Sentinel-1 chips of floods with labels of all water, in the layout of Sen1Floods11.

Datasheet
    What: chips of 512 x 512 pixels, VV and VH in **dB** (Planetary Computer's RTC gamma0), float32, NaN = no data, UTM,
        10 m. ``S1Hand/<chip>_S1Hand.tif``, ``LabelHand/<chip>_LabelHand.tif``; ``chips.csv`` with the columns of the
        challenge's metadata (``chip_id``, ``flood_id``, ``location``, ``scene_start``).
    Label: 0 dry, 1 water - **all** water, permanent included -, -1 unknown.
    Events: a flood of the challenge is often one of Sen1Floods11 (Bolivia 2018-02-15, Nigeria 2018-09-21, Sri Lanka
        2017-05-30: the same pass). Event and group are therefore the place as Sen1Floods11 spells it (``Sri-Lanka``):
        what is left out of training by that name is left out of both sets. Chips that ``chips.csv`` does not name keep
        the letters of their name as event.
    Caveats: up to 27 % of a chip is empty; what is labelled in qxb32 is hardly visible in C-band.
    Licence: none given (challenge data); not redistributed here.

References:
    Microsoft AI for Earth, DrivenData: STAC Overflow, map floodwater from radar imagery, 2021.
"""

import csv
import re
from dataclasses import replace
from pathlib import Path

from pipeline_lib.datasets.chip import Chip
from pipeline_lib.datasets.sen1floods11 import read_sen1floods11
from pipeline_lib.errors import InputError

_FLOODS = {"awc": "Bolivia", "ayt": "Nigeria", "qxb": "Sri-Lanka"}
"""Flood of the challenge to the event of Sen1Floods11 that shows the same pass."""
_NUMBERED = re.compile(r"([a-z]{3})\d\d")


def read_stac_overflow(root: Path) -> list[Chip]:
    """Every chip below ``root``, in order of name; without a label where there is none.

    Raises:
        InputError: no ``S1Hand`` folder with ``*_S1Hand.tif`` is there, or ``chips.csv`` lacks a column.
    """
    places = _places(root)
    chips = []
    for chip in read_sen1floods11(root):
        event = places.get(chip.chip_id) or flood_of(chip.chip_id) or chip.event
        chips.append(replace(chip, dataset="stac_overflow", event=event, group=event, split="all"))
    return chips


def flood_of(chip_id: str) -> str | None:
    """Event of a chip that is named as the challenge names them (``qxb32``); None for other names and other floods."""
    named = _NUMBERED.fullmatch(chip_id)
    return _FLOODS.get(named.group(1)) if named else None


def _places(root: Path) -> dict[str, str]:
    table = root / "chips.csv"
    if not table.is_file():
        return {}
    with table.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    missing = {"chip_id", "location"} - set(rows[0] if rows else ())
    if missing:
        raise InputError(f"{table} has no column {', '.join(sorted(missing))}; expected chip_id and location.")
    return {row["chip_id"]: row["location"].strip().replace(" ", "-") for row in rows}
