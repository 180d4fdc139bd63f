"""Readers of the calibrated real sets: on fake folders with real names, and on the real ones where they are."""

import numpy as np
import pytest

from pipeline_lib.datasets import Meaning, Unit, read_dataset
from pipeline_lib.datasets.pixel_tables import DYNAMIC_WORLD, read_pixel_tables
from pipeline_lib.errors import InputError
from pipeline_lib.model import check_scene


def by_id(chips):
    return {chip.chip_id: chip for chip in chips}


def test_stac_overflow_names_events_as_sen1floods11_does(recipes, tmp_path):
    chips = by_id(read_dataset("stac_overflow", recipes.stac_overflow(tmp_path)))
    assert {name: (chip.event, chip.group) for name, chip in chips.items()} == {
        "awc00": ("Bolivia", "Bolivia"),
        "qxb32": ("Sri-Lanka", "Sri-Lanka"),
    }
    assert (chips["qxb32"].truth() == 1).sum() == recipes.lake(64, 20).sum()
    assert check_scene(chips["qxb32"].sar.scene())

    (tmp_path / "chips.csv").unlink()
    assert by_id(read_dataset("stac_overflow", tmp_path))["awc00"].event == "Bolivia"
    (tmp_path / "chips.csv").write_text("image,place\na,b\n")
    with pytest.raises(InputError, match="chip_id, location"):
        read_dataset("stac_overflow", tmp_path)


def test_unlabelled_chips_keep_their_event_and_lose_their_label(recipes, tmp_path):
    chips = by_id(read_dataset("unlabelled", recipes.unlabelled(tmp_path)))
    assert {name: chip.event for name, chip in chips.items()} == {"India_207862": "India", "ayt12": "Nigeria"}
    assert all(chip.label is None for chip in chips.values())


def test_dfc2024_is_one_event_and_what_is_not_known_is_no_number(recipes, tmp_path):
    chips = by_id(read_dataset("dfc2024", recipes.dfc2024(tmp_path)))
    assert {chip.event for chip in chips.values()} == {"dfc2024"}
    with_bands, without = chips["dfc0"], chips["dfc7"]
    elevation, occurrence = with_bands.elevation.read(), with_bands.water_occurrence.read()
    assert np.isnan(elevation[0, 0])
    assert np.isnan(occurrence[0, 0])
    assert elevation[1:].max() == elevation[1:].min() == 7
    assert set(np.unique(occurrence[1:])) == {0, 80}
    assert without.elevation is None
    assert without.water_occurrence is None


def test_paraguay_has_vv_alone_and_an_optical_index(recipes, tmp_path):
    (chip,) = read_dataset("paraguay_24341", recipes.paraguay_24341(tmp_path / "paraguay_24341"))
    assert (chip.chip_id, chip.event, list(chip.sar.bands)) == ("paraguay_24341", "Paraguay", ["vv"])
    assert chip.optical.unit is Unit.INDEX
    wet = chip.truth() == 1
    assert chip.optical.read()["ndwi"][wet].min() > 0 > chip.optical.read()["ndwi"][~wet].max()


def test_puerto_rico_floods_have_three_passes_before(recipes, tmp_path):
    chips = by_id(read_dataset("puerto_rico_2017", recipes.puerto_rico_2017(tmp_path)))
    assert sorted(chips) == ["cell_02/postflood1", "cell_06/postflood1"]
    chip = chips["cell_06/postflood1"]
    assert (chip.meaning, len(chip.history)) == (Meaning.FLOOD, 3)
    assert [layer.facts["acquisition_id"] for layer in chip.history] == [f"cell_06_preflood{k}" for k in (1, 2, 3)]
    truth = chip.truth()
    assert (truth[:3] == 255).all()
    assert (truth[3:] == 1).sum() == (recipes.lake(64, 10) & (np.mgrid[:64, :64][1] >= 32))[3:].sum()


def test_puerto_rico_sea_is_water_on_all_five_dates_and_the_rest_no_answer(recipes, tmp_path):
    chips = by_id(read_dataset("puerto_rico_sea", recipes.puerto_rico_2017(tmp_path)))
    assert sorted({name.split("/")[0] for name in chips}) == ["cell_06"]
    assert len(chips) == 5
    for chip in chips.values():
        truth = chip.truth()
        assert (truth[:, :32] == 1).all()
        assert (truth[:, 32:] == 255).all()
        assert (chip.meaning, chip.history, chip.sar_before) == (Meaning.ALL_WATER, (), None)


def test_finland_is_tagged_dry_in_both_directions(recipes, tmp_path):
    chips = by_id(read_dataset("finland_months", recipes.finland_months(tmp_path)))
    assert sorted(chips) == [f"000aa810/{month}/{way}" for month in ("00", "11") for way in ("ascending", "descending")]
    assert all(chip.label is None and chip.image_label is False for chip in chips.values())
    up, down = (chips[f"000aa810/11/{way}"].sar.read() for way in ("ascending", "descending"))
    assert up["vv"].mean() > up["vh"].mean()
    assert not np.array_equal(up["vv"], down["vv"])


def test_pixel_tables(recipes, tmp_path):
    tables = {table.name: table for table in read_pixel_tables(recipes.pixel_tables(tmp_path))}
    assert set(tables) == {"india_polygons", "us_lakes", "us_land"}
    for table in tables.values():
        wet = table.classes == "water"
        assert (table.vv_db[wet] == -19).all()
        assert (table.vh_db[~wet] == -17).all()
    assert set(tables["india_polygons"].classes) == {"water", "dry"}
    assert set(tables["us_land"].classes) <= set(DYNAMIC_WORLD)
    assert len(tables["us_lakes"].vv_db) == 40 * 12


def test_pixel_tables_that_are_none(tmp_path):
    with pytest.raises(InputError, match="expected india_polygons"):
        read_pixel_tables(tmp_path)
    (tmp_path / "us_land.npz").write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"us_land\.npz"):
        read_pixel_tables(tmp_path)


def test_real_sets(real_data):
    counts = {
        "stac_overflow": ("stac_overflow", 2),
        "dfc2024": ("dfc2024", 8),
        "paraguay_24341": ("paraguay_24341", 1),
        "puerto_rico_2017": ("puerto_rico_2017", 8),
        "puerto_rico_sea": ("puerto_rico_2017", 20),
        "unlabelled": ("unlabelled", 8),
        "finland_months": ("finland_months", 24),
    }
    for name, (folder, count) in counts.items():
        chips = read_dataset(name, real_data / folder)
        assert len(chips) == count
        assert all(chip.truth().max() <= 255 for chip in chips[:2] if chip.label is not None)
    whole = by_id(read_dataset("dfc2024", real_data / "dfc2024"))["dfc0"]
    assert (whole.truth() == 1).mean() > 0.99
    table = read_pixel_tables(real_data / "pixel_tables")[0]
    assert -19.6 < np.median(table.vv_db[table.classes == "water"]) < -17.6
