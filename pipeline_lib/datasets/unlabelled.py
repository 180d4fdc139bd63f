"""Sentinel-1 chips without any label: for self-training and statistics.

Datasheet
    What: ``S1Hand/<chip>_S1Hand.tif`` as in Sen1Floods11 and STAC Overflow: VV and VH in **dB**, float32, NaN where
        there is no data.
    Label: none; a chip whose label was put beside it (``LabelHand``) is still read without.
    Events: the place of the file's name, so that a chip is left out with the flood it shows (``awc``, ``ayt`` and
        ``qxb`` are STAC Overflow's names of floods in Bolivia, Nigeria and Sri Lanka).
    Licence: as the set each chip comes from; none given; not redistributed here.
"""

from dataclasses import replace
from pathlib import Path

from pipeline_lib.datasets.chip import Chip
from pipeline_lib.datasets.sen1floods11 import read_sen1floods11
from pipeline_lib.datasets.stac_overflow import flood_of


def read_unlabelled(root: Path) -> list[Chip]:
    """Every chip below ``root``, in order of name.

    Raises:
        InputError: no ``S1Hand`` folder with ``*_S1Hand.tif`` is there.
    """
    chips = []
    for chip in read_sen1floods11(root):
        event = flood_of(chip.chip_id) or chip.event
        chips.append(replace(chip, dataset="unlabelled", event=event, group=event, split="all", label=None))
    return chips
