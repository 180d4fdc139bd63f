"""Data Fusion Contest 2024, track 1: Sentinel-1 chips with elevation, land cover and water occurrence.

Datasheet
    What: chips of 512 x 512 pixels, VV and VH in **dB**, float32, 10 m, without place or date.
        ``Ancillary/<chip>_Ancillary.tif``: MERIT DEM m, Copernicus DEM m, ESA WorldCover code, JRC water occurrence %.
    Label: ``LabelHand``: 0 dry, 1 water - flood of Copernicus EMS and permanent water -, -1 unknown. Coarse and
        buffered: the water of a river is drawn some 50 m wider than the radar shows it.
    Events: unknown. All chips carry the one event ``dfc2024``, since two of them may show the same flood.
    Caveats: occurrence 101 and elevation -9999 mean "not known" (in MERIT -9999 is the sea); the elevation given here
        is the Copernicus DEM's.
    Licence: IEEE GRSS contest data, no licence file; not redistributed here.

References:
    IEEE GRSS Data Fusion Contest 2024: rapid flood mapping.
"""

from dataclasses import replace
from pathlib import Path

from pipeline_lib.datasets.chip import Band, Chip
from pipeline_lib.datasets.sen1floods11 import read_sen1floods11

EVENT = "dfc2024"
_ELEVATION, _OCCURRENCE = 2, 4


def read_dfc2024(root: Path) -> list[Chip]:
    """Every chip below ``root``, in order of name; elevation and occurrence where their file is there.

    Raises:
        InputError: no ``S1Hand`` folder with ``*_S1Hand.tif`` is there.
    """
    return [_with_ancillary(chip) for chip in read_sen1floods11(root)]


def _with_ancillary(chip: Chip) -> Chip:
    home = chip.sar.bands["vv"].path.parent.parent
    path = home / "Ancillary" / f"{chip.chip_id}_Ancillary.tif"
    known = path.is_file()
    return replace(
        chip,
        dataset="dfc2024",
        event=EVENT,
        group=EVENT,
        split="all",
        elevation=Band(path=path, index=_ELEVATION, absent=(-9999,)) if known else None,
        water_occurrence=Band(path=path, index=_OCCURRENCE, absent=(101, -9999)) if known else None,
    )
