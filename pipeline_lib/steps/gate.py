"""Before an event is published: what its passes found, held against the publish-if rule."""

import math
from datetime import datetime
from pathlib import Path

from pipeline_lib.flood.series import QUANTITIES
from pipeline_lib.model import Grounds, PassVerdict, Product, Record
from pipeline_lib.options.gate import PublishIf
from pipeline_lib.options.publish import SignificanceOptions
from pipeline_lib.publish.contents import Publication
from pipeline_lib.publish.figures import significance
from pipeline_lib.publish.publication import read_record
from pipeline_lib.steps.mapped import Mapped
from pipeline_lib.steps.publish import publication_of
from pipeline_lib.store import Store

PUBLISHED = "Published"
BELOW_RULE = "Below threshold"
REJECTED = "Rejected"
AWAITING = "Awaiting approval"
MIRROR_BEHIND = "Published, mirror behind"


class Assessment(Record):
    """Whether an event may be published, and why."""

    event_id: str
    key: str
    """Of the publication: the same content has the same key, and is decided on once."""
    version: int
    """Published already; 0 where nothing is."""
    unchanged: bool
    """Whether that version has this very content."""
    worth: bool
    """An event that is published is revised whatever a new pass found, so that receding water is seen; another one is
    published if any of its passes is worth it."""
    rule: PublishIf
    passes: tuple[PassVerdict, ...]

    @property
    def reason(self) -> str:
        """One sentence on why the event is published or not."""
        best = max(self.passes, key=lambda one: (one.worth, one.flood_km2))
        text = f"{best.acquisition_id}: {'; '.join(best.reasons)}"
        if self.version:
            return f"revision of a published event ({text})"
        return text if self.worth else f"no pass is worth an event ({text})"

    @property
    def grounds(self) -> Grounds:
        """The rule and the verdict for the version's record."""
        return Grounds(rule=self.rule, passes=self.passes, reason=self.reason)


class Outcome(Record):
    """How a mapping run ended."""

    state: str
    """`PUBLISHED`, `BELOW_RULE`, `REJECTED` or `AWAITING`."""
    reason: str
    product: Product | None
    """What readers see now; None where nothing of the event is published."""
    assessment: Assessment
    failures: dict[str, str] = {}
    """Passes that could not be mapped, and why."""
    mirror: str = ""
    """Why the mirror lacks what was published; empty where it does not."""


def assess(mapped: Mapped, out: Path, rule: PublishIf, store: Store) -> Assessment:
    """Hold what each pass found against the rule; reads a few numbers, no raster.

    Raises:
        StoreError: a dataset is missing.
    """
    content = publication_of(mapped, store)
    before = read_record(out / mapped.plan.event.event_id)
    passes = _verdicts(content, rule)
    return Assessment(
        event_id=mapped.plan.event.event_id,
        key=content.key,
        version=0 if before is None else before.version,
        unchanged=before is not None and before.key == content.key,
        worth=before is not None or any(one.worth for one in passes),
        rule=rule,
        passes=passes,
    )


def _verdicts(content: Publication, rule: PublishIf) -> tuple[PassVerdict, ...]:
    """One a pass, in order of time."""
    usual = {
        one.planned.acquisition.acquisition_id: float(one.flood["archive_dark_share"])
        for one in content.passes
        if "archive_dark_share" in one.flood
    }
    areas = content.event["area_m2"].to_numpy() / 1e6
    named = zip(content.event.attrs["pass_ids"], content.event.attrs["pass_times"], areas.tolist(), strict=True)
    return tuple(
        _verdict(
            (identity, datetime.fromisoformat(time)),
            dict(zip(QUANTITIES, row, strict=True)),
            usual.get(identity, math.nan),
            rule,
        )
        for identity, time, row in named
    )


def _verdict(which: tuple[str, datetime], km2: dict[str, float], usual: float, rule: PublishIf) -> PassVerdict:
    """The significance of one pass by itself, and how much of the area it saw."""
    total = max(km2["total"], 1e-9)
    observed = km2["observed"] / total
    options = SignificanceOptions(min_area_km2=rule.min_flood_km2, min_anomaly=rule.min_anomaly)
    found = significance(round(km2["flood"], 6), km2["usable"] - km2["reference"], [usual], options)
    anomaly = found.anomaly
    told = [
        _told(f"{km2['flood']:,.2f} km2 flooded", rule.min_flood_km2, f"{rule.min_flood_km2:g} km2"),
        _told(f"{observed:.0%} of the area observed", rule.min_observed_share, f"{rule.min_observed_share:.0%}"),
    ]
    if anomaly is not None:
        usually = f"{anomaly:g} times the flood that its history shows on dry days"
        told.insert(1, _told(usually, rule.min_anomaly, f"{rule.min_anomaly:g} times"))
    return PassVerdict(
        acquisition_id=which[0],
        start=which[1],
        flood_km2=round(km2["flood"], 6),
        observed_share=round(observed, 4),
        anomaly=anomaly,
        worth=found.significant and observed >= rule.min_observed_share,
        reasons=tuple(told),
    )


def _told(found: str, wanted: float, words: str) -> str:
    """What was found, and the rule where there is one."""
    return f"{found} (rule: at least {words})" if wanted else found
