"""Single pixels of Sentinel-1 with their class: what water and each kind of land look like, to check a model against.

Datasheet
    What: ``india_polygons.npz``: pixels of dated hand-drawn polygons, water or not (``waterType``); ``header`` and
        ``rows`` of text; VV and VH in **dB**. ``us_lakes.npz`` and ``us_land.npz``: pixel series, ``s1_s2_era5_srtm``
        (pixel, month, column; column 0 VV dB, 1 VH dB) with a ``dynamic_world`` class for each month.
    Label: water or the class of Dynamic World (`DYNAMIC_WORLD`). A class is of the optical image of the month; the
        radar is up to 7 days (India) or some weeks (USA) away from it.
    Licence: us_lakes and us_land MIT; india_polygons none given; not redistributed here.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.errors import InputError, shown

DYNAMIC_WORLD = ("water", "trees", "grass", "flooded vegetation", "crops", "shrub", "built", "bare", "snow")
"""Class names by code."""
TABLES = ("india_polygons", "us_lakes", "us_land")


@dataclass(frozen=True, kw_only=True)
class PixelTable:
    """Pixels of one table, all of one length."""

    name: str
    vv_db: NDArray[np.float32]
    """(pixel) VV backscatter, dB."""
    vh_db: NDArray[np.float32]
    """(pixel) VH backscatter, dB."""
    classes: NDArray[np.str_]
    """(pixel) class name: one of `DYNAMIC_WORLD`, or ``water`` and ``dry``."""


def read_pixel_tables(root: Path) -> list[PixelTable]:
    """Every table of `TABLES` that is at ``root``.

    Raises:
        InputError: none is there, or one is damaged or lacks a column.
    """
    paths = [root / f"{name}.npz" for name in TABLES if (root / f"{name}.npz").is_file()]
    if not paths:
        raise InputError(f"{root} holds no pixel table; expected {', '.join(f'{name}.npz' for name in TABLES)}.")
    return [_read(path) for path in paths]


def _read(path: Path) -> PixelTable:
    try:
        with np.load(path, allow_pickle=False) as stored:
            if "rows" in stored:
                return _polygons(path.stem, stored["header"].tolist(), stored["rows"])
            series, codes = stored["s1_s2_era5_srtm"], stored["dynamic_world"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} cannot be read as a pixel table: {shown(error)}.") from error
    vv, vh = (series[..., column].ravel().astype(np.float32) for column in (0, 1))
    return PixelTable(name=path.stem, vv_db=vv, vh_db=vh, classes=np.array(DYNAMIC_WORLD)[codes.ravel()])


def _polygons(name: str, header: list[str], rows: NDArray[np.str_]) -> PixelTable:
    columns = {title: rows[:, header.index(title)] for title in ("VV", "VH", "waterType")}
    return PixelTable(
        name=name,
        vv_db=columns["VV"].astype(np.float32),
        vh_db=columns["VH"].astype(np.float32),
        classes=np.where(columns["waterType"] == "1", "water", "dry"),
    )
