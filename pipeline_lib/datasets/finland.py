"""Twelve months of one Finnish forest, ascending and descending: snow, thaw and leaves, and practically no water.

Datasheet
    What: ``<place>/MM.tif``, month 00 to 11, four bands of 256 x 256 pixels in **dB**: VV and VH ascending, VV and VH
        descending; no map grid.
    Label: none a pixel; every image is tagged "holds no water": a weak label for seasonal false alarms.
    Caveats: small ponds of the place are not marked.
    Licence: none given; not redistributed here.
"""

from pathlib import Path

from pipeline_lib.datasets.chip import Band, Chip, Layer, Meaning, Unit
from pipeline_lib.errors import InputError

ORBITS = {"ascending": 1, "descending": 3}
"""Direction to the band number of its VV; VH follows."""


def read_finland(root: Path) -> list[Chip]:
    """Every month and direction of every place below ``root``.

    Raises:
        InputError: no ``MM.tif`` is there.
    """
    months = sorted(root.rglob("[01][0-9].tif"))
    if not months:
        raise InputError(f"{root} holds no month; expected <place>/00.tif to 11.tif.")
    return [_chip(path, direction, band) for path in months for direction, band in ORBITS.items()]


def _chip(path: Path, direction: str, band: int) -> Chip:
    place = path.parent.name
    return Chip(
        dataset="finland_months",
        chip_id=f"{place}/{path.stem}/{direction}",
        event=f"Finland-{place}",
        group=f"Finland-{place}",
        split="all",
        meaning=Meaning.ALL_WATER,
        sar=Layer(
            bands={"vv": Band(path=path, index=band), "vh": Band(path=path, index=band + 1)},
            unit=Unit.DECIBEL,
            facts={"acquisition_id": f"{place}_{path.stem}_{direction}", "orbit_direction": direction},
        ),
        image_label=False,
    )
