"""Which acquisitions a pass may be compared with, and what of an area and a time nothing is seen of."""

import itertools
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from shapely.geometry import shape

from pipeline_lib.catalog.footprint import area_m2, geometry_of, share_of, union_of
from pipeline_lib.model import Acquisition, CatalogItem, Event, Grid, PlannedPass
from pipeline_lib.model.instant import as_utc
from pipeline_lib.options.search import Period, PlanOptions

LONG_GAP = timedelta(days=7)
"""A stretch of the event without a pass that the plan mentions."""
OPTICAL_HALF_LIFE = timedelta(days=30)
"""An optical pass this much older is worth half."""


def references_for(
    one: Acquisition,
    candidates: Iterable[Acquisition],
    event: Event,
    options: PlanOptions,
    *,
    make: str | None = None,
) -> tuple[Acquisition, ...]:
    """Newest acquisitions before the event that look at the same ground in the same way, oldest first.

    The same relative orbit and direction mean the same incidence angle and the same layover and shadow, whichever
    satellite flew it: S1A, S1B, S1C and S1D share the reference orbit. What made the product is the same too
    (`Acquisition.make`), because RTC of the archive and our own GRD processing differ by tenths of a decibel. One
    reference without VH would leave all of them without: it is taken only where too few have what the pass has.

    Args:
        one: the pass.
        candidates: that may be references.
        event: before which they are.
        options: of the plan.
        make: what made the references; as the pass, where None.
    """
    if one.relative_orbit is None or one.orbit_direction is None:
        return ()
    latest = event.start - timedelta(days=options.guard_days)
    seen = footprint_over(event, one)
    fitting = [
        other
        for other in candidates
        if (other.relative_orbit, other.orbit_direction, other.make)
        == (one.relative_orbit, one.orbit_direction, make or one.make)
        and other.end <= latest
        and not any(_within(other, period) for period in options.wet_periods)
        and set(one.polarisations[:1]) <= set(other.polarisations)
        and share_of(seen, _footprint(other)) >= options.min_reference_overlap
    ]
    whole = [other for other in fitting if set(one.polarisations) <= set(other.polarisations)]
    fitting = whole if len(whole) >= options.few_references else fitting
    fitting.sort(key=lambda other: (other.start, other.acquisition_id))
    return tuple(fitting[-options.max_references :]) if options.max_references else ()


def choose_optical(
    found: Iterable[Acquisition], event: Event, grid: Grid, options: PlanOptions
) -> tuple[tuple[Acquisition, ...], list[str]]:
    """Sentinel-2 passes that show the area before the event, the best few, in order of time; why there are none.

    As radar references they end ``guard_days`` before the event. Best is what shows most of the area without cloud, a
    pass that is `OPTICAL_HALF_LIFE` older counting half.
    """
    latest = event.start - timedelta(days=options.guard_days)
    before = [one for one in found if one.end <= latest]
    if not before or not options.optical_passes:
        return (), []
    size = grid.shape[0] * grid.shape[1] / 1e6
    if size > options.optical_max_mpx:
        limit = f"{size:,.0f} million pixels, more than optical_max_mpx of {options.optical_max_mpx:g}"
        return (), [f"Sentinel-2 before the event is left out: the grid has {limit}."]

    def worth(one: Acquisition) -> float:
        """Share of the area that the pass shows, less for its age."""
        return float(one.coverage * (1 - _cloud_share(one)) * 0.5 ** ((latest - one.end) / OPTICAL_HALF_LIFE))

    best = sorted(before, key=lambda one: (-worth(one), one.acquisition_id))[: options.optical_passes]
    return tuple(sorted(best, key=lambda one: (one.start, one.acquisition_id))), []


def _cloud_share(one: Acquisition) -> float:
    """Cloud over an optical pass as its catalogue says, the mean of its tiles; unknown counts as half."""
    values = [item.facts.get("eo:cloud_cover") for item in one.slices]
    known = [float(value) / 100 if isinstance(value, (int, float)) else 0.5 for value in values]
    return sum(known) / len(known)


def gap_notes(chosen: Iterable[PlannedPass], event: Event) -> list[str]:
    """Notes on what no pass sees and on long stretches without one."""
    passes = [planned.acquisition for planned in chosen]
    area = shape(event.aoi)
    seen = share_of(area, union_of([item.footprint for one in passes for item in one.slices]))
    notes = [f"{1 - seen:.1%} of the area is seen by no pass of the event."] if seen < 0.9995 else []
    notes += [f"{one.acquisition_id} covers {one.coverage:.1%} of the area." for one in passes if one.coverage < 0.9995]
    moments: list[datetime] = [event.start, *sorted(one.start for one in passes), event.end]
    for before, after in itertools.pairwise(moments):
        if after - before > LONG_GAP:
            notes.append(f"No pass for {(after - before).days} days, from {before:%Y-%m-%d} to {after:%Y-%m-%d}.")
    return notes


def ancillary_notes(name: str, items: Iterable[CatalogItem], event: Event, without: str) -> list[str]:
    """A note where tiles of an ancillary layer are missing or cover only part of the area."""
    area = shape(event.aoi)
    share = share_of(area, union_of([item.footprint for item in items]))
    if share >= 0.999:
        return []
    how_much = "does not cover the area" if share == 0 else f"covers {share:.1%} of the area"
    return [f"{name} {how_much}; {without}."]


def footprint_over(event: Event, one: Acquisition) -> Any:
    """What an acquisition sees of the area, lon/lat geometry."""
    seen = _footprint(one).intersection(shape(event.aoi))
    return seen if area_m2(seen) > 0 else _footprint(one)


def _footprint(one: Acquisition) -> Any:
    return geometry_of(one.slices[0].footprint) if len(one.slices) == 1 else union_of([i.footprint for i in one.slices])


def _within(one: Acquisition, period: Period) -> bool:
    return one.start <= as_utc(period.end) and one.end >= as_utc(period.start)
