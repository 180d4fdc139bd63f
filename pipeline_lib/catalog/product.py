"""Which product of each pass is mapped and with which references, so that what is compared was made alike.

docs/adr/0016-the-product-is-chosen-with-its-references.md says why.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from shapely.geometry import shape

from pipeline_lib.catalog.footprint import area_m2, share_beyond, union_of
from pipeline_lib.catalog.merge import same_passes
from pipeline_lib.catalog.select import references_for
from pipeline_lib.model import Acquisition, CatalogReference, Event, PlannedPass, ProductType
from pipeline_lib.options.search import Mixture, PlanOptions

COVER_MARGIN = 0.01
"""A product that shows so much more of the area than another one, as a share of it, covers more."""
RIM_M = 500.0
"""Strips narrower than twice this do not count: a GRD footprint holds the dark rim that terrain correction cuts off."""
RIM_SHARE = 0.2
"""The rim is at most this share of the side of the area, so that a small area is not all rim."""

Take = tuple[PlannedPass, ...]
"""A pass as one product: one acquisition, or several where sensing broke off between slices."""


def choose_passes(
    passes: Iterable[Acquisition],
    candidates: Iterable[Acquisition],
    event: Event,
    options: PlanOptions,
    *,
    elevation: bool = True,
    catalogs: Sequence[CatalogReference] = (),
) -> tuple[tuple[PlannedPass, ...], list[str]]:
    """Passes of the event, each as one product with its references, in order of time.

    Args:
        passes: of the event; a pass that exists as several products is here as each.
        candidates: passes that may be compared with, as `passes`.
        event: where and when.
        options: of the plan.
        elevation: whether there is an elevation model, without which GRD cannot be placed on the map.
        catalogs: in the order in which they are preferred.

    Returns:
        The passes, and notes on what was left out or is weak.
    """
    usable, notes = _usable(passes, options, elevation=elevation)
    pool = [one for one in candidates if elevation or one.product is not ProductType.GRD]
    chosen: list[PlannedPass] = []
    area = shape(event.aoi)
    detected = 0
    for group in same_passes(usable):
        takes = sorted(_takes(group, pool, event, options), key=lambda take: _place(take, catalogs))
        best = max(takes, key=lambda take: _worth(take, takes, area, options))
        chosen += best
        detected += len(takes) == 1 and best[0].acquisition.product is ProductType.GRD
        notes += _choice_notes(best, takes, area, options)
        for planned in best:
            notes += _reference_notes(planned, pool, options)
    if detected and detected < len(chosen):
        notes.append(f"{detected} pass(es) exist as GRD only and are terrain-corrected here.")
    return tuple(sorted(chosen, key=lambda one: (one.acquisition.start, one.acquisition.acquisition_id))), notes


def of_most_cover(passes: Iterable[Acquisition], area: Any) -> list[list[list[Acquisition]]]:
    """Each pass as each of its products, in order of time; of its products the best one first.

    References are not looked at: this is for who asks whether a pass is there, and whole.

    Args:
        passes: as each product that they exist as.
        area: lon/lat geometry that they are wanted for.
    """
    ordered = []
    for group in same_passes(passes):
        takes = _by_make(group)
        best = {id(take): (_is_beaten(take, takes, area), take[0].product is not ProductType.RTC) for take in takes}
        takes.sort(key=lambda take: best[id(take)])
        ordered.append(takes)
    return ordered


def shows_more(one: Iterable[Acquisition], other: Iterable[Acquisition], area: Any) -> bool:
    """Whether a product of a pass shows so much of an area that another does not show that it covers more."""
    mine, theirs = (union_of([item.footprint for each in take for item in each.slices]) for take in (one, other))
    rim = min(RIM_M, RIM_SHARE * area_m2(area) ** 0.5)
    return share_beyond(area, mine, theirs, rim_m=rim) > COVER_MARGIN


def cover_of(take: Iterable[Acquisition]) -> float:
    """Share of the area, 0 to 1, of acquisitions that lie one after the other."""
    return min(1.0, sum(one.coverage for one in take))


def _usable(
    passes: Iterable[Acquisition], options: PlanOptions, *, elevation: bool
) -> tuple[list[Acquisition], list[str]]:
    """Acquisitions that can be mapped, and why others cannot."""
    usable: list[Acquisition] = []
    reasons: dict[str, str] = {}
    for one in sorted(passes, key=lambda item: (item.start, item.acquisition_id)):
        if not one.polarisations:
            reasons[one.acquisition_id] = "has no usable polarisation and is left out."
        elif one.coverage < options.min_coverage:
            reasons[one.acquisition_id] = f"covers {one.coverage:.2%} of the area and is left out."
        elif one.product is ProductType.GRD and not elevation:
            reasons[one.acquisition_id] = (
                "exists as GRD, in radar geometry, and no elevation model to place it on the map was found: it is left "
                "out. Name a catalogue that has one, or a file, with --dem-catalog (search: dem_catalog)."
            )
        else:
            usable.append(one)
    mapped = [group[0] for group in same_passes(usable)]
    notes = [
        f"{name} {reason}" for name, reason in reasons.items() if not any(name == one.acquisition_id for one in mapped)
    ]
    return usable, notes


def _by_make(group: Iterable[Acquisition]) -> list[list[Acquisition]]:
    """The acquisitions of one pass by the product that they are."""
    found: dict[str, list[Acquisition]] = {}
    for one in group:
        found.setdefault(one.make, []).append(one)
    return list(found.values())


def _takes(group: Iterable[Acquisition], pool: Sequence[Acquisition], event: Event, options: PlanOptions) -> list[Take]:
    """Every product of a pass with the references that it would be compared with."""
    return [
        tuple(PlannedPass(acquisition=one, references=_references(one, pool, event, options)) for one in take)
        for take in _by_make(group)
    ]


def _references(
    one: Acquisition, pool: Sequence[Acquisition], event: Event, options: PlanOptions
) -> tuple[Acquisition, ...]:
    """References made as the pass was; where there is none, and the options allow it, those of another make."""
    alike = references_for(one, pool, event, options)
    if alike or options.mixture is Mixture.NEVER:
        return alike
    others = [references_for(one, pool, event, options, make=make) for make in sorted({other.make for other in pool})]
    return max(
        others, key=lambda found: (len(found), found[0].product is ProductType.RTC if found else False), default=()
    )


def _is_beaten(take: list[Acquisition], takes: Iterable[list[Acquisition]], area: Any) -> bool:
    """Whether another product of the pass covers more, and this one does not cover more elsewhere."""
    return any(
        shows_more(other, take, area) and cover_of(other) > cover_of(take) for other in takes if other is not take
    )


def _worth(take: Take, takes: Sequence[Take], area: Any, options: PlanOptions) -> tuple[object, ...]:
    """How good it is to map a pass as this product, the most important first."""
    others = [_acquisitions(other) for other in takes]
    fewest = min(len(planned.references) for planned in take)
    return (
        not _is_beaten(_acquisitions(take), others, area),
        fewest > 0,
        not any(planned.is_mixture for planned in take),
        min(fewest, options.few_references),
        _polarisations(take),
        take[0].acquisition.product is ProductType.RTC,
        fewest,
    )


def _acquisitions(take: Take) -> list[Acquisition]:
    """A pass as one product, without what it is compared with."""
    return [planned.acquisition for planned in take]


def _place(take: Take, catalogs: Sequence[CatalogReference]) -> int:
    """How early the catalogue of a product was named: of equals the first is taken."""
    catalog = take[0].acquisition.slices[0].catalog
    return catalogs.index(catalog) if catalog in catalogs else len(catalogs)


def _polarisations(take: Take) -> int:
    """How many polarisations can be compared."""
    return min(
        len(set(planned.acquisition.polarisations).intersection(*(one.polarisations for one in planned.references)))
        for planned in take
    )


def _choice_notes(best: Take, takes: Sequence[Take], area: Any, options: PlanOptions) -> list[str]:
    """Why a pass that exists terrain-corrected is mapped from GRD; that a pass is compared with another make."""
    notes = []
    chosen = best[0].acquisition
    corrected = [take for take in takes if take[0].acquisition.product is ProductType.RTC]
    if corrected and chosen.product is not ProductType.RTC:
        notes.append(
            f"{chosen.acquisition_id} is mapped from {chosen.make}: {_worse(corrected[0], best, area, options)}."
        )
    for planned in best:
        if planned.is_mixture:
            one, other = planned.acquisition, planned.references[0]
            notes.append(
                f"{one.acquisition_id} exists as {one.make} and what it is compared with as {other.make} alone: the "
                "gain between both is measured on stable ground and taken off, or the comparison is left out."
            )
    return notes


def _worse(corrected: Take, best: Take, area: Any, options: PlanOptions) -> str:
    """In what a terrain-corrected product of a pass is worse than the one that is mapped."""
    name = corrected[0].acquisition.make
    if shows_more(_acquisitions(best), _acquisitions(corrected), area):
        cover = cover_of(_acquisitions(corrected))
        return f"as {name} it covers {cover:.1%} of the area"
    fewest = min(len(planned.references) for planned in corrected)
    if any(planned.is_mixture for planned in corrected) or not fewest:
        return f"its references do not exist as {name}"
    if fewest < min(options.few_references, *(len(planned.references) for planned in best)):
        return f"only {fewest} of its references exist as {name}"
    return f"as {name} it has fewer polarisations in common with its references"


def _reference_notes(planned: PlannedPass, pool: Sequence[Acquisition], options: PlanOptions) -> list[str]:
    one, references = planned.acquisition, planned.references
    if one.relative_orbit is None or one.orbit_direction is None:
        return [f"{one.acquisition_id} has no known relative orbit, hence no reference: it is mapped by itself."]
    orbit = f"relative orbit {one.relative_orbit} {one.orbit_direction}"
    if not references:
        same_orbit = [other for other in pool if other.relative_orbit == one.relative_orbit]
        alike = sum(other.make == one.make for other in same_orbit)
        reason = (
            f"{len(same_orbit)} were found, {alike} of them {one.make}, none fits" if same_orbit else "none was found"
        )
        return [f"{one.acquisition_id} has no reference on {orbit} ({reason}): it is mapped by itself."]
    notes = []
    if len(references) < options.few_references:
        notes.append(
            f"{one.acquisition_id} has only {len(references)} reference(s) on {orbit}: the comparison is weak."
        )
    if all(other.platform != one.platform for other in references):
        platforms = ", ".join(sorted({other.platform for other in references}))
        notes.append(f"{one.acquisition_id} is compared with another satellite of the same orbit ({platforms}).")
    return notes
