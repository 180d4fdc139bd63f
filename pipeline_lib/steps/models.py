"""Models: list, show, export, quantise and compare them."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.datasets.chip import Chip
from pipeline_lib.datasets.registry import read_dataset
from pipeline_lib.errors import InputError, StoreError
from pipeline_lib.evaluate.calibration import calibrate_scores, reliability
from pipeline_lib.evaluate.scores import confusion, pool, score
from pipeline_lib.nn.export import export_onnx, quantize_onnx
from pipeline_lib.nn.inputs import InputContract
from pipeline_lib.nn.model_card import card_markdown
from pipeline_lib.nn.model_folder import INT8, ONNX, Model, load_model, shipped_models
from pipeline_lib.nn.model_writer import rewrite_card
from pipeline_lib.nn.segmenter import Segmenter
from pipeline_lib.options.world import WorldOptions
from pipeline_lib.steps.model_answer import model_to_score
from pipeline_lib.steps.network_units import network_units
from pipeline_lib.steps.world_chips import learning_passes, past_of, radar_dataset
from pipeline_lib.world.simulate import simulate

CALIBRATION_TILES = 200
CALIBRATION_PX = 256
CALIBRATION_SEED = 900_000
"""Worlds for quantisation: neither trained nor evaluated on."""


@dataclass(frozen=True)
class ModelLine:
    """One line of ``overbank models list``."""

    name: str
    target: str
    bands: str
    megabytes: float
    description: str


def list_models() -> tuple[ModelLine, ...]:
    """Models that come with overbank."""
    lines = []
    for name, folder in shipped_models().items():
        card = load_model(folder).card
        size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
        lines.append(ModelLine(name, card.target, ", ".join(card.bands), round(size, 2), card.description))
    return tuple(lines)


def show_model(model: str) -> str:
    """The card of a model as Markdown, digests checked."""
    return card_markdown(load_model(model).card)


def export_model(model: str, out: Path) -> Path:
    """Copy a model to another place, its ONNX made anew where it is missing.

    Raises:
        StoreError: the place is taken or cannot be written.
    """
    source = load_model(model)
    if out.exists():
        raise StoreError(f"{out} exists already; give a folder that does not.")
    shutil.copytree(source.folder, out)
    copied = load_model(out)
    if not (out / ONNX).is_file():
        card = copied.card
        export_onnx(copied.network(), len(card.bands), out / ONNX, stride_px=card.stride_px)
        rewrite_card(copied)
    return out


def quantize_model(model: str, root: Path | None = None, dataset: str | None = None) -> Model:
    """Add an int8 version, calibrated on real chips of a data set, or on simulated scenes.

    Args:
        model: folder of a model.
        root: folder of the data set whose chips calibrate the activations.
        dataset: its name.

    Raises:
        InputError: the model needs what the data set does not have, grey chips are needed and none given, a data set
            without its folder or a folder without its name is given, or the model is one that comes with overbank.
        ModelError: ONNX Runtime is missing.
    """
    if (root is None) != (dataset is None):
        raise InputError("A data set is its name and its folder: give both --dataset and --data, or neither.")
    opened = load_model(model)
    if opened.folder in shipped_models().values():
        raise InputError(
            f"{model} comes with overbank and stays as it is; make a copy: overbank models export {model}."
        )
    contract = opened.card.inputs
    if root is not None and dataset is not None:
        tiles = _dataset_tiles(contract, dataset, root)
    elif contract.units == "db":
        tiles = _world_tiles(contract)
    else:
        raise InputError("A model for grey images is quantised on grey images: give --dataset and --data.")
    quantize_onnx(opened.onnx(), opened.folder / INT8, tiles)
    return rewrite_card(opened)


def _dataset_tiles(contract: InputContract, dataset: str, root: Path) -> NDArray[np.float32]:
    tiles = []
    chips = read_dataset(dataset, root)
    for chip in chips[:: max(len(chips) // CALIBRATION_TILES, 1)]:
        history = None if chip.sar_before is None else chip.sar_before.scene()
        if contract.needs_history and history is None:
            continue
        tiles += _cut_tiles(network_units(contract, chip.sar.scene(), history))
    if not tiles:
        raise InputError(f"No chip of {dataset} in {root} can be used to quantise this model.")
    return np.stack(tiles[:CALIBRATION_TILES])


def _world_tiles(contract: InputContract) -> NDArray[np.float32]:
    """Tiles of a few worlds of their own seeds."""
    tiles = []
    for number in range(6):
        world = simulate(WorldOptions.randomised(CALIBRATION_SEED + number, size=512), with_optical=False)
        for _, scene in learning_passes(world):
            past = past_of(world, scene)
            image = network_units(contract, radar_dataset([scene]).isel(time=0), radar_dataset(past))
            tiles += _cut_tiles(image)
    return np.stack(tiles[:CALIBRATION_TILES])


def _cut_tiles(image: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    side = min(CALIBRATION_PX, image.shape[1] // 16 * 16, image.shape[2] // 16 * 16)
    return [
        np.nan_to_num(image[:, y : y + side, x : x + side], nan=0.0)
        for y in range(0, image.shape[1] - side + 1, side)
        for x in range(0, image.shape[2] - side + 1, side)
        if side == CALIBRATION_PX
    ]


def compare_models(
    models: Sequence[str], dataset: str, root: Path, *, split: str | None = None
) -> list[dict[str, Any]]:
    """Pooled figures of several models on one labelled set, one row a model and backend.

    Args:
        models: folders or names; ``NAME@BACKEND`` names the backend of one of them.
        dataset: name of the data set.
        root: its folder.
        split: of the data set.

    Raises:
        InputError: no chip has a pixel label.
    """
    chips = [chip for chip in read_dataset(dataset, root, split) if chip.label is not None]
    if not chips:
        raise InputError(f"No chip of {dataset} in {root} has a pixel label; nothing can be compared.")
    return [_row(entry, chips) for entry in models]


def _row(entry: str, chips: Sequence[Chip]) -> dict[str, Any]:
    name, _, own = entry.partition("@")
    segmenter = Segmenter.load(model_to_score(name, chips).folder, own or "auto")
    counts, sums, ious = [], [], []
    for chip in chips:
        scene = chip.sar.scene()
        history = None if chip.sar_before is None else chip.sar_before.scene()
        probability = segmenter.likelihood(scene, history).to_numpy()
        truth = chip.truth()
        mapped = (np.nan_to_num(probability, nan=0.0) >= segmenter.model.card.threshold).astype(np.uint8)
        counts.append(confusion(mapped, truth))
        ious.append(score(counts[-1]).water_iou)
        sums.append(reliability(probability, truth))
    pooled = score(pool(counts))
    known = [iou for iou in ious if iou is not None]
    return {
        "model": segmenter.model.card.name,
        "backend": segmenter.backend,
        "pooled water IoU": pooled.water_iou,
        "median chip IoU": float(np.median(known)) if known else None,
        "F1": pooled.water_f1,
        "precision": pooled.water_precision,
        "recall": pooled.water_recall,
        "ECE": calibrate_scores(sums).ece_pooled if any(one.pixels.any() for one in sums) else None,
        "chips": len(chips),
    }
