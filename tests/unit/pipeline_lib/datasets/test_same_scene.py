"""Groups that no split may part: against scenes cut by ourselves, and against OMBRIA's own numbering."""

import shutil

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from pipeline_lib.datasets import read_dataset
from pipeline_lib.datasets.same_scene import duplicates, groups, seams


def cut(scene, size):
    return [
        scene[r : r + size, c : c + size]
        for r in range(0, scene.shape[0], size)
        for c in range(0, scene.shape[1], size)
    ]


def smooth_noise(rng, shape):
    return gaussian_filter(rng.normal(size=shape), 1.5)


def test_seams_are_the_cuts_and_nothing_else_whatever_the_stretch():
    rng = np.random.default_rng(0)
    dates = []
    for _ in range(2):
        chips = [chip for _ in range(5) for chip in cut(smooth_noise(rng, (192, 256)), 64)]
        dates.append(np.stack([(chip - chip.min()) * rng.uniform(50, 200) / np.ptp(chip) for chip in chips]))
    found = seams(dates)
    expected = np.zeros_like(found)
    for scene in range(5):
        for row in range(3):
            for column in range(4):
                here = scene * 12 + row * 4 + column
                if column < 3:
                    expected[here, here + 1] = expected[here + 1, here] = True
                if row < 2:
                    expected[here, here + 4] = expected[here + 4, here] = True
    np.testing.assert_array_equal(found, expected)


def test_every_date_must_agree():
    rng = np.random.default_rng(1)
    before = np.stack(cut(smooth_noise(rng, (64, 128)), 64))
    unrelated = rng.normal(size=before.shape)
    assert seams([before])[0, 1]
    assert not seams([before, unrelated])[0, 1]


def test_flat_chips_are_no_neighbours():
    assert not seams([np.zeros((4, 32, 32))]).any()


def test_duplicates_are_found_though_stretched_otherwise():
    rng = np.random.default_rng(2)
    images = np.stack([smooth_noise(rng, (64, 64)) for _ in range(4)])
    images[3] = 3 * images[1] + 7
    assert np.argwhere(duplicates(images)).tolist() == [[1, 3], [3, 1]]


def test_groups_do_not_depend_on_the_order_of_the_chips():
    rng = np.random.default_rng(3)
    numbers = np.arange(1, 41)
    linked = np.zeros((40, 40), bool)
    for a, b in ((0, 5), (3, 9), (12, 20), (21, 22), (30, 39)):
        linked[a, b] = linked[b, a] = True
    expected = groups(linked, numbers)
    order = rng.permutation(40)
    shuffled = groups(linked[np.ix_(order, order)], numbers[order])

    def as_sets(index, names):
        return {frozenset(names[i] for i in np.flatnonzero(np.array(index) == g)) for g in set(index)}

    assert as_sets(shuffled, numbers[order]) == as_sets(expected, numbers)
    assert min(np.bincount(expected)) >= 4


def test_fake_ombria_scenes_are_found(recipes, tmp_path):
    chips = read_dataset("ombria", recipes.ombria(tmp_path, events=3))
    assert len(chips) == 18
    found = {}
    for chip in chips:
        found.setdefault(chip.event, set()).add((int(chip.chip_id[-4:]) - 1) // 6)
    assert sorted(map(tuple, found.values())) == [(0,), (1,), (2,)]
    assert {chip.split for chip in chips} == {"train", "test"}


def test_a_folder_of_unseen_events_in_the_same_layout(recipes, tmp_path):
    root = recipes.ombria(tmp_path, events=2, first=901, seed=9)
    shutil.rmtree(root / "OmbriaS2")
    shutil.rmtree(root / "OmbriaS1" / "train")
    chips = read_dataset("ombria", root, "test")
    assert len(chips) == 4
    assert all(chip.optical is None and chip.label is not None for chip in chips)
    assert len(read_dataset("ombria", root / "OmbriaS1" / "test")) == 4


def test_told_events_overrule_pixels(recipes, tmp_path):
    root = recipes.ombria(tmp_path, events=1)
    (root / "events.csv").write_text("chip,event\n" + "".join(f"{n:04d},flood-{n % 2}\n" for n in range(1, 7)))
    assert {chip.event for chip in read_dataset("ombria", root)} == {"flood-0", "flood-1"}


@pytest.mark.slow
def test_real_seams_join_chips_that_numbers_say_are_neighbours(real_data):
    chips = read_dataset("ombria", real_data / "ombria")
    after = np.stack([chip.sar.read()["vv"] for chip in chips])
    before = np.stack([chip.sar_before.read()["vv"] for chip in chips])
    numbers = np.array([int(chip.chip_id[-4:]) for chip in chips])
    found = seams([before, after])
    one, other = np.argwhere(np.triu(found)).T
    assert len(one) > 800
    assert np.abs(numbers[one] - numbers[other]).max() <= 18
    assert 15 <= len({chip.group for chip in chips}) <= 30
