"""What runs hand on and leave behind: stored datasets, published products, scores."""

from datetime import datetime

from pipeline_lib.model.figures import EventFigures
from pipeline_lib.model.record import Record


class Stored(Record):
    """A dataset in the store: all that crosses a task boundary instead of pixels."""

    href: str
    """Path or URL of the small file that names its Zarr group."""
    kind: str
    """``scene``, ``history``, ``terrain``, ``water``, ``flood``, ``event``."""
    key: str
    """Digest of everything the dataset was made from."""


class Product(Record):
    """A published event."""

    event_id: str
    version: int
    """1, 2, 3 ...: grows with every revision."""
    collection_href: str
    """The STAC collection of this version."""
    page_href: str
    """``index.html``."""
    quicklook_href: str
    figures: EventFigures
    plan_digest: str
    software: str
    """``overbank <version>``."""
    published: datetime


class Confusion(Record):
    """Pixel counts of a binary comparison on common valid pixels; positive = water (or flood)."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int
    ignored: int = 0
    """Pixels left out: no data or no label on either side."""

    @property
    def water_iou(self) -> float | None:
        """Intersection over union of water, TP / (TP + FP + FN); None where neither side has water."""
        union = self.true_positive + self.false_positive + self.false_negative
        return self.true_positive / union if union else None

    def __add__(self, other: "Confusion") -> "Confusion":
        """Pool two comparisons."""
        mine, theirs = self.model_dump(), other.model_dump()
        return Confusion(**{name: mine[name] + theirs[name] for name in mine})
