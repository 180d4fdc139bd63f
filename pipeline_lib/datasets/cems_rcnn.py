"""CEMS-RCNN tiles: 8 bit Sentinel-1 before and after a flood, labelled by Copernicus EMS rapid mapping.

Datasheet
    What: 2000 x 2000 tiles, **uint8** VV and VH (one file each) before and after the event, not georeferenced; the
        folder names the activation and area (``EMSR763_AOI01``).
    Label: ``Labels`` 0/255, **flood only**: permanent water is labelled dry.
    Caveats: contrast-stretched per image; no way back to dB was published, so that the stretch used here is nominal
        (VV -25 to 0 dB, VH -32 to -5 dB, the span of an ordinary scene). About 75 % of a tile is black: outside the
        area, not water. A black patch of 64 pixels or more is left out, and with it every label pixel there (10 424
        of them in EMSR763_AOI01 claim flood where there is no image).
    Licence: none given; not redistributed here.
    Layout read: ``<activation>/{POST_S1/VV_post,POST_S1/VH_post,PRE_S1/VV_pre,PRE_S1/VH_pre,Labels}/<tile>.png``.

References:
    Copernicus Emergency Management Service, Rapid Mapping.
"""

from pathlib import Path

from pipeline_lib.datasets.chip import Band, Chip, Label, Layer, Meaning, Stretch, Unit
from pipeline_lib.errors import InputError

STRETCH = {"vv": Stretch(db_at_0=-25.0, db_at_255=0.0), "vh": Stretch(db_at_0=-32.0, db_at_255=-5.0)}
"""Nominal: see the datasheet."""
BLANK_AREA_PX = 64


def read_cems_rcnn(root: Path) -> list[Chip]:
    """Every tile below ``root``, in order of name.

    Raises:
        InputError: no ``POST_S1/VV_post`` folder is there.
    """
    tiles = sorted(root.rglob("POST_S1/VV_post/*.png"))
    if not tiles:
        raise InputError(f"{root} holds no POST_S1/VV_post/*.png; expected the layout of the CEMS-RCNN set.")
    return [_chip(path.parents[2], path.name) for path in tiles]


def _chip(area: Path, name: str) -> Chip:
    label = area / "Labels" / name
    return Chip(
        dataset="cems_rcnn",
        chip_id=f"{area.name}/{Path(name).stem}",
        event=area.name.split("_")[0],
        group=area.name,
        split="all",
        meaning=Meaning.FLOOD,
        sar=_layer(area / "POST_S1", "post", name, area.name),
        sar_before=_layer(area / "PRE_S1", "pre", name, area.name)
        if (area / "PRE_S1/VV_pre" / name).is_file()
        else None,
        label=Label(band=Band(path=label), water=(255,), dry=(0,)) if label.is_file() else None,
    )


def _layer(folder: Path, when: str, name: str, area: str) -> Layer:
    bands = {pol: Band(path=folder / f"{pol.upper()}_{when}" / name) for pol in ("vv", "vh")}
    facts: dict[str, str | int] = {"acquisition_id": f"{area}_{when}", "platform": "S1"}
    return Layer(bands=bands, unit=Unit.BYTE, stretch=STRETCH, blank=(0,), blank_area_px=BLANK_AREA_PX, facts=facts)
