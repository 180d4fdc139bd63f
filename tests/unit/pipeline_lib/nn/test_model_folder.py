"""The model format: what is written comes back, and what was tampered with is refused."""

import json
import shutil

import numpy as np
import pystac
import pytest
import torch

from pipeline_lib.content import digest_of_file
from pipeline_lib.errors import ModelError
from pipeline_lib.nn.checkpoint import write_tensors
from pipeline_lib.nn.model_card import BandRange
from pipeline_lib.nn.model_folder import CARD, ONNX, WEIGHTS, load_model, shipped_models
from pipeline_lib.nn.model_writer import rewrite_card
from pipeline_lib.nn.out_of_range import band_ranges, out_of_range


@pytest.fixture
def model(tmp_path, make_model):
    return make_model(tmp_path / "m")


def test_weights_and_card_come_back(model) -> None:
    again = load_model(model.folder)
    assert again.card == model.card
    image = torch.randn(1, 2, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(again.network()(image), model.network()(image))
    assert "A small model" in (model.folder / "README.md").read_text()


def test_stac_item_is_valid_and_names_every_file(tmp_path, make_model) -> None:
    model = make_model(tmp_path / "m", onnx=True)
    document = json.loads((model.folder / "item.json").read_text())
    item = pystac.Item.from_dict(document)
    assert item.properties["mlm:framework"] == "pytorch"
    assert item.properties["mlm:input"][0]["input"]["shape"][1] == 2
    for name in (WEIGHTS, ONNX):
        asset = document["assets"][name]
        assert asset["file:size"] == (model.folder / name).stat().st_size
        assert asset["file:checksum"] == "1220" + digest_of_file(model.folder / name)
        assert "mlm:model" in asset["roles"]


@pytest.mark.parametrize("name", [WEIGHTS, ONNX])
def test_a_changed_file_is_refused(small_model, tmp_path, name: str) -> None:
    model = load_model(shutil.copytree(small_model.folder, tmp_path / "copy"))
    path = model.folder / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ModelError, match="SHA-256"):
        load_model(model.folder)


def test_a_pickle_posing_as_weights_is_refused_even_with_a_right_digest(model, tmp_path) -> None:
    torch.save({"weight": torch.zeros(1)}, model.folder / WEIGHTS)
    card = json.loads((model.folder / CARD).read_text())
    card["digests"][WEIGHTS] = digest_of_file(model.folder / WEIGHTS)
    (model.folder / CARD).write_text(json.dumps(card))
    with pytest.raises(ModelError, match="pickle"):
        load_model(model.folder)
    loose = tmp_path / "model.pt"
    torch.save({}, loose)
    with pytest.raises(ModelError, match="pickle"):
        load_model(loose)


def test_weights_of_another_architecture_are_refused(model, make_model) -> None:
    other = make_model(model.folder.parent / "other", width=8)
    (model.folder / WEIGHTS).write_bytes((other.folder / WEIGHTS).read_bytes())
    changed = rewrite_card(model)
    with pytest.raises(ModelError, match="another architecture"):
        changed.network()


@pytest.mark.parametrize("name", [WEIGHTS, CARD])
def test_a_missing_file_is_named(model, name: str) -> None:
    (model.folder / name).unlink()
    with pytest.raises(ModelError, match=name.replace(".", r"\.")):
        load_model(model.folder)


def test_a_card_without_weights_or_with_unknown_fields_is_refused(model) -> None:
    card = json.loads((model.folder / CARD).read_text())
    (model.folder / CARD).write_text(json.dumps({**card, "digests": {}}))
    with pytest.raises(ModelError, match="lists no"):
        load_model(model.folder)
    (model.folder / CARD).write_text(json.dumps({**card, "run_this": "rm"}))
    with pytest.raises(ModelError, match="damaged"):
        load_model(model.folder)


def test_truncated_safetensors_are_refused(model) -> None:
    write_tensors(model.folder / WEIGHTS, {"a": torch.zeros(3)})
    content = (model.folder / WEIGHTS).read_bytes()
    (model.folder / WEIGHTS).write_bytes(content[: len(content) // 2])
    changed = rewrite_card(model)
    with pytest.raises(ModelError, match="damaged"):
        changed.network()


def test_another_folder_is_never_overwritten(tmp_path, make_model) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(Exception, match="not a model folder"):
        make_model(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_every_shipped_model_is_whole_and_small() -> None:
    total = 0
    for name, folder in shipped_models().items():
        model = load_model(name)
        assert model.card.name == name
        assert model.card.metrics
        assert model.card.data
        model.network()
        total += sum(path.stat().st_size for path in folder.iterdir())
    assert total <= 15e6


def test_ranges_hold_what_was_trained_on_and_warn_of_what_was_not(chips, model) -> None:
    index = np.array([0, 1])
    card = model.card.model_copy(update={"ranges": band_ranges(chips, index, np.arange(12))})
    for k in range(12, 16):
        assert out_of_range(np.asarray(chips.images[k], np.float32)[index], card) == ()
    shifted = np.asarray(chips.images[0], np.float32)[index] + 4
    assert any("mean" in sentence for sentence in out_of_range(shifted, card))
    flat = np.full((2, 64, 64), 0.4, np.float32)
    assert any("spread" in sentence for sentence in out_of_range(flat, card))
    nothing = np.full((2, 64, 64), np.nan, np.float32)
    assert out_of_range(nothing, card) == ()
    assert isinstance(card.ranges[0], BandRange)
