"""ETCI 2021 (NASA IMPACT flood detection contest): 8 bit Sentinel-1 tiles of whole scenes.

Datasheet
    What: 256 x 256 tiles of Sentinel-1 IW scenes made by ASF HyP3, **uint8** VV and VH (here one band a file), not
        georeferenced; tile column and row stand in the file name, so that a scene's tiles can be laid side by side.
    Label: ``flood_label`` 0/255 = open water seen in the scene, most permanent water included; ``water_body_label``
        = permanent water. A scene without these folders but with ``labels.csv`` (tile, flood_label,
        water_body_label) has image-level labels only: real weak labels.
    Caveats: the scaling to dB was not published. The stretch used here is nominal: it carries the median and the
        spread of all pixels of a North Alabama scene, whatever their label (VV median 146, quartiles 130/159; VH median
        204, quartiles 178/220), to an ordinary land surface of -10.5 dB (VV) and -17 dB (VH) with 3 dB of spread.
        255 in both bands in one large patch is blank fill at the scene's edge; single such pixels are bright targets.
        The tiles of the North Alabama scene of 2019-06-30 lie 7 rows up and 7 columns right of those of 2019-03-02:
        ``np.roll(tile, (-7, +7), axis=(0, 1))`` aligns them, and the rolled-in edges are left out.
        The June scene is *later* than March: it serves as the view without the flood, not as the past.
    Licence: none given; not redistributed here.
    Layout read: ``<scene>/tiles/{vv,vh,flood_label,water_body_label}/<scene>_x-<column>_y-<row>[_vv|_vh].png``,
        any number of scenes below the root.

References:
    NASA IMPACT, ETCI 2021 competition on flood detection; Paul and Ganju, Flood segmentation on Sentinel-1 SAR
    imagery with semi-supervised learning, 2021.
"""

import csv
import re
from pathlib import Path

from pipeline_lib.datasets.chip import Band, Chip, Label, Layer, Meaning, Stretch, Unit
from pipeline_lib.errors import InputError

STRETCH = {"vv": Stretch(db_at_0=-30.9, db_at_255=4.8), "vh": Stretch(db_at_0=-36.7, db_at_255=-12.0)}
"""Nominal, from unlabelled statistics: see the datasheet."""
BLANK_AREA_PX = 256
ALIGNED = {("northal_20190302t234651", "northal_20190630t234655"): (-7, 7)}
"""(Flood scene, scene without the flood) to the shift that lays the second on the first."""
_PLACE = re.compile(r"_x-(\d+)_y-(\d+)")


def read_etci2021(root: Path) -> list[Chip]:
    """Every tile of every scene below ``root``, in order of name.

    Raises:
        InputError: no ``tiles/vv`` folder is there.
    """
    folders = {path.parent.name: path for path in sorted(_tile_folders(root))}
    if not folders:
        raise InputError(f"{root} holds no <scene>/tiles/vv folder; expected the layout of ETCI 2021.")
    # The scene without the flood may lie beside the root, as it does where labelled and weak scenes are kept apart.
    around = folders | {path.parent.name: path for path in _tile_folders(root.parent)}
    return [chip for scene, tiles in folders.items() for chip in _scene_chips(scene, tiles, around)]


def _tile_folders(root: Path) -> list[Path]:
    found = [root, *(path for depth in ("tiles", "*/tiles", "*/*/tiles") for path in root.glob(depth))]
    return [path for path in found if path.name == "tiles" and (path / "vv").is_dir()]


def _scene_chips(scene: str, tiles: Path, around: dict[str, Path]) -> list[Chip]:
    weak = _image_labels(tiles / "labels.csv")
    dry = next(
        (
            (around[other], other, shift)
            for (flood, other), shift in ALIGNED.items()
            if flood == scene and other in around
        ),
        None,
    )
    return [
        _chip(scene, tiles, path.name.removesuffix("_vv.png"), weak, dry)
        for path in sorted((tiles / "vv").glob("*_vv.png"))
    ]


def _chip(
    scene: str, tiles: Path, chip_id: str, weak: dict[str, bool], dry: tuple[Path, str, tuple[int, int]] | None
) -> Chip:
    place = _PLACE.search(chip_id)
    return Chip(
        dataset="etci2021",
        chip_id=chip_id,
        event=scene,
        # The same tile position on two dates is the same ground.
        group=scene.split("_", maxsplit=1)[0] + (place.group() if place else ""),
        split="all",
        meaning=Meaning.ALL_WATER,
        sar=_layer(tiles, chip_id, scene),
        label=_label(tiles / "flood_label" / f"{chip_id}.png"),
        sar_before=None if dry is None else _dry_layer(dry, chip_id, scene),
        reference_water=_label(tiles / "water_body_label" / f"{chip_id}.png"),
        image_label=weak.get(chip_id),
    )


def _layer(tiles: Path, chip_id: str, scene: str, shift: tuple[int, int] = (0, 0)) -> Layer:
    bands = {name: Band(path=tiles / name / f"{chip_id}_{name}.png") for name in ("vv", "vh")}
    facts: dict[str, str | int] = {"acquisition_id": scene, "platform": "S1", "datetime": _date(scene)}
    return Layer(
        bands=bands,
        unit=Unit.BYTE,
        stretch=STRETCH,
        blank=(255,),
        blank_area_px=BLANK_AREA_PX,
        shift=shift,
        facts=facts,
    )


def _date(scene: str) -> str:
    digits = scene.rsplit("_", 1)[-1]
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}T{digits[9:11]}:{digits[11:13]}:{digits[13:15]}Z"


def _dry_layer(dry: tuple[Path, str, tuple[int, int]], chip_id: str, scene: str) -> Layer | None:
    tiles, other, shift = dry
    twin = chip_id.replace(scene, other)
    return _layer(tiles, twin, other, shift) if (tiles / "vv" / f"{twin}_vv.png").is_file() else None


def _label(path: Path) -> Label | None:
    return Label(band=Band(path=path), water=(255,), dry=(0,)) if path.is_file() else None


def _image_labels(path: Path) -> dict[str, bool]:
    """Tile to whether it holds any water, flooded or permanent."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    return {
        row["tile"].removesuffix(".png"): row["flood_label"] == "1" or row["water_body_label"] == "1" for row in rows
    }
