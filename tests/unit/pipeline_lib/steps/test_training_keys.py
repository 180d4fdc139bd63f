"""Every input of chip stores and checkpoints, changed one by one; as `test_keys` does for the datasets of the store."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from walking import changed, leaves

from pipeline_lib.nn.checkpoint import read_tensors, write_tensors
from pipeline_lib.nn.chips import ChipSet, LabelledChip, open_chips, write_chips
from pipeline_lib.nn.model_folder import WEIGHTS, load_model
from pipeline_lib.nn.model_writer import rewrite_card
from pipeline_lib.options.train import DataOptions, DistillOptions, NetworkOptions, Recipe
from pipeline_lib.steps.training_chips import build_chips
from pipeline_lib.steps.training_keys import chips_key, training_key

RECIPE = Recipe(name="r", description="of tests", kind="supervised", data=DataOptions(dataset="world"))
SPLIT_ONLY = {"labelled_share", "sparse_share", "folds", "test_fold", "train_events", "held_events"} | {
    "extra_share",
    "left_out",
}
FOR_PEOPLE = {"name", "description", "threshold"}
BY_CONTENT = {"network.pretrained", "distill.teacher.pretrained", "base_model"}
NEEDS = {"kind": "weak"}
"""Other values where not any will do."""


def test_every_field_of_a_recipe_that_makes_chips_changes_their_key_and_no_other():
    plain = chips_key(RECIPE, None)
    for path in leaves(RECIPE):
        made = chips_key(changed(RECIPE, path, NEEDS.get(path)), None)
        decides = path in {"units", "target"} or (path.startswith("data.") and path[5:] not in SPLIT_ONLY)
        assert (made != plain) == decides, path


def test_every_field_of_a_recipe_changes_its_checkpoints_but_for_what_people_read(chips_of):
    chips = chips_of()
    plain = training_key(RECIPE, chips)
    for path in leaves(RECIPE):
        if path not in BY_CONTENT:
            made = training_key(changed(RECIPE, path, NEEDS.get(path)), chips)
            assert (made == plain) == (path in FOR_PEOPLE), path


@pytest.fixture
def chips_of(tmp_path):
    """Chip stores, each written anew in a folder of its own."""

    def write(**changes: Any) -> ChipSet:
        rng = np.random.default_rng(5)
        facts = {"tag": 1, "lag_days": 1.0, **{key: value for key, value in changes.items() if key != "add"}}
        bands = facts.pop("bands", ("a", "b"))
        provenance = facts.pop("provenance", {"dataset": "made up"})
        chips = []
        for k in range(2):
            image, label = rng.normal(size=(2, 32, 32)).astype(np.float32), rng.integers(0, 2, (32, 32), np.uint8)
            one = {"chip_id": f"c{k}", "group": f"g{k}", "event": f"e{k}", "image": image, "label": label, **facts}
            chips.append(LabelledChip(**one))
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}.zarr"
        write_chips(folder, chips, bands, provenance)
        return open_chips(folder)

    return write


def test_chips_count_by_content(chips_of, tmp_path):
    plain = training_key(RECIPE, chips_of())
    assert training_key(RECIPE, chips_of()) == plain
    assert training_key(RECIPE, open_chips(tmp_path / "0.zarr", in_memory=True)) == plain
    others = {
        "chip_id": "x", "group": "x", "event": "x", "tag": 0, "lag_days": 2.0, "source": "x",
        "image": np.zeros((2, 32, 32), np.float32), "label": np.zeros((32, 32), np.uint8),
    }  # fmt: skip
    assert set(others) == set(LabelledChip.__dataclass_fields__)
    others |= {"bands": ("a", "c"), "provenance": {"dataset": "other"}}
    stored = {"images", "labels", "tags", "lag_days", "bands", "chip_ids", "groups", "events", "sources", "provenance"}
    assert stored == set(ChipSet.__dataclass_fields__), "let the digest hold the new field, and change it here"
    found = [training_key(RECIPE, chips_of(**{name: value})) for name, value in others.items()]
    assert len({plain, *found}) == len(others) + 1


def test_weights_to_start_from_count_by_content(chips_of, tmp_path):
    chips = chips_of()
    shutil.copytree(load_model("shipped_post_event").folder, tmp_path / "base")

    def key() -> str:
        return training_key(RECIPE.model_copy(update={"base_model": str(tmp_path / "base")}), chips)

    first = key()
    shutil.move(tmp_path / "base", tmp_path / "moved")
    shutil.copytree(tmp_path / "moved", tmp_path / "base")
    assert key() == first != training_key(RECIPE, chips)
    model = load_model(tmp_path / "base")
    saved = read_tensors(tmp_path / "base" / WEIGHTS)
    write_tensors(tmp_path / "base" / WEIGHTS, {name: value * 0 for name, value in saved.tensors.items()}, saved.facts)
    rewrite_card(model)
    assert key() != first


@pytest.mark.parametrize("part", ["network", "teacher"])
def test_pretrained_weights_count_by_content_and_those_of_a_library_by_name(part, chips_of, tmp_path):
    chips = chips_of()

    def key(source: str) -> str:
        network = NetworkOptions(pretrained=source)
        given = {"network": network} if part == "network" else {"distill": DistillOptions(teacher=network)}
        return training_key(RECIPE.model_copy(update=given), chips)

    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"weights")
    same = key(str(tmp_path / "a"))
    assert key(str(tmp_path / "b")) == same
    (tmp_path / "b").write_bytes(b"others")
    assert len({same, key(str(tmp_path / "b")), key("timm:resnet18"), key("timm:resnet34")}) == 4


def ombria(folder: Path, seed: int = 0) -> Path:
    """A data set of two chips in OMBRIA's layout."""
    rng = np.random.default_rng(seed)
    for name in ("S1/AFTER", "S1/BEFORE", "S1/MASK"):
        place = folder / "OmbriaS1" / "train" / name.partition("/")[2]
        place.mkdir(parents=True)
        for k in range(2):
            values = rng.integers(0, 256, (64, 64), np.uint8)
            pixels = (values > 128).astype(np.uint8) * 255 if "MASK" in name else values
            Image.fromarray(pixels).save(place / f"S1_{name.partition('/')[2].lower()}_000{k}.png")
    return folder


def test_data_sets_count_by_the_content_of_their_files_wherever_they_lie(tmp_path):
    recipe = RECIPE.model_copy(
        update={"data": DataOptions(dataset="ombria", bands=("grey_before", "grey")), "units": "grey"}
    )
    one, two = ombria(tmp_path / "one"), ombria(tmp_path / "deep" / "two")
    first = chips_key(recipe, one)
    assert chips_key(recipe, two) == first
    made = build_chips(recipe, one, tmp_path / "chips")
    files = sorted(two.rglob("*.png"))
    for file in files:
        shutil.rmtree(two)
        ombria(two)
        pixels = np.asarray(Image.open(file))[::-1]
        Image.fromarray(np.ascontiguousarray(pixels)).save(file)
        assert chips_key(recipe, two) != first, file
    again = build_chips(recipe, two, tmp_path / "chips")
    assert again.digest != made.digest
    assert len(list((tmp_path / "chips").iterdir())) == 2
