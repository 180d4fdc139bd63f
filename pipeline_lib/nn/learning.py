"""The ways of learning, each a function from chips and a recipe to a trained network.

Every stage is a `pipeline_lib.nn.training.Fit` in its own folder of the workspace, so that a recipe of many networks,
killed anywhere, goes on where it was.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from pipeline_lib.errors import InputError
from pipeline_lib.model.record import digest_of
from pipeline_lib.nn.augment import BandScale
from pipeline_lib.nn.batches import PatchSource, Sampler
from pipeline_lib.nn.border import border_weight
from pipeline_lib.nn.checkpoint import load_weights, read_tensors, write_tensors
from pipeline_lib.nn.chips import ChipSet
from pipeline_lib.nn.labels import IGNORE
from pipeline_lib.nn.networks import build_network
from pipeline_lib.nn.objectives import Supervised
from pipeline_lib.nn.odds import pooled_iou
from pipeline_lib.nn.predict import predict_odds
from pipeline_lib.nn.pretrained import load_encoder
from pipeline_lib.nn.sampling import BalancedSampler, EventSampler, UniformSampler, rng_of
from pipeline_lib.nn.split import Split, is_further
from pipeline_lib.nn.training import Fit, Objective, Report
from pipeline_lib.options.train import NetworkOptions, Recipe, ScheduleOptions

Index = NDArray[np.intp]
Labels = NDArray[np.uint8]
DONE = "done.safetensors"
LEAST_FOLDS = 2


@dataclass(frozen=True, kw_only=True)
class Session:
    """What all stages of one recipe share."""

    chips: ChipSet
    recipe: Recipe
    split: Split
    scale: BandScale
    folder: Path
    key: str
    """Digest of all that decides what is learned: recipe, chips, weights to start from, code."""
    report: Report | None = None
    device: str = "cpu"
    """Where stages are trained; the networks themselves are handed on, and predict, on the CPU."""

    @property
    def student_bands(self) -> Index:
        """Bands of the student."""
        return self.chips.band_index(self.recipe.data.bands)

    @property
    def teacher_bands(self) -> Index:
        """Bands of the teacher."""
        return self.chips.band_index(self.recipe.data.teacher_bands)

    def all_labels(self) -> Labels:
        """Labels of all chips, ``(chip, y, x)``: a copy that may be changed."""
        return np.array(self.chips.labels[:], copy=True)

    def labelled(self) -> Index:
        """Training chips whose labels may be seen: whole groups, drawn with the recipe's seed.

        No more than the share: a group that would exceed it is passed over. Where every group is larger than the
        share, the smallest is labelled.
        """
        share = self.recipe.data.labelled_share
        if share >= 1:
            return self.split.train
        members: dict[str, list[int]] = {}
        for chip in self.split.train:
            members.setdefault(self.chips.groups[chip], []).append(int(chip))
        groups = sorted(members)
        rng_of(self.recipe.seed, 0, 17).shuffle(groups)
        chosen: list[int] = []
        for group in groups:
            if len(chosen) + len(members[group]) <= share * len(self.split.train):
                chosen += members[group]
        if not chosen:
            chosen = members[min(groups, key=lambda group: len(members[group]))]
        return np.array(sorted(chosen), dtype=np.intp)

    def visible_labels(self) -> Labels:
        """Labels with everything hidden that the recipe may not see while training; validation chips keep theirs."""
        labels = self.all_labels()
        hidden = np.setdiff1d(np.arange(len(labels)), np.concatenate([self.labelled(), self.split.valid]))
        labels[hidden] = IGNORE
        share = self.recipe.data.sparse_share
        if share < 1:
            for chip in self.split.train:
                keep = rng_of(self.recipe.seed, int(chip), 23).random(labels.shape[1:]) < share
                labels[chip][~keep] = IGNORE
        return labels


def train_stage(  # noqa: PLR0913 - every stage names what it differs in
    session: Session,
    stage: str,
    *,
    labels: Labels,
    chips: Index,
    bands: Index,
    options: NetworkOptions,
    schedule: ScheduleOptions | None = None,
    objective: Objective | None = None,
    others: Index | None = None,
    maps: dict[str, NDArray[np.float32]] | None = None,
    views: dict[str, Index] | None = None,
    start: nn.Module | None = None,
    seed: int | None = None,
    judged: Callable[[nn.Module], nn.Module] | None = None,
) -> nn.Module:
    """Train one network, or load it where this stage is already done.

    Args:
        session: chips, recipe and folder.
        stage: name of the stage and of its folder.
        labels: what may be seen, ``(chip, y, x)``.
        chips: labelled chips to draw balanced patches from.
        bands: input bands.
        options: the network.
        schedule: instead of the recipe's.
        objective: instead of plain supervision.
        others: chips for the second half of each batch, drawn uniformly (unlabelled pairs).
        maps: further maps ``(chip, y, x)`` for the objective.
        views: further images of the same patch for the objective.
        start: network to start from (its weights are copied).
        seed: instead of the recipe's.
        judged: makes of the network what is validated, on the student's bands; None: the network itself.

    Returns:
        The network with its best averaged weights, ready to predict.
    """
    recipe = session.recipe
    schedule, seed = schedule or recipe.schedule, recipe.seed if seed is None else seed
    network = new_network(options, len(bands), seed)
    if start is not None:
        network.load_state_dict(start.state_dict())
    key = digest_of({"session": session.key, "stage": stage})
    done = session.folder / stage / DONE
    if done.is_file():
        saved = read_tensors(done)
        if saved.facts.get("key") == key:
            load_weights(network, saved.tensors, str(done))
            return network.eval()
    objective = objective or Supervised(recipe.loss)
    if hasattr(objective, "prepare"):
        objective.prepare(network)
    source = _source(session, schedule, seed, labels, chips, bands, others, maps or {}, views or {})
    fit = Fit(network, source, objective, schedule, seed=seed, stage=stage, key=key, device=session.device)
    validate = _validator(session, session.student_bands if judged else bands, judged)
    result = fit.run(session.folder / stage, validate, session.report)
    facts = {"key": key, "best": result.best, "best_step": result.best_step, "history": result.history}
    write_tensors(done, dict(network.state_dict()), facts)
    return network.eval()


def new_network(options: NetworkOptions, bands: int, seed: int) -> nn.Module:
    """A network with weights that follow from the seed, and pretrained encoder weights where asked for."""
    import torch  # noqa: PLC0415

    torch.manual_seed(seed)
    network = build_network(options, bands)
    if options.pretrained is not None:
        load_encoder(network, options.pretrained)
    return network


def _source(  # noqa: PLR0913
    session: Session,
    schedule: ScheduleOptions,
    seed: int,
    labels: Labels,
    chips: Index,
    bands: Index,
    others: Index | None,
    maps: dict[str, NDArray[np.float32]],
    views: dict[str, Index],
) -> PatchSource:
    unlabelled = schedule.batch // 2 if others is not None and len(others) else 0
    parts = _labelled_parts(session, schedule, labels, chips, schedule.batch - unlabelled)
    if others is not None and unlabelled:
        parts.append((UniformSampler(session.chips.size_px, others, patch_px=schedule.patch_px), unlabelled))
    every: dict[str, NDArray[np.generic]] = {"label": labels, **maps}
    if session.recipe.loss.border_weight:
        every["border"] = _border_maps(labels, chips, session.recipe.loss.border_weight)
    return PatchSource(
        images=session.chips.images,
        bands=bands,
        maps=every,
        parts=parts,
        scale=session.scale,
        options=session.recipe.augment,
        seed=seed,
        views=views,
        per_chip={"lag_days": session.chips.lag_days},
    )


def _labelled_parts(
    session: Session, schedule: ScheduleOptions, labels: Labels, chips: Index, count: int
) -> list[tuple[Sampler, int]]:
    """Samplers of ``count`` labelled patches: the recipe's data set, and the further ones where they have a share."""
    data, size, water = session.recipe.data, schedule.patch_px, schedule.water_share
    if not data.extra_share:
        return [(BalancedSampler(labels, chips, patch_px=size, water_share=water), count)]
    further = is_further(session.chips, data)[chips]
    drawn = round(count * data.extra_share)
    events = EventSampler(labels, chips[further], session.chips.events, patch_px=size, water_share=water)
    if drawn == count:
        return [(events, count)]
    return [
        (BalancedSampler(labels, chips[~further], patch_px=size, water_share=water), count - drawn),
        (events, drawn),
    ]


def _border_maps(labels: Labels, chips: Index, w0: float) -> NDArray[np.float32]:
    maps = np.ones(labels.shape, np.float32)
    for chip in chips:
        maps[chip] = border_weight(labels[chip], w0=w0)
    return maps


MOST_VALIDATION_CHIPS = 64


def _validator(
    session: Session, bands: Index, judged: Callable[[nn.Module], nn.Module] | None = None
) -> Callable[[nn.Module], float]:
    """Pooled water IoU on (at most 64 evenly spaced) validation chips."""
    valid = session.split.valid
    spaced = np.linspace(0, len(valid) - 1, min(len(valid), MOST_VALIDATION_CHIPS)).astype(int)
    chosen = valid[np.unique(spaced)]
    truth = np.stack([np.asarray(session.chips.labels[int(k)]) for k in chosen])

    def validate(network: nn.Module) -> float:
        """Pooled IoU of the validation chips."""
        seen = judged(network) if judged else network
        return pooled_iou(predict_odds([seen], session.chips.images, bands, chosen), truth)

    return validate


def deal(groups: list[str], count: int) -> Index:
    """Fold of each entry, whole groups, largest first; never more folds than groups.

    Raises:
        InputError: fewer than two groups: what learns from the others would have nothing to learn from.
    """
    if len(set(groups)) < LEAST_FOLDS:
        raise InputError(
            f"This way of learning parts its labelled training chips (those with an optical image, where it has a "
            f"teacher) in two at least; they hold {len(set(groups))} groups. Give more chips, or more labelled_share."
        )
    names = sorted(set(groups), key=lambda name: (-groups.count(name), name))
    count = min(count, len(names))
    load, of = [0] * count, {}
    for name in names:
        of[name] = load.index(min(load))
        load[of[name]] += groups.count(name)
    return np.array([of[name] for name in groups], dtype=np.intp)


def only(labels: Labels, chips: Index) -> Labels:
    """Labels of ``chips`` alone; all others ignored."""
    out = np.full_like(labels, IGNORE)
    out[chips] = labels[chips]
    return out
