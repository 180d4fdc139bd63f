"""Images in network units, and chips cut from them: what data sets and simulated worlds have in common."""

from collections.abc import Iterator

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pipeline_lib.nn.chips import LabelledChip
from pipeline_lib.nn.inputs import InputContract, fixed_scale, normalise, relative_scale, to_db
from pipeline_lib.nn.labels import IGNORE

CHIP_PX = 256
"""Side of a stored chip; larger images are cut, smaller ones padded with "not observed"."""


def network_units(contract: InputContract, scene: xr.Dataset, history: xr.Dataset | None) -> NDArray[np.float32]:
    """A small Scene as the network sees it, ``(band, y, x)``, NaN = not observed.

    A history that is missing is "not observed", so that a set without one can still be mixed in.
    """
    if contract.needs_history and history is None:
        history = scene.map(lambda array: xr.full_like(array, np.nan))
    power = np.stack([np.asarray(array.values, np.float32) for array in contract.select(scene, history)])
    decibel = to_db(power)
    fixed = contract.units == "db"
    centre, spread = fixed_scale(contract) if fixed else relative_scale(decibel, contract.centre_percentile)
    return normalise(decibel, contract, centre, spread)


def reflectance_units(reflectance: NDArray[np.float32], hidden: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Reflectance as network units, ``(..., y, x)``; NaN where ``hidden``: cloud, its shadow, no data."""
    return np.asarray(np.where(hidden, np.nan, (reflectance - 0.15) / 0.12), dtype=np.float32)


def cut(
    image: NDArray[np.float32],
    label: NDArray[np.uint8],
    *,
    chip_id: str,
    group: str,
    event: str,
    tag: int = IGNORE,
    lag_days: float = 0.0,
) -> Iterator[LabelledChip]:
    """Chips of `CHIP_PX` from a larger image; a rest is padded; chips without any observed pixel are left out.

    Args:
        image: (band, y, x) in network units, NaN = not observed.
        label: (y, x) 0 dry, 1 water, 255 unknown.
        chip_id: of the larger image; a chip's own adds its row and column.
        group: of chips that must not be parted between training and test.
        event: that the image shows.
        tag: label of the whole image where it has one.
        lag_days: between the radar and the optical image.
    """
    height, width = label.shape
    for y in range(0, height, CHIP_PX):
        for x in range(0, width, CHIP_PX):
            piece = np.full((len(image), CHIP_PX, CHIP_PX), np.nan, np.float32)
            codes = np.full((CHIP_PX, CHIP_PX), IGNORE, np.uint8)
            part = image[:, y : y + CHIP_PX, x : x + CHIP_PX]
            piece[:, : part.shape[1], : part.shape[2]] = part
            codes[: part.shape[1], : part.shape[2]] = label[y : y + CHIP_PX, x : x + CHIP_PX]
            if np.isfinite(piece).any():
                yield LabelledChip(
                    chip_id=f"{chip_id}/{y}-{x}",
                    group=group,
                    event=event,
                    image=piece,
                    label=codes,
                    tag=tag,
                    lag_days=lag_days,
                )
