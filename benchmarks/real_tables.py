"""Figures of one method on the protocol's blocks of real chips, and their tables."""

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.datasets import Chip
from pipeline_lib.evaluate import ChipConfusion, bootstrap, calibrate_scores, confusion, pool, reliability, score
from pipeline_lib.model import DRY, WATER
from pipeline_lib.steps.answer import Answer

WET_SHARE = 0.01
"""A chip counts for the mean and the median from this share of water on."""


def judged(chip: Chip, answer: Answer) -> ChipConfusion:
    """Counts of one chip; what is left unmapped counts as dry."""
    mapped = np.where(answer.water == WATER, np.uint8(WATER), np.uint8(DRY))
    return ChipConfusion(
        chip=f"{chip.dataset}/{chip.chip_id}", event=chip.event, confusion=confusion(mapped, chip.truth())
    )


def water_row(chips: list[Chip], answers: list[Answer]) -> dict[str, object]:
    """One method's figures on the labelled chips."""
    counts = [judged(chip, answer) for chip, answer in zip(chips, answers, strict=True)]
    shares = [water_share(chip.truth()) for chip in chips]
    wet = [one for one, share in zip(counts, shares, strict=True) if share >= WET_SHARE]
    dry = [score_of_dry(one) for one, share in zip(counts, shares, strict=True) if share == 0]
    ious = [score(one.confusion).water_iou or 0.0 for one in wet]
    every, of_wet = bootstrap(counts), bootstrap(wet)
    row: dict[str, object] = {
        "pooled": score(pool(one.confusion for one in counts)).water_iou,
        "pooled interval": interval(every.water_iou_pooled),
        "mean": float(np.mean(ious)),
        "mean interval": interval(of_wet.water_iou_per_chip_mean),
        "median": float(np.median(ious)),
        "dry chips": max(dry, default=0.0),
        "chips": {one.chip: score(one.confusion).water_iou for one in counts},
    }
    if all(answer.likelihood is not None for answer in answers):
        parts = [reliability(answer.likelihood, chip.truth()) for chip, answer in zip(chips, answers, strict=True)]
        row["ECE"] = calibrate_scores(parts).ece_pooled
        row["ECE of events"] = events_ece(chips, parts)
    return row


def water_share(truth: NDArray[np.uint8]) -> float:
    return float((truth == WATER).sum() / (truth <= WATER).sum())


def score_of_dry(one: ChipConfusion) -> float:
    alarms, right = one.confusion.false_positive, one.confusion.true_negative
    return alarms / max(alarms + right, 1)


def events_ece(chips: list[Chip], parts: list) -> float:
    """Mean over events of each event's own calibration error."""
    events = sorted({chip.event for chip in chips})
    each = [
        calibrate_scores([part for chip, part in zip(chips, parts, strict=True) if chip.event == event]).ece_pooled
        for event in events
    ]
    return float(np.mean(each))


def interval(found) -> list[float] | None:
    return None if found is None else [round(found.low, 3), round(found.high, 3)]


def sea_row(chips: list[Chip], answers: list[Answer]) -> dict[str, object]:
    """Recall of the sea by date, all cells pooled."""
    seen: dict[str, list[int]] = {}
    for chip, answer in zip(chips, answers, strict=True):
        sea = chip.truth() == WATER
        sums = seen.setdefault(chip.chip_id.split("/")[1], [0, 0])
        sums[0] += int((answer.water[sea] == WATER).sum())
        sums[1] += int(sea.sum())
    return {date: hit / total for date, (hit, total) in seen.items()}


def flood_row(chips: list[Chip], answers: list[Answer]) -> dict[str, object]:
    counts = [judged(chip, answer) for chip, answer in zip(chips, answers, strict=True)]
    found = score(pool(one.confusion for one in counts))
    return {
        "IoU": found.water_iou,
        "precision": found.water_precision,
        "recall": found.water_recall,
        "chips": {one.chip: score(one.confusion).water_iou for one in counts},
    }


HEADER = """# Real radar, events not seen

Made by `make real` (benchmarks/real.py). *network NAME SEED* and *fused NAME SEED* are answers of networks that were
trained by the recipe NAME without any chip of the event in question, and calibrated without it, alone and in the pool
of the default detector. *Labelled chips*: water IoU pooled over all chips of Sen1Floods11, STAC Overflow and DFC2024,
mean and median of those with at least 1 % water, the largest share of a dry chip that was called water, calibration
error over all pixels and in the mean of the events; in brackets the 95 % interval by bootstrap over events, then
chips. DFC2024, whose chips come with an elevation model and long-term water, counts as one event. *Sea*: recall of the
sea off Puerto Rico on five dates. *Flood*: agreement with the automatic GFM product after Hurricane Maria, three passes
before as references. The network's threshold (0.2) and its share in the pool (0.6) were chosen on these tables.

"""


def markdown(tables: dict[str, dict[str, dict[str, object]]]) -> str:
    """The tables of a page."""
    lines = []
    for block, title in (("water", "Labelled chips"), ("vv", "VV alone"), ("sea", "Sea"), ("flood", "Flood")):
        rows = tables[block]
        if not rows:
            continue
        columns = list(
            dict.fromkeys(name for row in rows.values() for name, value in row.items() if isinstance(value, float))
        )
        chips = sorted({chip for row in rows.values() for chip, iou in row.get("chips", {}).items() if iou is not None})
        lines += [f"## {title}", "", "| method | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
        for name, row in rows.items():
            cells = [shown(row.get(column), row.get(f"{column} interval")) for column in columns]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        lines.append("")
        if chips:
            short = [chip.split("/", 1)[1] for chip in chips]
            lines += ["| method | " + " | ".join(short) + " |", "|---" * (len(chips) + 1) + "|"]
            lines += [
                f"| {name} | " + " | ".join(shown(row["chips"].get(chip)) for chip in chips) + " |"
                for name, row in rows.items()
            ]
            lines.append("")
    return "\n".join(lines)


def shown(value: object, around: object = None) -> str:
    if not isinstance(value, float):
        return "-"
    return f"{value:.3f}" + (f" [{around[0]:.2f}, {around[1]:.2f}]" if isinstance(around, list) else "")
