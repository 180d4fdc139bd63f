"""Training: it learns, it resumes bit for bit, and it refuses what it cannot continue."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline_lib.errors import InputError, ModelError, UnknownNameError
from pipeline_lib.nn import gpu, learning
from pipeline_lib.nn.augment import BandScale
from pipeline_lib.nn.batches import Ahead
from pipeline_lib.nn.checkpoint import read_tensors, write_tensors
from pipeline_lib.nn.chips import ChipSet
from pipeline_lib.nn.learning import Session, new_network
from pipeline_lib.nn.odds import pooled_iou
from pipeline_lib.nn.predict import predict_odds
from pipeline_lib.nn.recipes import KINDS, train
from pipeline_lib.nn.sampling import UniformSampler
from pipeline_lib.nn.split import split_chips
from pipeline_lib.nn.training import Fit, FitResult, Progress, learning_rate
from pipeline_lib.options.train import DataOptions, Recipe, ScheduleOptions
from pipeline_lib.steps.training_keys import training_key

BASE = {
    "name": "small",
    "description": "test",
    "kind": "supervised",
    "units": "grey",
    "target": "flood",
    "data": {
        "bands": ["grey_before", "grey"],
        "teacher_bands": ["grey_before", "grey", "red", "green", "blue"],
        "folds": 4,
        "test_fold": 0,
    },
    "network": {"width": 4, "depth": 3},
    "schedule": {"steps": 24, "batch": 4, "patch_px": 32, "validate_every": 8, "learning_rate": 0.01, "ema": 0.8},
    "augment": {"speckle_looks": None, "gain_db": 0.5},
    "distill": {"teacher": {"width": 4, "depth": 3}, "teacher_steps": 16, "teacher_folds": 2},
    "self_train": {"rounds": 1, "members": 2, "confidence": 0.6, "tile_share": 0.1, "tile_px": 16},
}


class KilledError(Exception):
    """Stands for a kill."""


def session_of(chips: ChipSet, folder: Path, report=None, **changes) -> Session:
    merged = {
        key: {**value, **changes.pop(key)} if isinstance(changes.get(key), dict) else value
        for key, value in BASE.items()
    }
    recipe = Recipe.model_validate({**merged, **changes})
    scale = BandScale(db_per_unit=np.array([5, 5, 0, 0, 0], np.float32), optional=((2, 3, 4),))
    return Session(
        chips=chips,
        recipe=recipe,
        split=split_chips(chips, DataOptions(folds=4, test_fold=0)),
        scale=scale,
        folder=folder,
        key=training_key(recipe, chips),
        report=report,
    )


def test_killed_and_resumed_is_uninterrupted_bit_for_bit(chips, tmp_path) -> None:
    """With dropout, augmentation, averaging, best-of-validation, and the optimiser's moments in play."""
    options = {"network": {"width": 4, "depth": 3, "dropout": 0.3}}
    whole = train(session_of(chips, tmp_path / "whole", **options))

    def kill(progress: Progress) -> None:
        if progress.step == 16:
            raise KilledError

    with pytest.raises(KilledError):
        train(session_of(chips, tmp_path / "cut", report=kill, **options))
    seen: list[int] = []
    resumed = train(session_of(chips, tmp_path / "cut", report=lambda p: seen.append(p.step), **options))
    assert seen == [16, 24]  # the checkpoint of step 8 was taken up
    for name, mine in whole.state_dict().items():
        assert torch.equal(mine, resumed.state_dict()[name]), name


def test_a_finished_stage_is_not_trained_again(chips, tmp_path) -> None:
    first = train(session_of(chips, tmp_path))
    steps: list[int] = []
    second = train(session_of(chips, tmp_path, report=lambda p: steps.append(p.step)))
    assert steps == []
    assert all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


def test_a_checkpoint_of_another_recipe_is_refused(chips, tmp_path) -> None:
    train(session_of(chips, tmp_path))
    (tmp_path / "student" / "done.safetensors").unlink()
    with pytest.raises(ModelError, match="another recipe"):
        train(session_of(chips, tmp_path, seed=1))


def test_a_corrupted_checkpoint_is_named(chips, tmp_path) -> None:
    train(session_of(chips, tmp_path))
    done = tmp_path / "student" / "done.safetensors"
    done.write_bytes(done.read_bytes()[:200])
    with pytest.raises(ModelError, match="damaged"):
        train(session_of(chips, tmp_path))


def test_weights_whose_header_begins_like_a_pickle_are_read(tmp_path) -> None:
    """Header lengths are multiples of 8: of every 32 files one begins with the first byte of a pickle."""
    beginnings = set()
    for length in range(256):
        path = tmp_path / f"{length}.safetensors"
        write_tensors(path, {"w": torch.ones(2)}, {"note": "n" * length})
        beginnings.add(path.read_bytes()[0])
        assert read_tensors(path).facts == {"note": "n" * length}
    assert 0x80 in beginnings


def test_a_pickle_is_refused_without_opening_it(tmp_path) -> None:
    path = tmp_path / "weights.safetensors"
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(ModelError, match="pickle"):
        read_tensors(path)
    path.write_bytes(b"\x80\x04cos\nsystem\n")
    with pytest.raises(ModelError, match="pickle"):
        read_tensors(path)


def test_tensors_and_facts_come_back(tmp_path) -> None:
    write_tensors(tmp_path / "a.safetensors", {"x": torch.arange(6).reshape(2, 3).T}, {"step": 3, "score": 0.1})
    saved = read_tensors(tmp_path / "a.safetensors")
    assert torch.equal(saved.tensors["x"], torch.arange(6).reshape(2, 3).T)
    assert saved.facts == {"step": 3, "score": 0.1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def test_another_seed_is_another_model(chips, tmp_path) -> None:
    a, b = (train(session_of(chips, tmp_path / str(seed), seed=seed)) for seed in (0, 1))
    assert not torch.equal(next(a.parameters()), next(b.parameters()))


def test_learning_rate_warms_up_and_ends_at_nothing() -> None:
    schedule = ScheduleOptions(steps=100, learning_rate=1.0)
    rates = [learning_rate(step, schedule) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert rates[-1] < 0.01
    assert all(a >= b for a, b in pairwise(rates[10:]))


def test_early_stop_keeps_the_best(chips, tmp_path) -> None:
    scores: list[float] = []
    schedule = {"steps": 60, "validate_every": 4, "patience": 2, "learning_rate": 0.05}
    session = session_of(chips, tmp_path, report=lambda p: scores.append(p.score), schedule=schedule)
    network = train(session)
    valid = session.split.valid
    odds = predict_odds([network], chips.images, session.student_bands, valid)
    assert pooled_iou(odds, chips.labels[valid]) == pytest.approx(max(scores), abs=1e-6)


def test_a_diverging_loss_is_an_error(chips, tmp_path) -> None:
    broken = chips.images.copy()
    broken[:, 1] = np.inf
    bad = replace(chips, images=broken)
    with pytest.raises(ModelError, match="not finite"):
        train(session_of(bad, tmp_path))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_way_of_learning_beats_chance_and_leaves_the_labels_alone(kind: str, chips, tmp_path) -> None:
    labels = chips.labels.copy()
    data = {"labelled_share": 0.5} if kind == "semi_supervised" else {"sparse_share": 0.05} if kind == "sparse" else {}
    session = session_of(
        chips,
        tmp_path,
        kind=kind,
        data={**BASE["data"], **data},
        schedule={"steps": 40},
        augment={"band_dropout": 0.5 if kind == "privileged" else 0},
    )
    network = train(session)
    np.testing.assert_array_equal(chips.labels, labels)
    bands = session.teacher_bands if kind == "teacher" else session.student_bands
    test = session.split.test
    found = pooled_iou(predict_odds([network], chips.images, bands, test), labels[test])
    everything = (labels[test] == 1).sum() / (labels[test] != 255).sum()
    assert found > everything + 0.02, f"{kind}: {found:.3f} against {everything:.3f} for calling all of it flood"


def test_a_privileged_network_says_without_the_image_what_it_said_where_the_image_was_missing(chips, tmp_path) -> None:
    scores: list[float] = []
    session = session_of(chips, tmp_path, report=lambda p: scores.append(p.score), kind="privileged")
    part = train(session)
    saved = read_tensors(tmp_path / "privileged" / "done.safetensors")
    whole = new_network(session.recipe.network, len(session.teacher_bands), seed=0)
    whole.load_state_dict(saved.tensors)
    blind = chips.images.copy()
    blind[:, 2:] = np.nan
    test, valid = session.split.test, session.split.valid
    said = predict_odds([part], chips.images, session.student_bands, test)
    np.testing.assert_allclose(said, predict_odds([whole], blind, session.teacher_bands, test), atol=1e-5)
    judged = pooled_iou(predict_odds([part], chips.images, session.student_bands, valid), chips.labels[valid])
    assert max(scores) == pytest.approx(judged, abs=1e-6)


@pytest.mark.parametrize("form", ["channel_wise", "heterogeneous", "dist_intra", "soft_dice"])
def test_every_form_of_distillation_runs_and_is_reported(form: str, chips, tmp_path) -> None:
    terms: set[str] = set()
    session = session_of(
        chips,
        tmp_path,
        report=lambda p: terms.update(p.loss),
        kind="distillation",
        schedule={"steps": 8, "validate_every": 4},
        distill={**BASE["distill"], "teacher_steps": 4, form: 1.0},
    )
    train(session)
    wanted = {"channel_wise": "features", "heterogeneous": "features", "dist_intra": "dist", "soft_dice": "soft_dice"}
    assert {"logit", wanted[form]} <= terms


@pytest.mark.parametrize("everywhere", [True, False])
def test_pairs_are_drawn_uniformly_only_where_asked(everywhere: bool, chips, tmp_path, monkeypatch) -> None:
    drawn: list[int] = []
    draw = UniformSampler.draw
    monkeypatch.setattr(UniformSampler, "draw", lambda *given: drawn.append(given[1]) or draw(*given))
    options = {**BASE["distill"], "teacher_steps": 2, "everywhere": everywhere}
    schedule = {"steps": 2, "validate_every": 2}
    train(session_of(chips, tmp_path, kind="distillation", schedule=schedule, distill=options))
    assert bool(drawn) == everywhere


def test_hidden_labels_are_hidden(chips, tmp_path) -> None:
    session = session_of(chips, tmp_path, data={**BASE["data"], "labelled_share": 0.4, "sparse_share": 0.1})
    labelled, visible = session.labelled(), session.visible_labels()
    groups = {chips.groups[k] for k in labelled}
    assert 0 < len(labelled) <= 0.4 * len(session.split.train)
    assert all(chips.groups[k] not in groups for k in np.setdiff1d(session.split.train, labelled))
    assert (visible[session.split.test] == 255).all()
    assert (visible[np.setdiff1d(session.split.train, labelled)] == 255).all()
    assert (visible[labelled] != 255).mean() == pytest.approx(0.1, abs=0.02)
    np.testing.assert_array_equal(visible[session.split.valid], chips.labels[session.split.valid])


def test_where_every_group_is_larger_than_the_share_the_smallest_is_labelled(chips, tmp_path) -> None:
    session = session_of(chips, tmp_path, data={**BASE["data"], "labelled_share": 0.01})
    groups = [chips.groups[k] for k in session.split.train]
    assert len(session.labelled()) == min(groups.count(group) for group in groups)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": "distilation"}, "kind"),
        ({"shedule": {}}, "shedule"),
        ({"data": {"test_fold": 7}}, "test_fold"),
        ({"kind": "distillation", "data": {"teacher_bands": []}}, "teacher_bands"),
        ({"kind": "privileged", "data": {"bands": ["grey"], "teacher_bands": ["grey"]}}, "teacher_bands"),
        ({"kind": "fine_tune"}, "base_model"),
        ({"schedule": {"patch_px": 33}}, "patch_px"),
    ],
)
def test_a_recipe_with_a_mistake_is_refused_by_name(changes, field: str) -> None:
    with pytest.raises(ValueError, match=field):
        Recipe.model_validate({**BASE, **changes})


def test_no_labelled_pixel_is_an_input_error(chips, tmp_path) -> None:
    blank = replace(chips, labels=np.full_like(chips.labels, 255))
    with pytest.raises(InputError, match="labelled"):
        train(session_of(blank, tmp_path))


class OnMeta(Fit):
    """One step on torch's device without data: whatever was left on the CPU is an error there, as it is on a GPU."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **{**kwargs, "device": "meta"})

    def run(self, *_) -> FitResult:
        """Forward and backward, and zeros for weights."""
        source = Ahead(self.source, self.device, self.schedule.steps)
        try:
            batch = source.batch(0)
        finally:
            source.close()
        assert {value.device.type for value in batch.values()} == {"meta"}
        terms = self.objective.terms(self.network, batch, 0)
        torch.stack(list(terms.values())).sum().backward()
        for module in filter(None, (self.trained, self.frozen)):
            module.to_empty(device="cpu")
            for value in module.state_dict().values():
                value.zero_()
        return FitResult(None, 0, 1, [])


FORMS = [
    *((kind, {}) for kind in sorted(KINDS)),
    *(("distillation", {form: 1.0}) for form in ("channel_wise", "heterogeneous")),
]


@pytest.mark.parametrize(("kind", "form"), FORMS)
def test_whatever_takes_part_in_a_step_is_on_the_device(kind: str, form: dict, chips, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(learning, "Fit", OnMeta)
    options = {**BASE["distill"], "teacher_steps": 2, **form}
    data = {"labelled_share": 0.5} if kind == "semi_supervised" else {}
    losses = {"cross_entropy": 1, "dice": 1, "focal": 1, "border_weight": 5}
    train(session_of(chips, tmp_path, kind=kind, distill=options, data={**BASE["data"], **data}, loss=losses))


def test_batches_made_ahead_are_those_that_are_asked_for() -> None:
    class Counting:
        """A source that says what it was asked for."""

        def __init__(self) -> None:
            self.asked = []

        def batch(self, step):
            """The step itself."""
            self.asked.append(step)
            return {"image": torch.full((1,), float(step))}

    source = Counting()
    ahead = Ahead(source, "cpu", steps=9)
    steps = [0, 1, 2, 7, 8]
    assert [int(ahead.batch(step)["image"]) for step in steps] == steps
    ahead.close()
    assert source.asked == [0, 1, 2, 3, 7, 8]  # none twice, none beyond the end; 3 came ahead of the leap


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_way_of_learning_runs_on_a_gpu(kind: str, chips, tmp_path) -> None:
    data = {"labelled_share": 0.5} if kind == "semi_supervised" else {}
    changes = {"kind": kind, "data": {**BASE["data"], **data}, "schedule": {"steps": 40}}
    session = replace(session_of(chips, tmp_path, **changes), device="cuda")
    network = train(session)
    assert next(network.parameters()).device.type == "cpu"
    bands = session.teacher_bands if kind == "teacher" else session.student_bands
    assert np.isfinite(predict_odds([network], chips.images, bands, session.split.test)).any()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_training_on_a_gpu_ends_where_training_on_the_cpu_does(chips, tmp_path) -> None:
    scores = {}
    for device in ("cpu", "cuda"):
        session = replace(session_of(chips, tmp_path / device, schedule={"steps": 40}), device=device)
        odds = predict_odds([train(session)], chips.images, session.student_bands, session.split.test)
        scores[device] = pooled_iou(odds, chips.labels[session.split.test])
    assert scores["cuda"] == pytest.approx(scores["cpu"], abs=0.05)


def test_the_device_is_the_gpu_where_there_is_one(monkeypatch) -> None:
    monkeypatch.setattr(gpu, "cuda_devices", lambda: 0)
    assert (gpu.training_device("auto"), gpu.training_device("cpu")) == ("cpu", "cpu")
    with pytest.raises(ModelError, match="CUDA"):
        gpu.training_device("cuda")
    with pytest.raises(UnknownNameError, match="tpu"):
        gpu.training_device("tpu")
    monkeypatch.setattr(gpu, "cuda_devices", lambda: 2)
    assert (gpu.training_device("auto"), gpu.training_device("cpu"), gpu.training_device("cuda")) == (
        "cuda",
        "cpu",
        "cuda",
    )
