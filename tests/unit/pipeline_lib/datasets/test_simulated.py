"""The reader of simulated worlds, against the world's own truth and rasters."""

import json
from datetime import datetime

import numpy as np
import pytest
import rasterio

from pipeline_lib.datasets import Meaning, read_dataset
from pipeline_lib.options.world import WorldOptions
from pipeline_lib.world.build import build_world
from pipeline_lib.world.truth import truth_for

FLOOD_PASSES = 4


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return build_world(tmp_path_factory.mktemp("worlds") / "one", WorldOptions(size=128, seed=5))


def name_of(chip):
    return chip.chip_id.split("/")[1]


def test_a_chip_is_a_pass_since_the_flood_began(world):
    chips = read_dataset("world", world.parent)
    index = json.loads((world / "truth.json").read_text())["scenes"]
    start = datetime.fromisoformat("2025-10-28T12:00:00+00:00")
    radar = {
        name
        for name, scene in index.items()
        if scene["kind"] == "radar" and datetime.fromisoformat(scene["datetime"]) >= start
    }
    assert {name_of(chip) for chip in chips} == radar
    assert len(chips) == FLOOD_PASSES
    assert len({chip.event for chip in chips}) == len({chip.group for chip in chips}) == 1
    assert all(chip.pixel_m == 10 and chip.split == "all" for chip in chips)


@pytest.mark.parametrize(
    ("name", "water", "dry", "meaning"),
    [("world", (1, 2), (0,), Meaning.ALL_WATER), ("world-flood", (2,), (0, 1), Meaning.FLOOD)],
)
def test_labels_are_the_truth_where_the_radar_saw(world, name, water, dry, meaning):
    for chip in read_dataset(name, world):
        codes = truth_for(world, name_of(chip), observed_only=True).to_numpy()
        expected = np.select([np.isin(codes, water), np.isin(codes, dry)], [1, 0], 255)
        np.testing.assert_array_equal(chip.truth(), expected)
        assert chip.meaning is meaning
        reference = chip.reference_water.read()
        np.testing.assert_array_equal(reference == 1, truth_for(world, name_of(chip)).to_numpy() == 1)


def test_history_is_what_the_same_orbit_saw_before_oldest_first(world):
    for chip in read_dataset("world", world):
        dates = [layer.facts["datetime"] for layer in chip.history]
        assert len(dates) == WorldOptions().radar.dry_passes_per_orbit
        assert dates == sorted(dates)
        assert max(dates) < chip.sar.facts["datetime"]
        assert {layer.facts["relative_orbit"] for layer in chip.history} == {chip.sar.facts["relative_orbit"]}
        assert chip.sar_before == chip.history[-1]


def test_pixels_are_the_archives_linear_power(world):
    chip = next(chip for chip in read_dataset("world", world) if not chip.sar.bands["vv"].also)
    with rasterio.open(chip.sar.bands["vv"].path) as raster:
        stored, nodata, window = raster.read(1), raster.nodata, raster.bounds
    found = chip.sar.backscatter()["vv"]
    with rasterio.open(
        world / json.loads((world / "truth.json").read_text())["scenes"][name_of(chip)]["layers"]["truth"]
    ) as grid:
        left, top = (
            round(value) for value in ((window.left - grid.bounds.left) / 10, (grid.bounds.top - window.top) / 10)
        )
    inside = found[top : top + stored.shape[0], left : left + stored.shape[1]]
    np.testing.assert_allclose(inside, np.where(stored == nodata, np.nan, stored))
    assert np.isnan(found).sum() == found.size - np.count_nonzero(stored != nodata)


def test_place_comes_along_on_the_grid_of_the_pass(world):
    chip = read_dataset("world", world)[0]
    elevation, occurrence = chip.elevation.read(), chip.water_occurrence.read()
    assert elevation.shape == occurrence.shape == chip.truth().shape
    assert np.isfinite(elevation).mean() > 0.99
    river = chip.reference_water.read() == 1
    assert occurrence[river].mean() > occurrence[~river].mean() + 30
