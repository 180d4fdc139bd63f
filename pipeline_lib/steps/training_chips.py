"""Chips to learn from: label sets and simulated worlds, brought into network units by a model's input contract."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.datasets.chip import Chip
from pipeline_lib.datasets.registry import folder_of_set, read_dataset
from pipeline_lib.errors import InputError, RasterError
from pipeline_lib.nn.augment import BandScale
from pipeline_lib.nn.chips import ChipSet, LabelledChip, open_chips, write_chips
from pipeline_lib.nn.inputs import InputContract, grey_contract, sar_contract
from pipeline_lib.nn.labels import IGNORE
from pipeline_lib.options.train import Recipe
from pipeline_lib.steps.network_units import cut, network_units
from pipeline_lib.steps.training_keys import chips_key
from pipeline_lib.steps.world_chips import world_chips

GREY_OPTICAL = ("red", "green", "blue", "red_blue", "green_blue")


def contract_of(recipe: Recipe) -> InputContract:
    """The input contract of the recipe's student, from its band names.

    Raises:
        InputError: a band is unknown or is not a radar band.
    """
    wanted = recipe.data.bands
    before = any(name.endswith("_before") for name in wanted)
    full = sar_contract(before=before) if recipe.units == "db" else grey_contract(before=before)
    known = {band.name: band for band in full.bands}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        most = sar_contract(before=True) if recipe.units == "db" else grey_contract(before=True)
        raise InputError(
            f"data.bands names {', '.join(unknown)}; a student in units {recipe.units!r} may see "
            f"{', '.join(most.names)}."
        )
    bands = tuple(known[name] for name in wanted)
    return full.model_copy(update={"bands": bands, "centre_percentile": recipe.data.centre_percentile})


def all_bands(recipe: Recipe) -> tuple[str, ...]:
    """Bands the store must hold: the student's, then what only the teacher sees."""
    mine = recipe.data.bands
    return (*mine, *(name for name in recipe.data.teacher_bands if name not in mine))


def band_scale(recipe: Recipe, bands: tuple[str, ...]) -> BandScale:
    """Decibels per network unit of each band for the augmentation, and the band groups that may be missing.

    In relative units a unit is a third of the scene's range, about 5 dB.
    """
    radar = {*contract_of(recipe).names}
    per_unit = np.array([5.0 if name in radar else 0.0 for name in bands], np.float32)
    optional = []
    vh = tuple(k for k, name in enumerate(bands) if name.startswith("vh"))
    if vh:
        optional.append(vh)
    if optical := tuple(int(k) for k in np.flatnonzero(per_unit == 0)):
        optional.append(optical)
    like, cross = ((tuple(k for k, name in enumerate(bands) if name == now)) for now in ("vv", "vh"))
    return BandScale(db_per_unit=per_unit, optional=tuple(optional), like=like, cross=cross)


def build_chips(recipe: Recipe, root: Path | None, folder: Path) -> ChipSet:
    """The recipe's chips as a store below ``folder``; made once for the same data and options, wherever the data lie.

    A recipe of dataset ``store`` reads the store that ``root`` is.

    Raises:
        InputError: no data root where one is needed, or nothing in it to learn from, or the store lacks a band.
        StoreError: the root is not a chip store.
    """
    if recipe.data.dataset != "world" and root is None:
        raise InputError(f"The recipe {recipe.name} learns from {recipe.data.dataset!r}: say where it is with --data.")
    if recipe.data.dataset == "store" and root is not None:
        chips = open_chips(root, in_memory=True)
        chips.band_index(all_bands(recipe))
        return chips
    place = folder / f"{chips_key(recipe, root)}.zarr"
    if place.is_dir():
        return open_chips(place, in_memory=True)
    bands = all_bands(recipe)
    provenance: dict[str, Any] = {"dataset": recipe.data.dataset, "cloud_masked": recipe.data.dataset == "world"}
    write_chips(place, _every_chip(recipe, root, bands), bands, provenance)
    return open_chips(place, in_memory=True)


def _every_chip(recipe: Recipe, root: Path | None, bands: tuple[str, ...]) -> Iterator[LabelledChip]:
    if recipe.data.dataset == "world":
        yield from world_chips(recipe.data, contract_of(recipe), bands)
    elif root is not None:
        yield from _dataset_chips(recipe, recipe.data.dataset, root, bands)
    for name in recipe.data.extra:
        if root is not None:
            yield from _dataset_chips(recipe, name, root / folder_of_set(name), bands)


def _dataset_chips(recipe: Recipe, name: str, root: Path, bands: tuple[str, ...]) -> Iterator[LabelledChip]:
    contract = contract_of(recipe)
    for chip in read_dataset(name, root):
        if chip.label is None and chip.image_label is None:
            continue
        image = chip_image(chip, contract, bands)
        label = chip.truth() if chip.label is not None else np.full(image.shape[1:], IGNORE, np.uint8)
        tag = IGNORE if chip.image_label is None else int(chip.image_label)
        for piece in cut(image, label, chip_id=chip.chip_id, group=chip.group, event=chip.event, tag=tag):
            yield replace(piece, source=name)


def chip_image(chip: Chip, contract: InputContract, bands: tuple[str, ...]) -> NDArray[np.float32]:
    """``(band, y, x)`` network units of a data set's chip, exactly as `Segmenter` would see it."""
    history = None if chip.sar_before is None else chip.sar_before.scene()
    radar = network_units(contract, chip.sar.scene(), history)
    optical = _grey_optical(chip, radar.shape[1:])
    rows = []
    for name in bands:
        if name in contract.names:
            rows.append(radar[contract.names.index(name)])
        elif name in GREY_OPTICAL:
            rows.append(optical[GREY_OPTICAL.index(name)])
        else:
            rows.append(np.full(radar.shape[1:], np.nan, np.float32))
    return np.stack(rows)


def has_grey_optical(chip: Chip) -> bool:
    """Whether the chip has an optical picture in display channels."""
    return chip.optical is not None and {"red", "green", "blue"} <= chip.optical.bands.keys()


def _grey_optical(chip: Chip, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Display bands of an optical picture as network units, ``(band, y, x)``: `GREY_OPTICAL`.

    Square roots of the greys, because most pictures are dark, and normalised differences of red and of green with
    blue, which no stretch that is common to the bands can change and by which water stands out. Exactly black in all
    bands is not observed.

    Raises:
        RasterError: the picture is not on the radar's grid.
    """
    if chip.optical is None or not has_grey_optical(chip):
        return np.full((len(GREY_OPTICAL), *shape), np.nan, np.float32)
    stored = chip.optical.read()
    if stored["red"].shape != shape:
        raise RasterError(
            f"Chip {chip.chip_id}: optical image has {stored['red'].shape} pixels, radar {shape}; expected equal."
        )
    red, green, blue = (np.asarray(stored[name], np.float32) / 255 for name in ("red", "green", "blue"))
    roots = [(np.sqrt(band) - 0.5) * 4 for band in (red, green, blue)]
    ratios = [2 * (band - blue) / (band + blue + 0.02) for band in (red, green)]
    picture = np.stack([*roots, *ratios])
    picture[:, (red + green + blue) == 0] = np.nan
    return picture.astype(np.float32)
