"""Chip store, sampler, augmentation, input contract."""

import dataclasses

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.errors import ContractError, InputError, StoreError
from pipeline_lib.nn.augment import BandScale, augment, dihedral, radar_change_db, undo_dihedral
from pipeline_lib.nn.batches import PatchSource
from pipeline_lib.nn.chips import LabelledChip, open_chips, write_chips
from pipeline_lib.nn.inputs import fixed_scale, grey_contract, normalise, relative_scale, sar_contract, to_db
from pipeline_lib.nn.learning import deal
from pipeline_lib.nn.sampling import BalancedSampler, EventSampler, UniformSampler, rng_of
from pipeline_lib.nn.split import split_chips
from pipeline_lib.options.train import AugmentOptions, DataOptions

NOTHING = AugmentOptions(dihedral=False, gain_db=0, speckle_looks=None, incidence_db=0, blank=0)


def test_store_gives_back_what_it_was_given(tmp_path, chips) -> None:
    again = open_chips(write_and_path(tmp_path, chips))
    assert again.chip_ids == chips.chip_ids
    np.testing.assert_array_equal(np.asarray(again.labels[:]), chips.labels)
    np.testing.assert_array_equal(np.asarray(again.images[3]), chips.images[3])
    assert np.isnan(again.images[0][:, :2]).all()


def write_and_path(tmp_path, chips):
    folder = tmp_path / "copy.zarr"
    rows = (
        LabelledChip(chip_id=i, group=g, event=e, image=image.astype(np.float32), label=label)
        for i, g, e, image, label in zip(
            chips.chip_ids, chips.groups, chips.events, chips.images, chips.labels, strict=True
        )
    )
    write_chips(folder, rows, chips.bands)
    return folder


@pytest.mark.parametrize("groups", [[], ["a", "a"]])
def test_what_cannot_be_parted_in_two_is_said(groups) -> None:
    with pytest.raises(InputError, match=f"they hold {len(set(groups))} groups"):
        deal(groups, 2)


def test_store_refuses_unequal_chips_and_nothing(tmp_path) -> None:
    def chip(size: int) -> LabelledChip:
        return LabelledChip(
            chip_id=str(size),
            group="g",
            event="e",
            image=np.zeros((1, size, size), np.float32),
            label=np.zeros((size, size), np.uint8),
        )

    with pytest.raises(InputError, match="one size"):
        write_chips(tmp_path / "a.zarr", [chip(8), chip(9)], ["vv"])
    with pytest.raises(InputError, match="no chip"):
        write_chips(tmp_path / "b.zarr", [], ["vv"])
    assert list(tmp_path.iterdir()) == []  # neither a store nor a piece of one
    with pytest.raises(StoreError, match="not a chip store"):
        open_chips(tmp_path)


def test_no_group_is_parted_and_folds_are_even(chips) -> None:
    fold = chips.folds(4)
    for group in set(chips.groups):
        assert len({int(f) for f, g in zip(fold, chips.groups, strict=True) if g == group}) == 1
    assert sorted(np.bincount(fold)) == [4, 4, 4, 4]
    split = split_chips(chips, DataOptions(folds=4, test_fold=1))
    groups = [{chips.groups[k] for k in part} for part in (split.train, split.valid, split.test)]
    assert not groups[0] & groups[1]
    assert not groups[0] & groups[2]
    assert not groups[1] & groups[2]
    assert len(split_chips(chips, DataOptions(folds=4, test_fold=-1)).test) == 0


def test_events_choose_what_is_taught_and_what_is_judged(chips) -> None:
    """The same places on two dates: one date teaches, the other judges, and still no place is in two parts."""
    events = tuple("june" if k % 2 else "march" for k in range(len(chips)))
    dated = dataclasses.replace(chips, events=events)
    options = DataOptions(folds=4, test_fold=0, train_events=("june",), held_events=("march",))
    split, plain = split_chips(dated, options), split_chips(dated, DataOptions(folds=4, test_fold=0))
    assert {events[k] for k in split.train} == {"june"}
    assert {events[k] for part in (split.valid, split.test) for k in part} == {"march"}
    assert not {dated.groups[k] for k in split.train} & {dated.groups[k] for k in (*split.valid, *split.test)}
    assert set(split.test) < set(plain.test)
    with pytest.raises(InputError, match="march"):
        split_chips(dated, DataOptions(folds=4, test_fold=0, train_events=("july",)))


def test_too_few_groups_are_refused(chips) -> None:
    with pytest.raises(InputError, match="cannot be split"):
        split_chips(chips, DataOptions(folds=99, test_fold=20))


@pytest.mark.parametrize(("value", "says"), [(np.inf, "c3 holds infinite values in grey;"), (np.nan, "was observed")])
def test_chips_of_which_nothing_could_be_learned_are_refused_by_name(tmp_path, value, says) -> None:
    image = np.full((2, 8, 8), value, np.float32)
    image[0] = 0.0 if np.isinf(value) else value
    chip = LabelledChip(chip_id="c3", group="g", event="e", image=image, label=np.zeros((8, 8), np.uint8))
    with pytest.raises(InputError, match=says):
        write_chips(tmp_path / "set", [chip], ["before", "grey"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_sampler_balances_the_classes(share: float) -> None:
    """With patches of one pixel's jitter the centre class is drawn with the share asked for, whatever its frequency."""
    labels = np.zeros((3, 40, 40), np.uint8)
    labels[1, 10:12, 10:12] = 1  # 4 of 4800 pixels
    labels[2] = 255
    sampler = BalancedSampler(labels, np.array([0, 1, 2]), patch_px=4, water_share=share)
    windows = sampler.draw(2000, np.random.default_rng(0))
    assert all(window.chip != 2 for window in windows)
    wet = np.mean([labels[w.chip, w.y : w.y + 4, w.x : w.x + 4].any() for w in windows])
    assert wet == pytest.approx(share, abs=0.04)
    assert all(0 <= w.y <= 36 and 0 <= w.x <= 36 for w in windows)


def test_sampler_of_one_class_and_of_none() -> None:
    dry = np.zeros((2, 16, 16), np.uint8)
    assert len(BalancedSampler(dry, np.array([0, 1]), patch_px=8).draw(5, np.random.default_rng(0))) == 5
    with pytest.raises(InputError, match="labelled"):
        BalancedSampler(np.full((1, 16, 16), 255, np.uint8), np.array([0]), patch_px=8)
    with pytest.raises(InputError, match="larger"):
        BalancedSampler(dry, np.array([0]), patch_px=17)
    with pytest.raises(InputError, match="no chip"):
        BalancedSampler(dry, np.array([], dtype=np.intp), patch_px=8)


def test_a_batch_depends_on_seed_and_step_alone(chips) -> None:
    def source() -> PatchSource:
        parts = [
            (BalancedSampler(chips.labels, np.arange(8), patch_px=32), 2),
            (UniformSampler(chips.size_px, np.arange(8, 16), patch_px=32), 2),
        ]
        scale = BandScale(db_per_unit=np.array([5, 5, 0, 0, 0], np.float32))
        return PatchSource(
            images=chips.images,
            bands=np.array([0, 1]),
            maps={"label": chips.labels},
            parts=parts,
            scale=scale,
            options=AugmentOptions(),
            seed=4,
            views={"teacher": np.arange(5)},
        )

    first = source()
    first.batch(0)
    a, b, other = first.batch(7), source().batch(7), source().batch(8)
    assert all(np.array_equal(a[name], b[name]) for name in a)
    assert not np.array_equal(a["image"], other["image"])
    assert a["image"].shape == (4, 2, 32, 32)
    assert a["teacher"].shape == (4, 5, 32, 32)
    assert np.isfinite(a["image"]).all()


@given(st.integers(0, 7))
def test_dihedral_is_undone(turn: int) -> None:
    array = np.arange(30).reshape(2, 3, 5)
    np.testing.assert_array_equal(undo_dihedral(dihedral(array, turn), turn), array)


def test_the_eight_views_differ() -> None:
    array = np.arange(9).reshape(3, 3)
    assert len({dihedral(array, turn).tobytes() for turn in range(8)}) == 8


def test_augmentation_moves_image_and_label_together_and_leaves_optical_numbers() -> None:
    rng = np.random.default_rng(1)
    label = (rng.random((20, 20)) > 0.5).astype(np.uint8)
    image = np.stack([label, label]).astype(np.float32)
    scale = BandScale(db_per_unit=np.array([5, 0], np.float32))
    for seed in range(20):
        options = AugmentOptions(gain_db=0, speckle_looks=None, incidence_db=0, blank=0.5)
        out, (moved,) = augment(image, [label], scale, options, np.random.default_rng(seed))
        seen = np.isfinite(out[0])
        np.testing.assert_array_equal(out[0][seen], moved[seen])
    out, _ = augment(image, [label], scale, AugmentOptions(dihedral=False, blank=0), np.random.default_rng(3))
    np.testing.assert_array_equal(out[1], image[1])
    assert not np.array_equal(out[0], image[0])
    same, _ = augment(image, [label], scale, NOTHING, np.random.default_rng(3))
    np.testing.assert_array_equal(same, image)


def test_added_speckle_has_gamma_statistics() -> None:
    """Mean 1 and variance 1 / L in power."""
    options = AugmentOptions(gain_db=0, incidence_db=0, speckle_looks=8)

    class Fixed(np.random.Generator):
        def random(self, *_args, **_kwargs):  # 4 ** 0: looks are exactly 8
            return 0.0

    change = radar_change_db((1, 400, 400), options, Fixed(np.random.PCG64(0)))
    power = 10 ** (change / 10)
    assert power.mean() == pytest.approx(1, abs=0.01)
    assert power.var() == pytest.approx(1 / 8, rel=0.03)


def test_optional_bands_are_dropped_together() -> None:
    scale = BandScale(db_per_unit=np.zeros(3, np.float32), optional=((1, 2),))
    options = NOTHING.model_copy(update={"band_dropout": 1.0})
    out, _ = augment(np.ones((3, 4, 4), np.float32), [], scale, options, rng_of(0, 0))
    assert np.isfinite(out[0]).all()
    assert np.isnan(out[1:]).all()


WIND = BandScale(db_per_unit=np.array([5, 5, 0], np.float32), like=(0,), cross=(1,))


def test_wind_brightens_labelled_water_in_the_like_polarisation() -> None:
    water = np.zeros((40, 40), np.uint8)
    water[:, :20] = 1
    water[30:, :20] = 255
    options = NOTHING.model_copy(update={"wind_share": 1.0, "wind_db": (6.0, 6.0)})
    out, _ = augment(np.zeros((3, 40, 40), np.float32), [water], WIND, options, rng_of(0, 0), 0)
    np.testing.assert_allclose(out[0, :25, :15], 6 / 5, atol=1e-5)
    np.testing.assert_allclose(out[0, :, 25:], 0, atol=1e-5)
    np.testing.assert_allclose(out[0, 36:], 0, atol=1e-5)
    assert 0 < out[1, 10, 10] <= 0.25 * 6 / 5
    assert not out[2].any()
    calm, _ = augment(np.zeros((3, 40, 40), np.float32), [water], WIND, options, rng_of(0, 0))
    assert not calm.any()


def test_filtering_averages_power_and_leaves_holes() -> None:
    options = NOTHING.model_copy(update={"filter_share": 1.0})
    image = np.zeros((3, 9, 9), np.float32)
    image[0, 4, 4], image[2, 4, 4], image[1, 0, 0] = 10 / 5, 7.0, np.nan
    out, _ = augment(image, [], WIND, options, rng_of(0, 0))
    np.testing.assert_allclose(out[0, 3:6, 3:6] * 5, 10 * np.log10((8 + 10) / 9), atol=1e-4)
    assert out[0, 0, 0] == pytest.approx(0, abs=1e-5)
    assert np.isnan(out[1, 0, 0])
    assert out[1, 1, 1] == pytest.approx(0, abs=1e-5)
    np.testing.assert_array_equal(out[2], image[2])


def test_a_common_offset_moves_all_radar_bands_alike() -> None:
    options = NOTHING.model_copy(update={"common_db": 2.0})
    out, _ = augment(np.zeros((3, 4, 4), np.float32), [], WIND, options, rng_of(0, 0))
    assert out[0, 0, 0] != 0
    np.testing.assert_array_equal(out[0], out[1])
    assert not out[2].any()


def test_events_are_drawn_equally_often_whatever_their_size() -> None:
    labels = np.zeros((6, 32, 32), np.uint8)
    labels[5, :4, :4] = 1
    events = ["large"] * 5 + ["small"]
    sampler = EventSampler(labels, np.arange(6), events, patch_px=16, water_share=0.5)
    drawn = [window.chip for window in sampler.draw(400, rng_of(0, 0))]
    assert 150 < drawn.count(5) < 250
    assert {0, 1, 2, 3, 4} <= set(drawn)
    labels[:] = 255
    with pytest.raises(InputError, match="labelled pixel"):
        EventSampler(labels, np.arange(6), events, patch_px=16)


def test_further_sets_are_learned_from_whole_and_left_out_events_are_the_test(chips) -> None:
    count = len(chips)
    sources = tuple("ombria" if k % 3 else "sen1floods11" for k in range(count))
    events = tuple("India" if k % 2 else "Spain" for k in range(count))
    groups = tuple(f"{source}-{k // 4}" for k, source in enumerate(sources))
    mixed = dataclasses.replace(chips, sources=sources, events=events, groups=groups)
    options = DataOptions(folds=3, test_fold=-1, extra=("sen1floods11",), extra_share=0.5, left_out=("India",))
    split = split_chips(mixed, options)
    assert {events[k] for k in split.test} == {"India"}
    assert "India" not in {events[k] for k in (*split.train, *split.valid)}
    assert {sources[k] for k in split.valid} == {"ombria"}
    spanish = {k for k in range(count) if sources[k] == "sen1floods11" and events[k] == "Spain"}
    assert spanish <= set(split.train)
    with pytest.raises(InputError, match="build it anew"):
        split_chips(dataclasses.replace(mixed, sources=()), options)


def linear(db: np.ndarray) -> xr.Dataset:
    return xr.Dataset({"vv": (("y", "x"), (10 ** (db / 10)).astype(np.float32), {"units": "1"})})


@given(st.floats(0.1, 3), st.floats(-20, 20))
def test_relative_units_do_not_know_the_stretch(gain: float, offset: float) -> None:
    """Any linear stretch of dB gives the same input: what makes 8-bit images usable."""
    rng = np.random.default_rng(0)
    db = rng.normal(-12, 4, (1, 50, 50)).astype(np.float32)
    contract = grey_contract(before=False)
    a, b = (normalise(x, contract, *relative_scale(x)) for x in (db, (db * np.float32(gain) + np.float32(offset))))
    np.testing.assert_allclose(a, b, atol=5e-3)


def test_fill_values_do_not_move_the_relative_scale() -> None:
    rng = np.random.default_rng(0)
    clean = rng.normal(-12, 3, (1, 60, 60)).astype(np.float32)
    filled = clean.copy()
    filled[:, :15] = 0.0
    np.testing.assert_allclose(relative_scale(filled), relative_scale(clean[:, 15:]), atol=0.05)
    constant = relative_scale(np.full((1, 9, 9), -7, np.float32))
    assert np.isfinite(constant).all()
    empty = relative_scale(np.full((1, 9, 9), np.nan, np.float32))
    assert np.isfinite(empty).all()


def test_flooded_land_stays_where_it_was_under_a_high_centre() -> None:
    """Two thirds under water move the median by the depth of the change, the 80th percentile by a fraction of it."""
    rng = np.random.default_rng(0)
    dry = rng.normal(-10, 1, (1, 60, 60)).astype(np.float32)
    wet = dry.copy()
    wet[:, :40] -= 8
    moved = {q: abs(float(relative_scale(wet, q)[0][0] - relative_scale(dry, q)[0][0])) for q in (50, 80)}
    assert moved[50] > 6
    assert moved[80] < 1.2


def test_contract_in_db_and_its_refusals() -> None:
    contract = sar_contract(before=True)
    scene = linear(np.full((4, 4), -12.0))
    with pytest.raises(ContractError, match="history"):
        contract.select(scene, None)
    history = xr.concat([linear(np.full((4, 4), d)) for d in (-10.0, -20.0)], dim="time")
    selected = contract.select(scene, history)
    assert float(selected[0][0, 0]) == pytest.approx((0.1 + 0.01) / 2, rel=1e-5)  # mean of power, not of dB
    assert np.isnan(selected[1]).all()  # vh is optional
    units = normalise(to_db(np.stack(selected)), contract, *fixed_scale(contract))
    assert units[2, 0, 0] == pytest.approx(0, abs=1e-5)  # -12 dB is VV's mean
    with pytest.raises(ContractError, match="vv"):
        contract.select(scene.rename(vv="hh"), history)
