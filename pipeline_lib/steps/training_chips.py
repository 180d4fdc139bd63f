"""Chips to learn from: label sets and simulated worlds, brought into network units by a model's input contract."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pipeline_lib.datasets.chip import Chip, Layer
from pipeline_lib.datasets.registry import read_dataset
from pipeline_lib.errors import InputError
from pipeline_lib.model.record import digest_of
from pipeline_lib.nn.augment import BandScale
from pipeline_lib.nn.chips import IGNORE, ChipSet, LabelledChip, open_chips, write_chips
from pipeline_lib.nn.inputs import (
    InputContract,
    fixed_scale,
    grey_contract,
    normalise,
    relative_scale,
    sar_contract,
    to_db,
)
from pipeline_lib.options.train import Recipe
from pipeline_lib.options.world import WorldOptions
from pipeline_lib.world.inundation import Truth
from pipeline_lib.world.optical import BANDS as WORLD_OPTICAL
from pipeline_lib.world.optical import OpticalScene
from pipeline_lib.world.radar import RadarScene
from pipeline_lib.world.simulate import World, simulate

CHIP_PX = 256
"""Side of a stored chip; larger images are cut, smaller ones padded with "not observed"."""
HIDDEN_CLASSES = (0, 1, 3, 8, 9, 10)
"""Sen2Cor: no data, saturated, cloud shadow, cloud of medium and high probability, cirrus."""
GREY_OPTICAL = ("red", "green", "blue", "red_blue", "green_blue")
FIRST_WORLD_SEED = 100_000
"""Seeds of training worlds start here; worlds for evaluation use small seeds, so that none is ever shared."""


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
    return full.model_copy(update={"bands": tuple(known[name] for name in wanted)})


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
    return BandScale(db_per_unit=per_unit, optional=tuple(optional))


def build_chips(recipe: Recipe, root: Path | None, folder: Path) -> ChipSet:
    """The recipe's chips as a store below ``folder``; made once per data options and root.

    Raises:
        InputError: no data root where one is needed, or nothing in it to learn from.
    """
    facts = {
        "data": recipe.data.model_dump(mode="json", exclude={"labelled_share", "sparse_share", "folds", "test_fold"}),
        "units": recipe.units,
        "target": recipe.target,
        "root": str(root),
    }
    place = folder / f"{digest_of(facts)}.zarr"
    if place.is_dir():
        return open_chips(place, in_memory=True)
    bands = all_bands(recipe)
    provenance: dict[str, Any] = {"dataset": recipe.data.dataset, "cloud_masked": recipe.data.dataset == "world"}
    if recipe.data.dataset != "world" and root is None:
        raise InputError(f"The recipe {recipe.name} learns from {recipe.data.dataset!r}: say where it is with --data.")
    write_chips(place, _every_chip(recipe, root, bands), bands, provenance)
    return open_chips(place, in_memory=True)


def _every_chip(recipe: Recipe, root: Path | None, bands: tuple[str, ...]) -> Iterator[LabelledChip]:
    if recipe.data.dataset == "world":
        yield from _world_chips(recipe, bands)
    elif root is not None:
        yield from _dataset_chips(recipe, recipe.data.dataset, root, bands)
    for name in recipe.data.extra:
        if root is not None:
            yield from _dataset_chips(recipe, name, root / name, bands)


def _dataset_chips(recipe: Recipe, name: str, root: Path, bands: tuple[str, ...]) -> Iterator[LabelledChip]:
    contract = contract_of(recipe)
    for chip in read_dataset(name, root):
        if chip.label is None and chip.image_label is None:
            continue
        image = _chip_image(chip, contract, bands)
        label = chip.truth() if chip.label is not None else np.full(image.shape[1:], IGNORE, np.uint8)
        tag = IGNORE if chip.image_label is None else int(chip.image_label)
        yield from cut(image, label, chip_id=chip.chip_id, group=chip.group, event=chip.event, tag=tag)


def _chip_image(chip: Chip, contract: InputContract, bands: tuple[str, ...]) -> NDArray[np.float32]:
    """``(band, y, x)`` network units of a data set's chip, exactly as `Segmenter` would see it."""
    history = None if chip.sar_before is None else chip.sar_before.scene()
    radar = network_units(contract, chip.sar.scene(), history)
    optical = _grey_optical(chip.optical, radar.shape[1:])
    rows = []
    for name in bands:
        if name in contract.names:
            rows.append(radar[contract.names.index(name)])
        elif name in GREY_OPTICAL:
            rows.append(optical[GREY_OPTICAL.index(name)])
        else:
            rows.append(np.full(radar.shape[1:], np.nan, np.float32))
    return np.stack(rows)


def network_units(contract: InputContract, scene: xr.Dataset, history: xr.Dataset | None) -> NDArray[np.float32]:
    """A small Scene as the network sees it, ``(band, y, x)``, NaN = not observed.

    A history that is missing is "not observed", so that a set without one can still be mixed in.
    """
    if contract.needs_history and history is None:
        history = scene.map(lambda array: xr.full_like(array, np.nan))
    power = np.stack([np.asarray(array.values, np.float32) for array in contract.select(scene, history)])
    decibel = to_db(power)
    centre, spread = fixed_scale(contract) if contract.units == "db" else relative_scale(decibel)
    return normalise(decibel, contract, centre, spread)


def _grey_optical(layer: Layer | None, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Display bands of an optical picture as network units, ``(band, y, x)``: `GREY_OPTICAL`.

    Square roots of the greys, because most pictures are dark, and normalised differences of red and of green with
    blue, which no stretch that is common to the bands can change and by which water stands out. Exactly black in all
    bands is not observed.
    """
    if layer is None:
        return np.full((len(GREY_OPTICAL), *shape), np.nan, np.float32)
    stored = layer.read()
    red, green, blue = (np.asarray(stored[name], np.float32) / 255 for name in ("red", "green", "blue"))
    roots = [(np.sqrt(band) - 0.5) * 4 for band in (red, green, blue)]
    ratios = [2 * (band - blue) / (band + blue + 0.02) for band in (red, green)]
    picture = np.stack([*roots, *ratios])
    picture[:, (red + green + blue) == 0] = np.nan
    return picture.astype(np.float32)


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
    """Chips of `CHIP_PX` from a larger image; a rest is padded; chips without any observed pixel are left out."""
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


def _world_chips(recipe: Recipe, bands: tuple[str, ...]) -> Iterator[LabelledChip]:
    """Flood passes (and one dry pass) of domain-randomised worlds, one group per world."""
    contract = contract_of(recipe)
    for number in range(recipe.data.worlds):
        seed = FIRST_WORLD_SEED + number
        world = simulate(
            WorldOptions.randomised(seed, size=recipe.data.world_size_px),
            with_optical=any(name in WORLD_OPTICAL for name in bands),
        )
        for index, scene in learning_passes(world):
            image, lag = world_image(world, scene, contract, bands)
            label = world_label(scene, before=contract.needs_history)
            yield from cut(
                image, label, chip_id=f"world{seed}/{index}", group=f"world{seed}", event=f"world{seed}", lag_days=lag
            )


def learning_passes(world: World) -> list[tuple[int, RadarScene]]:
    """The passes during the flood, and the last one before it."""
    flooded = [(k, scene) for k, scene in enumerate(world.radar) if scene.radar_pass.start > world.options.flood_start]
    first = flooded[0][0]
    return [(first - 1, world.radar[first - 1]), *flooded]


def world_label(scene: RadarScene, *, before: bool) -> NDArray[np.uint8]:
    """0 dry, 1 water, 255 where this radar view cannot tell.

    Reference water and open flood are water. Flooded vegetation is bright: water for a model that sees the time
    before, unknown otherwise. Flooded town is unknown. Where there is no echo at all nothing is learned.
    """
    truth = scene.inundation.truth
    label = np.full(truth.shape, IGNORE, np.uint8)
    label[truth == Truth.DRY] = 0
    label[(truth == Truth.REFERENCE_WATER) | (truth == Truth.OPEN_FLOOD)] = 1
    if before:
        label[truth == Truth.FLOODED_VEGETATION] = 1
    label[~scene.observed] = IGNORE
    return label


def world_image(
    world: World, scene: RadarScene, contract: InputContract, bands: tuple[str, ...]
) -> tuple[NDArray[np.float32], float]:
    """``(band, y, x)`` network units of one pass, and the lag in days of the nearest optical date."""
    now = radar_dataset([scene])
    past = [
        other
        for other in world.radar
        if other.radar_pass.direction == scene.radar_pass.direction
        and other.radar_pass.start < min(scene.radar_pass.start, world.options.flood_start)
    ]
    radar = network_units(contract, now.isel(time=0), radar_dataset(past) if past else None)
    optical, lag = _nearest_optical(world, scene)
    rows = []
    for name in bands:
        if name in contract.names:
            rows.append(radar[contract.names.index(name)])
        elif optical is not None and name in WORLD_OPTICAL:
            rows.append(optical_units(optical, name))
        else:
            rows.append(np.full(radar.shape[1:], np.nan, np.float32))
    return np.stack(rows), lag


def radar_dataset(scenes: list[RadarScene]) -> xr.Dataset:
    """Passes as a dataset ``(time, y, x)`` in linear power."""
    dims = ("time", "y", "x")
    return xr.Dataset(
        {
            "vv": (dims, np.stack([scene.vv for scene in scenes])),
            "vh": (dims, np.stack([scene.vh for scene in scenes])),
        }
    )


def optical_units(scene: OpticalScene, band: str) -> NDArray[np.float32]:
    """Reflectance as network units, NaN where the processor's scene classes say cloud, shadow or no data."""
    reflectance = scene.reflectance((band,))[0]
    rows, columns = reflectance.shape
    classes = scene.scene_class.repeat(2, axis=0).repeat(2, axis=1)[:rows, :columns]
    hidden = np.isin(classes, HIDDEN_CLASSES)
    return np.asarray(np.where(hidden, np.nan, (reflectance - 0.15) / 0.12), dtype=np.float32)


def _nearest_optical(world: World, scene: RadarScene) -> tuple[OpticalScene | None, float]:
    best, lag = None, float("inf")
    for optical in world.optical:
        days = abs((optical.optical_pass.when - scene.radar_pass.start).total_seconds()) / 86400
        if days < lag:
            best, lag = optical, days
    return best, (0.0 if best is None else lag)
