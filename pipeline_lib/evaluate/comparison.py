"""Two methods on the same chips: how much better one is, and whether that is more than the choice of the chips."""

from pipeline_lib.errors import ContractError
from pipeline_lib.evaluate.document import Evaluation
from pipeline_lib.evaluate.intervals import RESAMPLES, Interval, paired_bootstrap
from pipeline_lib.evaluate.summary import ChipConfusion
from pipeline_lib.model import Record


class Difference(Record):
    """Pooled water IoU of one method minus that of another, on the same chips."""

    one: str
    other: str
    water_iou_pooled: float | None
    """None where either has no IoU."""
    interval: Interval | None
    """95 % paired bootstrap over events, then chips; None where most resamples have no IoU."""

    @property
    def is_sure(self) -> bool:
        """Whether the interval lies on one side of zero."""
        return self.interval is not None and (self.interval.low > 0 or self.interval.high < 0)


def difference(one: Evaluation, other: Evaluation, *, resamples: int = RESAMPLES, seed: int = 0) -> Difference:
    """Compare two evaluations of the same chips and the same kind of label.

    Raises:
        ContractError: the labels mean different things, the chips are not the same, or none has a valid pixel.
    """
    meanings = one.reference.label_meaning, other.reference.label_meaning
    if meanings[0] != meanings[1]:
        raise ContractError(
            f"The labels mean {meanings[0]!r} and {meanings[1]!r}: such scores cannot be compared: take one set."
        )
    ious = one.scores.pooled.water_iou, other.scores.pooled.water_iou
    return Difference(
        one=one.subject.name,
        other=other.subject.name,
        water_iou_pooled=None if ious[0] is None or ious[1] is None else ious[0] - ious[1],
        interval=paired_bootstrap(_chips(one), _chips(other), resamples=resamples, seed=seed),
    )


def _chips(evaluation: Evaluation) -> list[ChipConfusion]:
    """Counts by chip, in the order of their names."""
    rows = sorted(evaluation.chips, key=lambda row: (row.event, row.chip))
    return [ChipConfusion(chip=row.chip, event=row.event, confusion=row.scores.confusion) for row in rows]
