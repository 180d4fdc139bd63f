"""Trained models scored on folders of a set's layout: what they need of the chips, and teachers with optical eyes."""

import shutil

import numpy as np
import pytest
import torch

from pipeline_lib.datasets import read_dataset
from pipeline_lib.errors import InputError, ModelError
from pipeline_lib.evaluate import confusion
from pipeline_lib.nn.batches import fill
from pipeline_lib.nn.inputs import grey_contract
from pipeline_lib.nn.model_card import ModelCard
from pipeline_lib.nn.model_folder import WEIGHTS, load_model
from pipeline_lib.nn.model_writer import write_model
from pipeline_lib.nn.networks import build_network, coarsest_stride, halo_px
from pipeline_lib.nn.segmenter import Segmenter
from pipeline_lib.options.evaluate import EvaluateOptions
from pipeline_lib.options.train import NetworkOptions
from pipeline_lib.steps.evaluate import evaluate
from pipeline_lib.steps.models import compare_models
from pipeline_lib.steps.training_chips import chip_image

TEACHER = ("grey_before", "grey", "red", "green", "blue", "red_blue", "green_blue")


def written(folder, *, teacher_bands=()):
    contract, options = grey_contract(before=True), NetworkOptions(width=4, depth=2, head_width=8)
    torch.manual_seed(5)
    channels = len(teacher_bands) or len(contract.bands)
    network = build_network(options, channels)
    card = ModelCard(
        name="grey",
        description="A small model for tests.",
        target="flood",
        inputs=contract,
        network=options,
        halo_px=halo_px(network, channels),
        stride_px=coarsest_stride(network),
        teacher_bands=teacher_bands,
    )
    return write_model(folder, network, card, onnx=False)


@pytest.fixture(scope="module")
def root(recipes, tmp_path_factory):
    return recipes.ombria(tmp_path_factory.mktemp("set"), events=1, size=50)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return written(tmp_path_factory.mktemp("models") / "teacher", teacher_bands=TEACHER)


def scored(root, model):
    return evaluate(EvaluateOptions(dataset="ombria", root=root, model=model.folder, resamples=50))


def test_a_teacher_is_scored_with_the_optical_images(teacher, root):
    evaluation = scored(root, teacher)
    assert evaluation.subject.weights_digest == teacher.card.digests[WEIGHTS]
    network = teacher.network()
    for chip, row in zip(read_dataset("ombria", root), evaluation.chips, strict=True):
        image = torch.from_numpy(fill(chip_image(chip, teacher.card.inputs, TEACHER)))
        assert image.shape == (7, 50, 50)
        padded = torch.nn.functional.pad(image, (0, -50 % teacher.card.stride_px, 0, -50 % teacher.card.stride_px))
        with torch.inference_mode():
            logits = network(padded[None])[0, :, :50, :50].numpy()
        expected = confusion((logits[1] >= logits[0]).astype(np.uint8), chip.truth())
        assert row.scores.confusion == expected
        assert expected.ignored == 0


def test_a_teacher_on_chips_without_optical_images(teacher, root, tmp_path):
    some = tmp_path / "some"
    shutil.copytree(root, some)
    optical = sorted(some.rglob("S2_after_*.png"))
    optical[0].unlink()
    assert f"1 of {len(optical)} chips have no optical image" in scored(some, teacher).notes[-1]
    shutil.rmtree(some / "OmbriaS2")
    with pytest.raises(InputError, match="no chip has such an optical image"):
        scored(some, teacher)


def test_a_teacher_does_not_map(teacher):
    assert load_model(teacher.folder).card.bands == TEACHER
    with pytest.raises(ModelError, match="map with its student"):
        Segmenter.load(teacher.folder, "cpu")


def test_no_other_model_answers_for_one_that_lacks_the_image_before(root, tmp_path):
    """The learned detector has another model for passes without references; its score is not the named model's."""
    model = written(tmp_path / "model")
    assert scored(root, model).reference.chips == 6
    half = tmp_path / "half"
    shutil.copytree(root, half)
    next(half.rglob("S1_before_*.png")).unlink()
    for score in (lambda: scored(half, model), lambda: compare_models([str(model.folder)], "ombria", half)):
        with pytest.raises(InputError, match=r"1 of 6 chips have no image of it \(t[a-z]+/000\d\)"):
            score()
