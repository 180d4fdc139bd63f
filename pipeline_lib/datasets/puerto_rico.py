"""Hurricane Maria over Puerto Rico, 2017: cells of five dates, for the flood after three passes and for rough sea.

Datasheet
    What: cells of about 500 x 528 pixels, ~10 m, EPSG:4326. ``preflood1,2,3`` (1 to 16 September 2017) and
        ``postflood1,2`` (20 to 28 September): VV and VH gamma0, terrain-flattened, Lee 3 x 3 filtered, **dB**.
        ``dem.tif`` elevation in metres, where there is one.
    Flood (`read_puerto_rico`): ``gfm_flood.tif``, the flood extent of the Copernicus Global Flood Monitoring product of
        ``postflood1``: 0 dry, 1 flood only, 255 no answer. An automatic product, in several cells empty: agreement with
        it is not accuracy.
    Sea (`read_puerto_rico_sea`): where ``dem`` is 0 m or less, in cells with at least `SEA_SHARE` of it, is water on
        all five dates; the rest is no answer. VV runs with the wind from -24 to -13 dB while VH stays at -24 to -27 dB.
    Caveats: relative orbits are not told; dates of one name are mosaics of up to six days.
    Licence: none given; not redistributed here.
"""

from pathlib import Path

import numpy as np

from pipeline_lib.datasets.chip import Band, Chip, Label, Layer, Meaning, Unit
from pipeline_lib.datasets.sen1floods11 import PIXEL_M
from pipeline_lib.errors import InputError

EVENT = "Puerto-Rico"
BEFORE = ("preflood1", "preflood2", "preflood3")
AFTER = ("postflood1", "postflood2")
SEA_SHARE = 0.25
"""Share of a cell that must lie at or below 0 m: below it, such pixels are as likely errors of the elevation model."""


def read_puerto_rico(root: Path) -> list[Chip]:
    """The first pass after the flood of every cell that has a flood extent, with the passes before as history.

    Raises:
        InputError: no cell with ``postflood1.tif`` is there.
    """
    return [
        _chip(cell, AFTER[0], Label(band=Band(path=cell / "gfm_flood.tif"), water=(1,), dry=(0,)), Meaning.FLOOD)
        for cell in _cells(root)
        if (cell / "gfm_flood.tif").is_file()
    ]


def read_puerto_rico_sea(root: Path) -> list[Chip]:
    """Every date of every cell that holds sea, with the sea as label.

    Raises:
        InputError: no cell with ``postflood1.tif`` is there.
        RasterError: an elevation raster is damaged.
    """
    chips = []
    for cell in _cells(root):
        path = cell / "dem.tif"
        if path.is_file() and np.mean(np.asarray(Band(path=path).read(), np.float32) <= 0) >= SEA_SHARE:
            sea = Label(band=Band(path=path), water_up_to=0)
            dates = [date for date in (*BEFORE, *AFTER) if (cell / f"{date}.tif").is_file()]
            chips += [_chip(cell, date, sea, Meaning.ALL_WATER) for date in dates]
    return chips


def _cells(root: Path) -> list[Path]:
    cells = sorted(path.parent for path in root.rglob(f"{AFTER[0]}.tif"))
    if not cells:
        raise InputError(f"{root} holds no cell; expected folders with preflood1.tif to postflood2.tif.")
    return cells


def _chip(cell: Path, date: str, label: Label, meaning: Meaning) -> Chip:
    history = tuple(_layer(cell, past) for past in BEFORE if (cell / f"{past}.tif").is_file())
    flooded = meaning is Meaning.FLOOD
    elevation = Band(path=cell / "dem.tif") if (cell / "dem.tif").is_file() else None
    return Chip(
        dataset="puerto_rico_2017",
        chip_id=f"{cell.name}/{date}",
        event=EVENT,
        group=EVENT,
        split="all",
        meaning=meaning,
        sar=_layer(cell, date),
        sar_before=history[-1] if flooded and history else None,
        history=history if flooded else (),
        label=label,
        elevation=elevation,
        pixel_m=PIXEL_M,
    )


def _layer(cell: Path, date: str) -> Layer:
    path = cell / f"{date}.tif"
    bands = {"vv": Band(path=path, index=1), "vh": Band(path=path, index=2)}
    return Layer(bands=bands, unit=Unit.DECIBEL, facts={"acquisition_id": f"{cell.name}_{date}", "platform": "S1"})
