"""An event that is mapped: what its stages left in the store, for those that publish it or decide on it."""

from collections.abc import Sequence

from pipeline_lib.model import MappingPlan, PlannedPass, Record, Stored


class Ancillaries(Record):
    """What every pass of an event shares."""

    terrain: Stored | None = None
    occurrence: Stored | None = None


class MappedPass(Record):
    """One pass, mapped."""

    planned: PlannedPass
    scene: Stored
    water: Stored
    flood: Stored
    optical_shift: Stored | None = None
    """Of `pipeline_lib.steps.optical.measure_optical_shift`; None where it was not compared with Sentinel-2."""


class Mapped(Record):
    """An event that may be published: the plan of what was done, its passes, what they share, and their mosaic."""

    plan: MappingPlan
    passes: tuple[MappedPass, ...]
    ancillaries: Ancillaries
    composite: Stored | None = None
    """Sentinel-2 before the event; None where there is none."""
    mosaic: Stored


def with_shifts(mapped: Mapped, shifts: Sequence[Stored]) -> Mapped:
    """The same with the shift of each pass against Sentinel-2, in the order of the passes."""
    pairs = zip(mapped.passes, shifts, strict=True)
    passes = tuple(one.model_copy(update={"optical_shift": shift}) for one, shift in pairs)
    return mapped.model_copy(update={"passes": passes})
