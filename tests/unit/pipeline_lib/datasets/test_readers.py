"""Readers on fake folders with real names, and on the real sets where they are."""

import json
import shutil
from collections import Counter

import numpy as np
import pytest
import rasterio
from PIL import Image

from pipeline_lib.datasets import DATASETS, Band, Layer, Meaning, Unit, read_dataset
from pipeline_lib.datasets.chip import Label, Stretch
from pipeline_lib.errors import InputError, RasterError, UnknownNameError
from pipeline_lib.model import check_scene


def by_id(chips):
    return {chip.chip_id: chip for chip in chips}


def test_sen1floods11(recipes, tmp_path):
    chips = by_id(read_dataset("sen1floods11", recipes.sen1floods11(tmp_path)))
    assert {name: chip.split for name, chip in chips.items()} == {
        "Bolivia_312675": "bolivia",
        "Ghana_53713": "test",
        "India_900498": "train",
        "Paraguay_34417": "test",
        "USA_905409": "test",
    }
    usa = chips["USA_905409"]
    assert (usa.event, usa.meaning, usa.pixel_m) == ("USA", Meaning.ALL_WATER, 10.0)
    assert check_scene(usa.sar.scene())
    stored = usa.sar.read()["vv"]
    np.testing.assert_allclose(10 * np.log10(usa.sar.scene()["vv"]), stored, rtol=1e-5)
    assert set(np.unique(usa.truth())) == {0, 1}
    assert (chips["Paraguay_34417"].truth() == 255).all()
    assert usa.optical.read()["B8A"].shape == usa.truth().shape
    assert chips["India_900498"].optical is None


def test_one_split_alone_and_a_split_that_is_not_there(recipes, tmp_path):
    root = recipes.sen1floods11(tmp_path)
    assert {chip.chip_id for chip in read_dataset("sen1floods11", root, "train")} == {"India_900498"}
    for name in ("USA_905409", "Ghana_53713", "Paraguay_34417", "Bolivia_312675"):
        (root / "S1Hand" / f"{name}_S1Hand.tif").unlink()
    assert len(read_dataset("sen1floods11", root)) == 1
    with pytest.raises(InputError, match="no chip of split 'test'; it holds: train"):
        read_dataset("sen1floods11", root, "test")


def test_without_split_lists_every_split_is_all_there_is(recipes, tmp_path):
    root = recipes.sen1floods11(tmp_path)
    shutil.rmtree(root / "meta")
    assert len(read_dataset("sen1floods11", root, "test")) == 4


def test_etci_fill_is_no_data_but_bright_targets_are_data(recipes, tmp_path):
    chips = by_id(read_dataset("etci2021", recipes.etci2021(tmp_path)))
    filled = chips["northal_20190302t234651_x-11_y-11"].truth()
    assert (filled[:, :32] == 255).all()
    assert (filled[:, 32:] != 255).all()


def test_etci_dry_scene_is_aligned_and_its_rolled_in_edge_left_out(recipes, tmp_path):
    chips = by_id(read_dataset("etci2021", recipes.etci2021(tmp_path)))
    twin = chips["northal_20190302t234651_x-10_y-10"].sar_before
    seen = twin.observed()
    assert not seen[-7:].any()
    assert not seen[:, :7].any()
    assert seen[:-7, 7:].all()
    vv, water = twin.read()["vv"], recipes.lake(64, 3)
    assert vv[water].mean() < 115 < vv[recipes.lake(64, 8) & ~water].mean()
    assert chips["northal_20190302t234651_x-11_y-10"].sar_before is None


def test_etci_weak_labels(recipes, tmp_path):
    chips = by_id(read_dataset("etci2021", recipes.etci2021(tmp_path)))
    weak = chips["northal_20190630t234655_x-10_y-10"]
    assert weak.image_label is True
    assert weak.group == chips["northal_20190302t234651_x-10_y-10"].group
    with pytest.raises(RasterError, match="image-level"):
        weak.truth()


def test_cems_black_is_neither_image_nor_label(recipes, tmp_path):
    (chip,) = read_dataset("cems", recipes.cems_rcnn(tmp_path))
    truth = chip.truth()
    assert (truth[60:] == 255).all()
    assert (truth[:60, :60] != 255).all()
    assert (truth[:60, :60] == 1).sum() > 500
    assert chip.meaning is Meaning.FLOOD
    assert np.isnan(chip.sar.scene()["vv"].to_numpy()[100, 100])


def test_chips_by_band_description_and_guessed_unit(recipes, tmp_path):
    (chip,) = read_dataset("chips", recipes.chips(tmp_path), "test")
    assert chip.sar.unit is Unit.LINEAR
    scene = chip.sar.scene()
    assert float(scene["vv"].median()) > float(scene["vh"].median())
    assert (chip.truth() == 1).sum() == recipes.lake(64, 15).sum()


def test_chips_facts_overrule_guesses(recipes, tmp_path):
    root = recipes.chips(tmp_path)
    (root / "chips.json").write_text(
        json.dumps({"unit": "dB", "water": [0], "dry": [1], "meaning": "flood only", "pixel_m": 20})
    )
    chip = read_dataset("chips", root, "test")[0]
    assert (chip.sar.unit, chip.meaning, chip.pixel_m) == (Unit.DECIBEL, Meaning.FLOOD, 20)
    assert (chip.truth() == 0).sum() == recipes.lake(64, 15).sum()


@pytest.mark.parametrize("text", ['{"units": "dB"}', '{"unit": "decibels"}', "{"])
def test_chips_facts_that_cannot_be_meant(recipes, tmp_path, text):
    root = recipes.chips(tmp_path)
    (root / "chips.json").write_text(text)
    with pytest.raises(InputError, match=r"chips\.json"):
        read_dataset("chips", root)


@pytest.mark.parametrize("name", DATASETS)
def test_an_empty_folder_says_what_was_expected(tmp_path, name):
    with pytest.raises(InputError, match="expected"):
        read_dataset(name, tmp_path)


def test_unknown_names_and_missing_roots(tmp_path):
    with pytest.raises(UnknownNameError, match="sen1floods11"):
        read_dataset("sen1flood", tmp_path)
    with pytest.raises(InputError, match="not a folder"):
        read_dataset("ombria", tmp_path / "nowhere")


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "broken.tif"
    path.write_bytes(b"II*\0nonsense")
    with pytest.raises(RasterError, match=r"broken\.tif"):
        Band(path=path).read()


def test_a_label_off_the_grid_is_refused(recipes, tmp_path):
    root = recipes.sen1floods11(tmp_path)
    with rasterio.open(root / "LabelHand/USA_905409_LabelHand.tif") as small:
        part = small.read()[:, :50, :50]
    recipes.raster(root / "LabelHand/USA_905409_LabelHand.tif", part)
    chip = by_id(read_dataset("sen1floods11", root))["USA_905409"]
    with pytest.raises(RasterError, match=r"\(50, 50\)"):
        chip.truth()


@pytest.mark.parametrize("shift", [(3, 0), (-3, 0), (0, 5), (0, -5), (-2, 4)])
def test_shift_moves_as_numpy_rolls_and_marks_what_came_round(tmp_path, recipes, shift):
    pixels = np.arange(400, dtype=np.uint8).reshape(20, 20)
    recipes.picture(tmp_path / "a.png", pixels)
    layer = Layer(bands={"vv": Band(path=tmp_path / "a.png")}, unit=Unit.BYTE, shift=shift)
    np.testing.assert_array_equal(layer.read()["vv"], np.roll(pixels, shift, axis=(0, 1)))
    wrapped = np.zeros((20, 20), bool)
    for row in range(20):
        for column in range(20):
            wrapped[row, column] = not (0 <= row - shift[0] < 20 and 0 <= column - shift[1] < 20)
    np.testing.assert_array_equal(layer.observed(), ~wrapped)


def test_real_sets(real_data):
    floods = by_id(read_dataset("sen1floods11", real_data / "sen1floods11"))
    assert len(floods) == 8
    assert floods["Bolivia_312675"].split == "bolivia"
    assert (floods["Ghana_83483"].truth() == 255).all()
    assert (floods["Ghana_53713"].truth() == 1).sum() == 0
    cems = read_dataset("cems", real_data / "cems_rcnn")
    assert sum((chip.truth() == 1).sum() for chip in cems) < 7639 + 49475 + 58658
    etci = read_dataset("etci2021", real_data)
    assert Counter(chip.label is None for chip in etci) == {False: 356, True: 175}
    pairs = [chip for chip in etci if chip.label is not None and chip.sar_before is not None]
    chip = pairs[10]
    seen = chip.sar_before.observed() & chip.sar.observed()
    aligned = np.corrcoef(chip.sar.read()["vv"][seen], chip.sar_before.read()["vv"][seen])[0, 1]
    moved = np.roll(chip.sar_before.read()["vv"], (7, -7), axis=(0, 1))
    assert aligned > np.corrcoef(chip.sar.read()["vv"][seen], moved[seen])[0, 1] + 0.1


def in_capitals(folder):
    for path in list(folder.rglob("*.png")):
        path.rename(path.with_suffix(".PNG"))


def as_geotiff(folder, recipes):
    for path in list(folder.rglob("*.png")):
        pixels = np.asarray(Image.open(path))
        recipes.raster(path.with_suffix(".tif"), pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))
        path.unlink()


def with_masks_of_0_and_1(folder):
    for path in folder.rglob("S1_mask_*.png"):
        Image.fromarray(np.asarray(Image.open(path)) // 255).save(path)


def behind_a_link(folder):
    (folder / "OmbriaS1").rename(folder / "elsewhere")
    (folder / "OmbriaS1").symlink_to(folder / "elsewhere", target_is_directory=True)


@pytest.mark.parametrize("form", [in_capitals, as_geotiff, with_masks_of_0_and_1, behind_a_link])
def test_ombria_in_other_forms_is_the_same_set(recipes, tmp_path, form):
    plain = by_id(read_dataset("ombria", recipes.ombria(tmp_path / "plain", events=1)))
    root = recipes.ombria(tmp_path / "other", events=1)
    form(root, recipes) if form is as_geotiff else form(root)
    other = by_id(read_dataset("ombria", root))
    assert other.keys() == plain.keys()
    assert any((chip.truth() == 1).any() for chip in plain.values())
    for name, chip in plain.items():
        np.testing.assert_array_equal(other[name].truth(), chip.truth())
        for layer in ("sar", "sar_before"):
            np.testing.assert_array_equal(getattr(other[name], layer).read()["vv"], getattr(chip, layer).read()["vv"])


@pytest.mark.parametrize("pixels", [np.full((8, 8), 25700, np.uint16), np.full((8, 8), 0.5, np.float32)])
def test_greys_that_are_not_of_8_bit_are_refused(tmp_path, recipes, pixels):
    recipes.raster(tmp_path / "a.tif", pixels[None])
    stretch = {"vv": Stretch(db_at_0=-25, db_at_255=0)}
    layer = Layer(bands={"vv": Band(path=tmp_path / "a.tif")}, unit=Unit.BYTE, stretch=stretch)
    with pytest.raises(RasterError, match="expected 8 bit greys"):
        layer.backscatter()


def test_a_mask_of_unknown_numbers_is_refused(tmp_path, recipes):
    pixels = np.zeros((8, 8))
    pixels[2:4] = 7
    recipes.picture(tmp_path / "m.png", pixels)
    with pytest.raises(RasterError, match=r"holds 0, 7; expected 0 \(dry\) and 255 or 1"):
        Label(band=Band(path=tmp_path / "m.png"), water=(255,), dry=(0,)).read()
