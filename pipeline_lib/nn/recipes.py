"""One function per way of learning; `train` picks it by the recipe's kind."""

from collections.abc import Callable
from functools import partial
from typing import TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray
from torch import nn

from pipeline_lib.nn.labels import IGNORE
from pipeline_lib.nn.learning import Index, Labels, Session, deal, new_network, only, train_stage
from pipeline_lib.nn.objectives import Distillation, Sparse, Unpaired
from pipeline_lib.nn.odds import sigmoid
from pipeline_lib.nn.predict import predict_odds
from pipeline_lib.nn.pseudo_label import (
    changed_share,
    confident_labels,
    first_weak_labels,
    from_tiles,
    to_tiles,
    weak_labels,
)
from pipeline_lib.nn.training import Objective

Odds = NDArray[np.float32]
TWO_VIEWS = (0, 3)
SETTLED = 0.01
"""Weak rounds stop when fewer than this share of pseudo labels changes."""


class StageExtras(TypedDict, total=False):
    """What a stage of the student may differ in; `pipeline_lib.nn.learning.train_stage` says what each means."""

    objective: Objective
    others: Index | None
    maps: dict[str, NDArray[np.float32]]
    views: dict[str, Index]
    start: nn.Module | None
    seed: int | None


def train(session: Session, start: nn.Module | None = None) -> nn.Module:
    """Learn as the recipe says; return the student.

    Args:
        session: chips, split, recipe, folder.
        start: the base model's network, for fine-tuning.
    """
    if session.recipe.kind == "fine_tune":
        return _student(session, "student", session.visible_labels(), session.labelled(), start=start)
    return KINDS[session.recipe.kind](session)


def _student(session: Session, stage: str, labels: Labels, chips: Index, **others: Unpack[StageExtras]) -> nn.Module:
    """A stage of the student's network on the student's bands; supervised unless ``others`` says otherwise."""
    options = session.recipe.network
    return train_stage(
        session, stage, labels=labels, chips=chips, bands=session.student_bands, options=options, **others
    )


def _teacher(session: Session, stage: str, chips: Index, seed: int | None = None) -> nn.Module:
    """A supervised stage of the teacher's network on the teacher's bands."""
    options = session.recipe.distill
    return train_stage(
        session,
        stage,
        labels=session.visible_labels(),
        chips=chips,
        bands=session.teacher_bands,
        options=options.teacher,
        schedule=session.recipe.schedule.model_copy(update={"steps": options.teacher_steps}),
        seed=seed,
    )


def supervised(session: Session) -> nn.Module:
    """Labels alone."""
    return _student(session, "student", session.visible_labels(), session.labelled())


def teacher_only(session: Session) -> nn.Module:
    """The teacher itself, by the same labels: the row of the table that bounds what distillation can give."""
    return _teacher(session, "teacher", session.labelled())


def sparse(session: Session) -> nn.Module:
    """A small share of labelled pixels, with FESTA."""
    objective = Sparse(session.recipe.loss, session.recipe.sparse, session.recipe.seed)
    return _student(session, "student", session.visible_labels(), session.labelled(), objective=objective)


def weak(session: Session) -> nn.Module:
    """Image-level labels: every pixel its tile's label, then rounds of pseudo labels held to the tags.

    The tags are those of the chips where the set has them; where it has pixel labels they are reduced to one bit a
    tile (`Session` shows the training nothing else) and validation alone sees pixels.
    """
    options = session.recipe.self_train
    tags, tile = tile_tags(session)
    shape = session.chips.labels.shape
    labels = from_tiles(first_weak_labels((len(tags), tile, tile), tags), shape, tile)
    train_chips = session.split.train
    network = _student(session, "round0", only(labels, train_chips), train_chips)
    for number in range(1, options.rounds + 1):
        odds = predict_odds([network], session.chips.images, session.student_bands, train_chips, views=TWO_VIEWS)
        probability = to_tiles(sigmoid(odds), tile)
        mine = tags.reshape(shape[0], -1)[train_chips].ravel()
        better = np.full(shape, IGNORE, np.uint8)
        better[train_chips] = from_tiles(weak_labels(probability, mine, options), (len(train_chips), *shape[1:]), tile)
        moved = changed_share(labels[train_chips], better[train_chips])
        labels = better
        network = _student(session, f"round{number}", labels, train_chips, start=network)
        if moved < SETTLED:
            break
    return network


def tile_tags(session: Session) -> tuple[NDArray[np.bool_], int]:
    """Tags of tiles, ``(chip * tiles,)``, and the tile's side: the chips' own, or from the labels of 64 px tiles."""
    chips = session.chips
    if (chips.tags[session.split.train] != IGNORE).all():
        return chips.tags == 1, chips.size_px[0]
    tile = session.recipe.self_train.tile_px
    tiles = to_tiles(session.all_labels(), tile)
    water = (tiles == 1).sum(axis=(1, 2)) / np.maximum((tiles != IGNORE).sum(axis=(1, 2)), 1)
    return water >= session.recipe.self_train.tag_share, tile


def semi_supervised(session: Session) -> nn.Module:
    """Few labelled chips; an ensemble labels the others; chips that pass the gate join (Paul & Ganju 2021)."""
    options = session.recipe.self_train
    labels, labelled = session.visible_labels(), session.labelled()
    unlabelled = np.setdiff1d(session.split.train, labelled)
    members = [
        _student(session, f"member{k}", labels, labelled, seed=session.recipe.seed * 101 + k)
        for k in range(options.members)
    ]
    if len(unlabelled) == 0:
        return members[0]
    student = members[0]
    for number in range(1, options.rounds + 1):
        odds = predict_odds(members, session.chips.images, session.student_bands, unlabelled, views=TWO_VIEWS)
        pseudo, used = confident_labels(sigmoid(odds), options)
        joined = labels.copy()
        joined[unlabelled[used]] = pseudo[used]
        chips = np.sort(np.concatenate([labelled, unlabelled[used]]))
        student = _student(session, f"round{number}", joined, chips, start=student)
        members = [*members[: options.members], student]
    return student


def distillation(session: Session) -> nn.Module:
    """Out-of-fold teachers with optical eyes label every pair; the SAR-only student learns from both."""
    recipe, options = session.recipe, session.recipe.distill
    odds, teachers = teacher_odds(session)
    feature_teacher = teachers[0] if options.heterogeneous or options.channel_wise else None
    objective = Distillation(recipe.loss, options, recipe.schedule.steps, feature_teacher)
    pairs = session.split.train[np.isfinite(odds[session.split.train]).any(axis=(1, 2))]
    maps = {"teacher_odds": odds}
    clear = _clear(session)
    if clear is not None:
        maps["clear"] = clear
    return _student(
        session,
        "student",
        session.visible_labels(),
        session.labelled(),
        objective=objective,
        others=pairs if options.everywhere else None,
        maps=maps,
        views={"teacher": session.teacher_bands} if feature_teacher is not None else {},
    )


def privileged(session: Session) -> nn.Module:
    """One network that sees the optical image in some of its patches, cut down to its radar bands afterwards.

    `AugmentOptions.band_dropout` is the share of patches without the image: zero there, as what is not observed is, so
    that leaving its channels out of the first layer changes nothing. There is no second training.

    References: Vapnik & Vashist 2009 (learning using privileged information).
    """
    network = train_stage(
        session,
        "privileged",
        labels=session.visible_labels(),
        chips=session.labelled(),
        bands=session.teacher_bands,
        options=session.recipe.network,
        judged=partial(_radar_part, session),
    )
    return _radar_part(session, network)


def _radar_part(session: Session, network: nn.Module) -> nn.Module:
    """The network of the student's bands alone that says what ``network`` says when it sees no other band."""
    kept = [session.teacher_bands.tolist().index(band) for band in session.student_bands]
    part = new_network(session.recipe.network, len(kept), session.recipe.seed).eval()
    weights, own = network.state_dict(), part.state_dict()
    part.load_state_dict({name: w if w.shape == own[name].shape else w[:, kept] for name, w in weights.items()})
    return part


def teacher_odds(session: Session) -> tuple[Odds, list[nn.Module]]:
    """Log-odds of teachers for all training chips with optical bands, each from teachers that did not see it.

    Labelled groups (or chips, `DistillOptions.fold_by`) are dealt into folds; the teacher of fold k learns from the
    others and labels fold k. Unlabelled chips get the mean of all teachers.
    """
    labelled = _with_optical(session, session.labelled())
    options, chips = session.recipe.distill, session.chips
    kept = chips.groups if options.fold_by == "group" else chips.chip_ids
    folds = deal([kept[k] for k in labelled], options.teacher_folds)
    odds = np.full(session.chips.labels.shape, np.nan, np.float32)
    bands = session.teacher_bands
    teachers = []
    for fold in range(int(folds.max()) + 1):
        seen, held = labelled[folds != fold], labelled[folds == fold]
        teacher = _teacher(session, f"teacher{fold}", seen, session.recipe.seed * 101 + fold)
        odds[held] = predict_odds([teacher], session.chips.images, bands, held, views=TWO_VIEWS)
        teachers.append(teacher)
    rest = np.setdiff1d(_with_optical(session, session.split.train), labelled)
    if len(rest):
        odds[rest] = predict_odds(teachers, session.chips.images, bands, rest, views=TWO_VIEWS)
    return odds, teachers


def unpaired(session: Session) -> nn.Module:
    """Optical images and radar images of different places: half of the groups gives each.

    A teacher learns on the optical half (with its labels). The radar net sees the other half without labels, with the
    chips' label prior where one exists, and is aligned to the teacher by class prototypes and on its water maps.
    """
    side = deal([session.chips.groups[k] for k in session.split.train], 2)
    optical_half = _with_optical(session, session.split.train[side == 0])
    radar_half = session.split.train[side == 1]
    teacher = _teacher(session, "optical", optical_half)
    return _student(
        session,
        "student",
        only(dark_prior(session), radar_half),
        radar_half,
        objective=Unpaired(session.recipe.loss, teacher),
        others=optical_half,
        views={"teacher": session.teacher_bands},
    )


def dark_prior(session: Session) -> Labels:
    """Labels that physics alone gives a radar image: its darkest tenth is water, its brighter half dry, else unknown.

    The label prior for radar chips that nobody has labelled. Ranks are taken within the chip, on the last radar band
    of the student (the one after the event).
    """
    band = int(session.student_bands[-1])
    labels = np.full(session.chips.labels.shape, IGNORE, np.uint8)
    for chip in session.split.train:
        image = np.asarray(session.chips.images[int(chip)])[band]
        seen = np.isfinite(image)
        if not seen.any():
            continue
        dark, middle = np.quantile(image[seen], (0.1, 0.5))
        labels[chip][seen & (image <= dark)] = 1
        labels[chip][seen & (image > middle)] = 0
    return labels


def _with_optical(session: Session, chips: Index) -> Index:
    """Chips whose teacher-only bands hold any data."""
    own = [b for b in session.teacher_bands if b not in set(session.student_bands.tolist())]
    if not own:
        return chips
    has = [bool(np.isfinite(np.asarray(session.chips.images[int(k)])[own]).any()) for k in chips]
    return np.asarray(chips[np.array(has, dtype=bool)], dtype=np.intp)


def _clear(session: Session) -> NDArray[np.float32] | None:
    """1 where the optical bands are observed, which they are not under cloud; None where no chip marks cloud."""
    own = [int(b) for b in session.teacher_bands if b not in set(session.student_bands.tolist())]
    if not own or session.chips.provenance.get("cloud_masked") is not True:
        return None
    chips = session.chips
    seen = [np.isfinite(np.asarray(chips.images[k])[own]).all(axis=0) for k in range(len(chips))]
    return np.stack(seen).astype(np.float32)


KINDS: dict[str, Callable[[Session], nn.Module]] = {
    "supervised": supervised,
    "synthetic": supervised,
    "teacher": teacher_only,
    "sparse": sparse,
    "weak": weak,
    "semi_supervised": semi_supervised,
    "distillation": distillation,
    "privileged": privileged,
    "unpaired": unpaired,
}
