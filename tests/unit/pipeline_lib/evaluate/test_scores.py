"""Scores against scikit-learn, brute-force loops, and the algebra between them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from pipeline_lib.errors import ContractError, GridMismatchError
from pipeline_lib.evaluate import ChipConfusion, confusion, pool, score, summarise
from pipeline_lib.model import Confusion

counts = st.builds(
    Confusion,
    **{name: st.integers(0, 5000) for name in ("true_positive", "false_positive", "false_negative", "true_negative")},
)


def maps(seed: int, *, dtype=np.int16):
    rng = np.random.default_rng(seed)
    predicted = rng.choice([0, 1, 254, 255], size=(40, 30), p=[0.5, 0.3, 0.1, 0.1]).astype(dtype)
    truth = rng.choice([0, 1, -1], size=(40, 30), p=[0.5, 0.4, 0.1]).astype(np.int16)
    return predicted, truth


def test_counts_equal_a_loop_over_pixels():
    predicted, truth = maps(1)
    tally = dict.fromkeys(("tp", "fp", "fn", "tn", "ignored"), 0)
    for p, t in zip(predicted.ravel().tolist(), truth.ravel().tolist(), strict=True):
        if p in (254, 255) or t == -1:
            tally["ignored"] += 1
        else:
            tally[{(1, 1): "tp", (1, 0): "fp", (0, 1): "fn", (0, 0): "tn"}[(p, t)]] += 1
    got = confusion(predicted, truth)
    assert (got.true_positive, got.false_positive, got.false_negative, got.true_negative, got.ignored) == tuple(
        tally.values()
    )


@pytest.mark.parametrize("seed", range(3))
def test_every_score_equals_scikit_learn(seed):
    predicted, truth = maps(seed)
    keep = (predicted < 254) & (truth >= 0)
    p, t = predicted[keep], truth[keep]
    got = score(confusion(predicted, truth))
    oracle = {
        "pixel_accuracy": metrics.accuracy_score(t, p),
        "water_precision": metrics.precision_score(t, p),
        "water_recall": metrics.recall_score(t, p),
        "water_f1": metrics.f1_score(t, p),
        "water_iou": metrics.jaccard_score(t, p),
        "land_precision": metrics.precision_score(t, p, pos_label=0),
        "land_recall": metrics.recall_score(t, p, pos_label=0),
        "land_f1": metrics.f1_score(t, p, pos_label=0),
        "land_iou": metrics.jaccard_score(t, p, pos_label=0),
        "mean_iou": metrics.jaccard_score(t, p, average="macro"),
        "kappa": metrics.cohen_kappa_score(t, p),
        "mcc": metrics.matthews_corrcoef(t, p),
        "area_bias": p.sum() / t.sum(),
    }
    for name, value in oracle.items():
        assert getattr(got, name) == pytest.approx(value, abs=1e-12), name


@given(counts)
def test_f1_and_iou_say_the_same(counted):
    scores = score(counted)
    if scores.water_iou is not None:
        assert scores.water_f1 == pytest.approx(2 * scores.water_iou / (1 + scores.water_iou))


@given(counts)
def test_swapping_map_and_label_swaps_precision_and_recall(counted):
    swapped = counted.model_copy(
        update={"false_positive": counted.false_negative, "false_negative": counted.false_positive}
    )
    one, two = score(counted), score(swapped)
    assert (one.water_precision, one.water_recall, one.water_iou) == (
        two.water_recall,
        two.water_precision,
        two.water_iou,
    )
    assert one.kappa == two.kappa
    assert one.mcc == two.mcc


@given(st.lists(counts, min_size=1, max_size=6), st.randoms())
def test_pooled_scores_do_not_depend_on_order(parts, random):
    shuffled = parts.copy()
    random.shuffle(shuffled)
    assert score(pool(parts)) == score(pool(shuffled))


def test_pooled_counts_are_sums():
    names = ("true_positive", "false_positive", "false_negative", "true_negative")
    one = Confusion(**dict(zip(names, (1, 2, 3, 4), strict=True)))
    other = Confusion(**dict(zip(names, (10, 20, 30, 40), strict=True)), ignored=5)
    assert one.ignored == 0
    expected = dict(zip((*names, "ignored"), (11, 22, 33, 44, 5), strict=True))
    assert pool([one, other]).model_dump() == pool([other, one]).model_dump() == expected


def test_scene_sized_counts_do_not_overflow():
    huge = 400_000_000
    assert score(Confusion(true_positive=huge, false_positive=0, false_negative=0, true_negative=huge)).mcc == 1.0


def test_minus_one_is_not_255_in_an_unsigned_label():
    truth = np.array([[0, 1, 255]], np.uint8)
    predicted = np.array([[0, 1, 1]], np.uint8)
    assert confusion(predicted, truth, ignore=(-1,), truth_positive=(1,)).ignored == 0
    assert confusion(predicted, truth).ignored == 1


def test_classes_may_be_named_otherwise():
    product = np.array([[0, 1, 2, 3]], np.uint8)
    truth = np.array([[0, 1, 1, 0]], np.uint8)
    got = confusion(product, truth, positive=(1, 2), ignore=(255,))
    assert (got.true_positive, got.false_positive, got.true_negative) == (2, 0, 2)


def test_different_shapes_are_refused():
    with pytest.raises(GridMismatchError, match=r"\(2, 3\), \(3, 2\)"):
        confusion(np.zeros((2, 3), bool), np.zeros((3, 2), bool))


def test_a_likelihood_is_refused():
    with pytest.raises(ContractError, match="threshold it"):
        confusion(np.full((2, 2), 0.7), np.ones((2, 2), np.uint8))


def chip(name, event, tp=0, fp=0, fn=0, tn=0, area=1e-4):
    counted = Confusion(true_positive=tp, false_positive=fp, false_negative=fn, true_negative=tn)
    return ChipConfusion(chip=name, event=event, confusion=counted, pixel_area_km2=area)


def test_per_chip_conventions():
    summary = summarise(
        [
            chip("wet", "A", tp=50, fp=25, fn=25),  # IoU 0.5
            chip("dry and quiet", "A", tn=100),  # undefined
            chip("dry with alarms", "B", fp=10, tn=90),  # IoU 0
            chip("nothing valid", "B"),  # not a chip to score
        ]
    )
    per_chip = summary.per_chip
    assert (per_chip.chips, per_chip.chips_skipped_empty, per_chip.wet_chips) == (3, 1, 1)
    assert per_chip.water_iou_per_chip_mean == 0.25
    assert per_chip.water_iou_per_chip_median == 0.25
    assert per_chip.water_iou_per_chip_mean_empty_as_one == 0.5
    assert per_chip.water_iou_per_wet_chip_mean == 0.5
    assert per_chip.water_iou_per_batch_of_4_mean == pytest.approx(50 / 110)
    assert summary.per_event.water_iou_per_event_mean == 0.25
    assert summary.per_event.water_iou_per_event_worst == 0.0
    assert summary.pooled.water_iou == pytest.approx(50 / 110)
    assert summary.dry_chips.chips == 2
    assert summary.dry_chips.false_alarm_pixels == 10
    assert summary.dry_chips.false_alarm_km2 == pytest.approx(1e-3)
    area_km2 = summary.dry_chips.valid_pixels * 1e-4
    assert summary.dry_chips.false_alarm_pixels_per_km2 == pytest.approx(10 / area_km2)


def test_batches_are_of_four_chips_and_the_last_may_be_smaller():
    chips = [chip(str(k), "A", tp=tp, fp=6 - tp, fn=4, tn=3) for k, tp in enumerate((1, 2, 3, 4, 5))]
    batches = (1 + 2 + 3 + 4) / 40, 5 / 10
    assert summarise(chips).per_chip.water_iou_per_batch_of_4_mean == pytest.approx(sum(batches) / 2)
    dry = summarise([chip("dry", "A", tn=5)]).per_chip
    assert dry.water_iou_per_batch_of_4_mean == pytest.approx(1.0), "the smoothed batch score of nothing is 1"


def test_one_pixel_makes_a_chip_wet_and_every_kind_of_pixel_is_compared():
    chips = [chip("miss", "A", fn=1), chip("hit", "A", tp=1), chip("dry", "A", fp=2, tn=8)]
    assert (summarise(chips).per_chip.chips, summarise(chips).per_chip.wet_chips) == (3, 2)
    assert summarise(chips).dry_chips.valid_pixels == 10


def test_a_mask_leaves_pixels_out_and_brings_none_back():
    predicted, truth = np.array([1, 1, 0, 255]), np.array([1, 0, 0, 1])
    got = confusion(predicted, truth, valid=np.array([True, False, True, True]))
    assert (got.true_positive, got.false_positive, got.true_negative, got.false_negative, got.ignored) == (
        1,
        0,
        1,
        0,
        2,
    )


def test_unknown_pixel_area_gives_no_area():
    dry = summarise([chip("a", "A", fp=3, tn=5, area=None), chip("b", "A", fp=1, tn=5)]).dry_chips
    assert dry.false_alarm_pixels == 4
    assert dry.false_alarm_km2 is dry.false_alarm_pixels_per_km2 is None
    wet = summarise([chip("a", "A", tp=3, tn=5)]).dry_chips
    assert wet.false_alarm_km2 is wet.false_alarm_pixels_per_km2 is wet.false_alarm_share is None


def test_nothing_to_score_is_an_error():
    with pytest.raises(ContractError, match="None of the 1 chips"):
        summarise([chip("a", "A")])


@given(st.lists(st.tuples(counts, st.sampled_from("ABC")), min_size=1, max_size=8))
def test_pooled_iou_lies_between_worst_and_best_event(parts):
    chips = [ChipConfusion(chip=str(i), event=event, confusion=c) for i, (c, event) in enumerate(parts)]
    if not any(c.true_positive + c.false_positive + c.false_negative + c.true_negative for c, _ in parts):
        return
    summary = summarise(chips)
    ious = [each.water_iou for each in summary.events.values() if each.water_iou is not None]
    if ious:
        assert min(ious) - 1e-12 <= summary.pooled.water_iou <= max(ious) + 1e-12


@pytest.mark.parametrize("kinds", [{"tp": 5, "fn": 5}, {"tp": 5, "tn": 5}, {"fp": 5, "tn": 5}, {"fp": 5, "fn": 5}])
def test_a_chip_whose_errors_equal_its_hits_is_a_chip(kinds):
    assert summarise([chip("even", "A", **kinds)]).per_chip.chips == 1
