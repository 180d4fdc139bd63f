"""Sen1Floods11, hand-labelled part: Sentinel-1 (and Sentinel-2) chips of 11 flood events.

Datasheet
    What: 446 chips of 512 x 512 pixels, 11 events on 6 continents, 2016 to 2019. ``S1Hand`` holds VV and VH gamma0 or
        sigma0 as Google Earth Engine serves it (no terrain flattening), **dB**, float32, NaN = no data, EPSG:4326,
        about 10 m. ``S2Hand`` holds 13 bands of top-of-atmosphere reflectance x 10000 (L1C) at most 2 days apart.
    Label: ``LabelHand`` int16: -1 no data (cloud, or outside), 0 dry, 1 water - **all** water, permanent included.
        Drawn on Sentinel-2 and edited with Sentinel-1 in view, so that the radar's truth may be days and pixels off.
    Splits: the official lists cut every event at random (train 252, valid 89, test 90); chips of one event are not
        independent. Bolivia (15) is in none of them: the only hold-out event.
    Caveats: some chips hold no data at all, some no water; Bolivia's are up to 40 % empty.
    Licence: none given; not redistributed here.
    Layout read: any folder that has ``S1Hand`` and ``LabelHand`` in it or below it; split lists
        (``*train*``, ``*val*``, ``*test*``, ``*bolivia*`` with ending .csv or .txt) anywhere below the root.

References:
    Bonafilia, Tellman, Anderson, Issenberg: Sen1Floods11: a georeferenced dataset to train and test deep learning
    flood algorithms for Sentinel-1, CVPR Workshops 2020.
"""

from pathlib import Path

from pipeline_lib.datasets.chip import Band, Chip, Label, Layer, Meaning, Unit
from pipeline_lib.errors import InputError

S2_BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
PIXEL_M = 10.0
_SPLITS = {"bolivia": "bolivia", "train": "train", "val": "valid", "test": "test"}


def read_sen1floods11(root: Path) -> list[Chip]:
    """Every hand-labelled chip below ``root``, in order of name.

    Raises:
        InputError: no ``S1Hand`` folder with ``*_S1Hand.tif`` is there.
    """
    radar = sorted(root.rglob("*_S1Hand.tif"))
    if not radar:
        raise InputError(f"{root} holds no *_S1Hand.tif; expected the folders S1Hand and LabelHand of Sen1Floods11.")
    splits = _split_lists(root)
    return [_chip(path, splits) for path in radar]


def _chip(radar: Path, splits: dict[str, str]) -> Chip:
    chip_id = radar.name.removesuffix("_S1Hand.tif")
    event = chip_id.rsplit("_", 1)[0]
    home = radar.parent.parent
    label = home / "LabelHand" / f"{chip_id}_LabelHand.tif"
    optical = home / "S2Hand" / f"{chip_id}_S2Hand.tif"
    unlisted = "bolivia" if event == "Bolivia" else ("unlisted" if splits else "all")
    return Chip(
        dataset="sen1floods11",
        chip_id=chip_id,
        event=event,
        group=event,
        split=splits.get(chip_id, unlisted),
        meaning=Meaning.ALL_WATER,
        sar=Layer(
            bands={"vv": Band(path=radar, index=1), "vh": Band(path=radar, index=2)},
            unit=Unit.DECIBEL,
            facts={"acquisition_id": chip_id, "platform": "S1"},
        ),
        label=Label(band=Band(path=label), water=(1,), dry=(0,)) if label.is_file() else None,
        optical=_optical(optical) if optical.is_file() else None,
        pixel_m=PIXEL_M,
    )


def _optical(path: Path) -> Layer:
    bands = {name: Band(path=path, index=index) for index, name in enumerate(S2_BANDS, start=1)}
    return Layer(bands=bands, unit=Unit.REFLECTANCE, blank=(0,))


def _split_lists(root: Path) -> dict[str, str]:
    """Chip to split, from whatever official list lies below the root; first column up to ``_S1Hand``."""
    found: dict[str, str] = {}
    for path in sorted([*root.rglob("*.csv"), *root.rglob("*.txt")]):
        split = next((name for word, name in _SPLITS.items() if word in path.stem.lower()), None)
        if split is not None:
            for line in path.read_text(encoding="utf-8").split():
                found[line.split(",")[0].split("_S1Hand")[0]] = split
    return found
