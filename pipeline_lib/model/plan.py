"""The plan: every decision of a run, taken before the first pixel is read, as a file a person can read."""

from typing import Any

from pipeline_lib.model.acquisition import Acquisition, CatalogItem, CatalogReference
from pipeline_lib.model.event import Event
from pipeline_lib.model.grid import Grid
from pipeline_lib.model.record import Record
from pipeline_lib.options.map_event import StepOptions


class PlannedPass(Record):
    """One pass to map and what it is compared with."""

    acquisition: Acquisition
    references: tuple[Acquisition, ...] = ()
    """Passes before the event on the same relative orbit and direction, any platform, oldest first."""

    @property
    def is_mixture(self) -> bool:
        """Whether the references were made otherwise than the pass, so that a gain between both must be measured."""
        return any(reference.make != self.acquisition.make for reference in self.references)


class MappingPlan(Record):
    """Everything a run will do. Its `digest` names the run: same plan, same result."""

    event: Event
    catalog: CatalogReference
    """Which was asked first; items without one of their own come from it."""
    more_catalogs: tuple[CatalogReference, ...] = ()
    """Which were asked after it, in order. Each item says which it comes from."""
    grid: Grid
    passes: tuple[PlannedPass, ...]
    """In order of time."""
    dem: tuple[CatalogItem, ...] = ()
    """Elevation tiles over the area; empty where the catalogue has none."""
    water_occurrence: tuple[CatalogItem, ...] = ()
    """Tiles of long-term water occurrence (percent) over the area; empty where the catalogue has none."""
    optical: tuple[Acquisition, ...] = ()
    """Sentinel-2 passes before the event that show it in ordinary times, in order of time; may be empty."""
    options: StepOptions = StepOptions()
    """Options of each step under its name; defaults for what an earlier version did not record."""
    contents: dict[str, str] = {}
    """Digests of what the plan names and does not hold: models, orbit files, units, code. They were so when the plan
    was made, and let its digest tell runs apart; keys of results are made of what is there when the result is."""
    notes: tuple[str, ...] = ()
    """What a person should know: decisions, gaps, fallbacks."""

    @property
    def identity(self) -> dict[str, Any]:
        """The plan without where catalogues are and the notes: neither changes a pixel."""
        identity = super().identity
        del identity["notes"], identity["more_catalogs"]
        return identity
