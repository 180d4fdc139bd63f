"""Train a model by a recipe: chips, the recipe's way of learning, calibration, figures, and the model folder."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import JsonValue, ValidationError
from torch import nn

from pipeline_lib.errors import InputError, ModelError
from pipeline_lib.evaluate.calibration import calibrate_scores, reliability
from pipeline_lib.evaluate.scores import confusion, score
from pipeline_lib.nn.calibration import Calibration, fit_calibration
from pipeline_lib.nn.gpu import training_device
from pipeline_lib.nn.learning import Session
from pipeline_lib.nn.model_card import DATA_TERMS, LIMITS, ModelCard
from pipeline_lib.nn.model_folder import Model, load_model
from pipeline_lib.nn.model_writer import write_model
from pipeline_lib.nn.networks import coarsest_stride, gigaflops, halo_px, parameter_count
from pipeline_lib.nn.out_of_range import band_ranges
from pipeline_lib.nn.predict import predict_odds
from pipeline_lib.nn.recipes import train
from pipeline_lib.nn.split import split_chips
from pipeline_lib.nn.training import Progress as Progress  # noqa: PLC0414 - flows may import steps alone
from pipeline_lib.options.train import Recipe
from pipeline_lib.steps.training_chips import band_scale, build_chips, contract_of
from pipeline_lib.steps.training_keys import training_key

Report = Callable[[Progress], None]


@dataclass(frozen=True)
class Trained:
    """What a training run left."""

    model: str
    """Folder of the model."""
    metrics: dict[str, JsonValue]


def read_recipe(path: Path, **overrides: int | None) -> Recipe:
    """Read a recipe; every unknown field and impossible value is named.

    Args:
        path: YAML file.
        overrides: ``seed`` and ``test_fold``, where not None, replace the recipe's.

    Raises:
        InputError: not readable, not YAML, or not a recipe.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path} cannot be read as a recipe: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} is not a recipe: expected fields like name, kind, data.")
    if overrides.get("seed") is not None:
        content["seed"] = overrides["seed"]
    if overrides.get("test_fold") is not None:
        content.setdefault("data", {})["test_fold"] = overrides["test_fold"]
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        lines = "; ".join(f"{'.'.join(map(str, found['loc'])) or 'recipe'}: {found['msg']}" for found in error.errors())
        raise InputError(f"{path} is not a recipe: {lines}.") from error


def open_session(
    recipe: Recipe, root: Path | None, workspace: Path, report: Report | None = None, device: str = "cpu"
) -> Session:
    """Chips, split and folder of a recipe.

    Raises:
        InputError: no data, or too few groups to split.
    """
    chips = build_chips(recipe, root, workspace / "chips")
    split = split_chips(chips, recipe.data)
    scale = band_scale(recipe, chips.bands)
    folder = workspace / "stages"
    key = training_key(recipe, chips)
    return Session(
        chips=chips, recipe=recipe, split=split, scale=scale, folder=folder, key=key, report=report, device=device
    )


def train_model(
    recipe: Recipe,
    root: Path | None,
    out: Path,
    *,
    workspace: Path | None = None,
    report: Report | None = None,
    device: str = "auto",
) -> Trained:
    """Train by a recipe and write the model folder ``out``.

    Everything on the way is kept in ``workspace`` (``out`` + ``.training`` by default): a run that was killed goes
    on from its last checkpoint and ends with the same bits (on a GPU: the same but for rounding).

    Args:
        recipe: what to learn, from what, how.
        root: folder of the recipe's data sets; None for simulated worlds.
        out: folder of the model.
        workspace: folder of chips and checkpoints.
        report: is told of every validation.
        device: ``auto`` (the GPU where there is one), ``cpu`` or ``cuda``.

    Raises:
        InputError: the recipe cannot be followed with these data.
        ModelError: training diverged, checkpoints of another recipe are in the workspace, or there is no GPU though
            one is demanded.
    """
    workspace = workspace or out.with_name(out.name + ".training")
    session = open_session(recipe, root, workspace, report, training_device(device))
    base = load_base(recipe, session)
    network = train(session, base)
    model = finish(session, network, out)
    return Trained(str(model.folder), model.card.metrics)


def uses_gpu(device: str) -> bool:
    """Whether `train_model` will train on a GPU.

    Raises:
        UnknownNameError: neither auto, cpu nor cuda.
        ModelError: a GPU is demanded and there is none.
    """
    return training_device(device) == "cuda"


def load_base(recipe: Recipe, session: Session) -> nn.Module | None:
    """The network to fine-tune, or None.

    Raises:
        ModelError: it expects other bands or is of another architecture than the recipe says.
    """
    if recipe.base_model is None:
        return None
    base = load_model(recipe.base_model)
    card = base.card
    if card.inputs != contract_of(recipe) or card.network != recipe.network or card.teacher_bands:
        raise ModelError(
            f"{recipe.base_model} is a {card.network.architecture} of width {card.network.width} for "
            f"{', '.join(card.bands)} ({card.inputs.units}); the recipe's network and bands must be "
            "the same to fine-tune it."
        )
    session.folder.mkdir(parents=True, exist_ok=True)
    return base.network()


def finish(session: Session, network: nn.Module, out: Path) -> Model:
    """Calibrate on held-out groups, measure, and write the model folder."""
    recipe, is_teacher = session.recipe, session.recipe.kind == "teacher"
    bands = session.teacher_bands if is_teacher else session.student_bands
    held = session.split.valid
    odds = predict_odds([network], session.chips.images, bands, held)
    truth = np.stack([np.asarray(session.chips.labels[int(k)]) for k in held])
    calibration = fit_calibration(odds, truth, seed=recipe.seed)
    metrics = figures("validation", calibration.apply(odds), truth, recipe.threshold)
    if len(session.split.test):
        metrics |= test_figures(session, network, bands, calibration)
    channels = len(bands)
    metrics |= {
        "parameters": parameter_count(network),
        "gigaflops at 512 x 512": round(gigaflops(network, channels), 3),
    }
    card = ModelCard(
        name=recipe.name,
        description=recipe.description,
        target=recipe.target,
        inputs=contract_of(recipe),
        network=recipe.distill.teacher if is_teacher else recipe.network,
        halo_px=halo_px(network, channels),
        stride_px=coarsest_stride(network),
        scale=calibration.scale,
        bias=calibration.bias,
        threshold=recipe.threshold,
        ranges=band_ranges(session.chips, bands, session.split.train),
        recipe=recipe,
        data=_learned_from(recipe),
        metrics=metrics,
        limits=LIMITS,
        software=f"overbank {version('overbank')}",
        teacher_bands=recipe.data.teacher_bands if is_teacher else (),
    )
    return write_model(out, network, card)


def _learned_from(recipe: Recipe) -> tuple[str, ...]:
    """Every data set with its terms, those of the model it started from included."""
    own = [f"{name}: {DATA_TERMS.get(name, 'your own')}" for name in (recipe.data.dataset, *recipe.data.extra)]
    inherited = () if recipe.base_model is None else load_model(recipe.base_model).card.data
    return tuple(dict.fromkeys([*own, *inherited]))


def test_figures(
    session: Session, network: nn.Module, bands: NDArray[np.intp], calibration: Calibration
) -> dict[str, JsonValue]:
    """Figures on the test fold, which nothing before this line has seen."""
    test = session.split.test
    odds = predict_odds([network], session.chips.images, bands, test)
    truth = np.stack([np.asarray(session.chips.labels[int(k)]) for k in test])
    return figures("test", calibration.apply(odds), truth, session.recipe.threshold)


def figures(
    part: str, probability: NDArray[np.float32], truth: NDArray[np.uint8], threshold: float
) -> dict[str, JsonValue]:
    """Pooled scores, counts and calibration of one part, by name.

    ``probability`` is P(water) of any shape, NaN = not observed; ``truth`` of the same shape, 0 dry, 1 water, 255 left
    out.
    """
    known = np.isfinite(probability)
    mapped = np.where(known, (probability >= threshold).astype(np.uint8), np.uint8(255)).astype(np.uint8)
    counts = confusion(mapped, truth)
    sums = reliability(probability, truth)
    calibrated = calibrate_scores([sums]) if sums.pixels.any() else None
    named: dict[str, Any] = score(counts).model_dump(mode="json")
    plain = {key: value for key, value in named.items() if isinstance(value, int | float) or value is None}
    return {
        part: {
            **plain,
            "expected calibration error": None if calibrated is None else round(calibrated.ece_pooled, 5),
            "brier": None if calibrated is None else round(calibrated.brier_pooled, 5),
            "chips": len(truth),
            "counts": counts.model_dump(mode="json"),
        }
    }


def count_chips(recipe: Recipe, root: Path | None, workspace: Path) -> int:
    """Make the recipe's chip store, or find it made; return how many chips it holds."""
    return len(build_chips(recipe, root, workspace / "chips"))


def progress_line(progress: Progress) -> str:
    """One validation as a line of JSON, for logs."""
    return json.dumps(asdict(progress), sort_keys=True)


def progress_row(progress: Progress) -> dict[str, object]:
    """One validation as a row of a table."""
    row: dict[str, object] = {"stage": progress.stage, "step": progress.step, "of": progress.steps}
    row |= {name: round(value, 4) for name, value in progress.loss.items()}
    return {**row, "validation IoU": None if progress.score is None else round(progress.score, 4)}


SHOWN = ("water_iou", "mean_iou", "water_f1", "water_precision", "water_recall", "pixel_accuracy")


def metrics_table(trained: Trained) -> str:
    """Pooled figures of a model, Markdown."""
    lines = [f"Model: {trained.model}", "", f"| part | {' | '.join(SHOWN)} | ECE |", "|---" * (len(SHOWN) + 2) + "|"]
    for part in ("validation", "test"):
        found = trained.metrics.get(part)
        if isinstance(found, dict):
            values = [found.get(name) for name in (*SHOWN, "expected calibration error")]
            shown = " | ".join(f"{value:.4f}" if isinstance(value, float | int) else "-" for value in values)
            lines.append(f"| {part} | {shown} |")
    return "\n".join(lines)
