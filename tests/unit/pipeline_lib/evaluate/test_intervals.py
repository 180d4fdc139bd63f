"""Bootstrap intervals: coverage on simulated events, pairing, determinism."""

import numpy as np
import pytest

from pipeline_lib.errors import ContractError
from pipeline_lib.evaluate import ChipConfusion, bootstrap, paired_bootstrap, summarise
from pipeline_lib.model import Confusion


def chips(seed, *, events=8, per_event=6, quality=0.7, spread=0.1):
    rng = np.random.default_rng(seed)
    found = []
    for event in range(events):
        level = np.clip(rng.normal(quality, spread), 0.05, 0.95)
        for index in range(per_event):
            union = int(rng.integers(500, 1500))
            hit = int(union * np.clip(rng.normal(level, 0.05), 0, 1))
            false = (union - hit) // 2
            counts = Confusion(
                true_positive=hit, false_positive=false, false_negative=union - hit - false, true_negative=5000
            )
            found.append(ChipConfusion(chip=f"{event}-{index}", event=str(event), confusion=counts))
    return found


def test_point_scores_lie_in_their_intervals():
    sample = chips(1)
    summary, got = summarise(sample), bootstrap(sample, resamples=300)
    for value, interval in (
        (summary.pooled.water_iou, got.water_iou_pooled),
        (summary.pooled.water_f1, got.water_f1_pooled),
        (summary.per_chip.water_iou_per_chip_mean, got.water_iou_per_chip_mean),
        (summary.per_chip.water_iou_per_chip_median, got.water_iou_per_chip_median),
        (summary.per_event.water_iou_per_event_mean, got.water_iou_per_event_mean),
    ):
        assert interval.low < value < interval.high


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    # 12 events of spread 0.1: percentile intervals of few events are known to be somewhat short of 95 %.
    inside = 0
    for seed in range(40):
        interval = bootstrap(chips(seed, events=12, per_event=4), resamples=100, seed=seed).water_iou_per_event_mean
        inside += interval.low <= 0.7 <= interval.high
    assert inside >= 40 * 0.8


def width(sample):
    interval = bootstrap(sample, resamples=100).water_iou_pooled
    return interval.high - interval.low


def test_events_count_not_chips():
    few = np.mean([width(chips(seed, events=4, per_event=30)) for seed in range(8)])
    many = np.mean([width(chips(seed, events=40, per_event=3)) for seed in range(8)])
    assert few > 1.5 * many


def test_same_chips_same_interval():
    assert bootstrap(chips(3), resamples=50) == bootstrap(chips(3), resamples=50)


def test_pairing_sees_a_small_but_steady_gain():
    better, worse = chips(4, quality=0.72), chips(4, quality=0.70)
    difference = paired_bootstrap(better, worse, resamples=300)
    assert difference.low > 0
    assert paired_bootstrap(worse, better, resamples=300).high < 0
    alone = bootstrap(better, resamples=300).water_iou_pooled
    assert difference.high - difference.low < (alone.high - alone.low) / 3


def test_other_chips_are_refused():
    with pytest.raises(ContractError, match="same chips"):
        paired_bootstrap(chips(1), chips(1)[1:])


def test_dry_everywhere_has_no_iou_interval():
    dry = [
        ChipConfusion(
            chip="a",
            event="A",
            confusion=Confusion(true_positive=0, false_positive=0, false_negative=0, true_negative=9),
        )
    ]
    assert bootstrap(dry, resamples=20).water_iou_pooled is None
    with pytest.raises(ContractError):
        bootstrap([])
