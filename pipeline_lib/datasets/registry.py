"""Data sets by name."""

from collections.abc import Callable
from pathlib import Path

from pipeline_lib.datasets.cems_rcnn import read_cems_rcnn
from pipeline_lib.datasets.chip import Chip
from pipeline_lib.datasets.dfc2024 import read_dfc2024
from pipeline_lib.datasets.etci2021 import read_etci2021
from pipeline_lib.datasets.finland import read_finland
from pipeline_lib.datasets.folder import read_chips
from pipeline_lib.datasets.ombria import read_ombria
from pipeline_lib.datasets.paraguay import read_paraguay
from pipeline_lib.datasets.puerto_rico import read_puerto_rico, read_puerto_rico_sea
from pipeline_lib.datasets.sen1floods11 import read_sen1floods11
from pipeline_lib.datasets.simulated import read_world, read_world_flood
from pipeline_lib.datasets.stac_overflow import read_stac_overflow
from pipeline_lib.datasets.unlabelled import read_unlabelled
from pipeline_lib.errors import InputError, UnknownNameError

DATASETS: dict[str, Callable[[Path], list[Chip]]] = {
    "sen1floods11": read_sen1floods11,
    "etci2021": read_etci2021,
    "ombria": read_ombria,
    "cems": read_cems_rcnn,
    "cems_rcnn": read_cems_rcnn,
    "chips": read_chips,
    "dfc2024": read_dfc2024,
    "finland_months": read_finland,
    "paraguay_24341": read_paraguay,
    "puerto_rico_2017": read_puerto_rico,
    "puerto_rico_sea": read_puerto_rico_sea,
    "stac_overflow": read_stac_overflow,
    "unlabelled": read_unlabelled,
    "world": read_world,
    "world-flood": read_world_flood,
}


FOLDERS = {"puerto_rico_sea": "puerto_rico_2017"}
"""Sets that are read from another set's folder."""


def folder_of_set(name: str) -> str:
    """Name of the folder that a data set lies in by default, below the folder of all sets."""
    return FOLDERS.get(name, name)


def read_dataset(name: str, root: Path, split: str | None = None) -> list[Chip]:
    """Chips of a data set, of one split or of all; nothing but names (and OMBRIA's greys) is read yet.

    A root that holds one split only is fine: asked for that split, all of it; a set without splits has the one
    split ``all``, which answers to every name.

    Raises:
        UnknownNameError: no such data set.
        InputError: the root is not a folder of that set, or holds other splits only.
    """
    if name not in DATASETS:
        raise UnknownNameError("data set", name, tuple(DATASETS))
    if not root.is_dir():
        raise InputError(f"{root} is not a folder; give the folder of the data set {name!r}.")
    chips = DATASETS[name](root)
    if split is None:
        return chips
    wanted = "valid" if split == "val" else split
    chosen = [chip for chip in chips if chip.split in {wanted, "all"}]
    if not chosen:
        held = ", ".join(sorted({chip.split for chip in chips}))
        raise InputError(f"{root} holds no chip of split {split!r}; it holds: {held}.")
    return chosen
