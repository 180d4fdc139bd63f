"""One chip of the flood in Paraguay, 2018-10-31: VV alone, with the optical water index of the same day.

Datasheet
    What: ``S1Hand_VVonly.tif`` VV in **dB**, ``S2_NDWI.tif`` normalised difference water index of Sentinel-2 on one
        grid, 512 x 512 pixels, EPSG:4326, about 10 m. A training chip of Sen1Floods11.
    Label: ``LabelHand.tif``: 0 dry, 1 water - **all** water -, -1 unknown.
    Caveats: VH is missing.
    Licence: none given, as Sen1Floods11; not redistributed here.
"""

from pathlib import Path

from pipeline_lib.datasets.chip import Band, Chip, Label, Layer, Meaning, Unit
from pipeline_lib.datasets.sen1floods11 import PIXEL_M
from pipeline_lib.errors import InputError

RADAR, INDEX, LABEL = "S1Hand_VVonly.tif", "S2_NDWI.tif", "LabelHand.tif"


def read_paraguay(root: Path) -> list[Chip]:
    """The chip of every folder at or below ``root`` that holds ``S1Hand_VVonly.tif``.

    Raises:
        InputError: there is none.
    """
    radar = sorted(root.rglob(RADAR))
    if not radar:
        raise InputError(f"{root} holds no {RADAR}; expected {RADAR}, {INDEX} and {LABEL}.")
    return [_chip(path) for path in radar]


def _chip(radar: Path) -> Chip:
    label, index = radar.with_name(LABEL), radar.with_name(INDEX)
    return Chip(
        dataset="paraguay_24341",
        chip_id=radar.parent.name,
        event="Paraguay",
        group="Paraguay",
        split="all",
        meaning=Meaning.ALL_WATER,
        sar=Layer(
            bands={"vv": Band(path=radar)},
            unit=Unit.DECIBEL,
            facts={"acquisition_id": radar.parent.name, "platform": "S1"},
        ),
        label=Label(band=Band(path=label), water=(1,), dry=(0,)) if label.is_file() else None,
        optical=Layer(bands={"ndwi": Band(path=index)}, unit=Unit.INDEX) if index.is_file() else None,
        pixel_m=PIXEL_M,
    )
