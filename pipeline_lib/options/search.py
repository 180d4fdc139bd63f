"""Options of the two steps that decide everything: search and plan."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from pipeline_lib.options.base import Options


class ProductChoice(StrEnum):
    """Which Sentinel-1 product to work with."""

    AUTO = "auto"
    """Per pass with its references: what covers most; of equal cover RTC, if its references are RTC too."""
    RTC = "RTC"
    GRD = "GRD"


class Mixture(StrEnum):
    """What to do with a pass whose references exist as another product alone (RTC, GRD, RTC of another maker)."""

    GAIN = "gain"
    """Measure the gain between both on stable ground and take it off; compare nothing where it cannot be measured."""
    NEVER = "never"
    """Map the pass by itself."""


class SearchOptions(Options):
    """How to ask a catalogue, and how long to insist."""

    product: ProductChoice = ProductChoice.AUTO
    """Sentinel-1 product."""
    reference_days: int = Field(default=400, ge=0, le=4000)
    """How far before the event references are looked for, days."""
    optical: bool = True
    """Look for Sentinel-2 as well; the plan decides what is used of it."""
    optical_days: int = Field(default=90, ge=0, le=4000)
    """How far before the event Sentinel-2 is looked for, days."""
    max_cloud_percent: float = Field(default=80.0, ge=0, le=100)
    """Sentinel-2 tiles with more cloud are left out, percent."""
    dem_catalog: str | None = None
    """Where the elevation model comes from: a catalogue, or a raster; the first catalogue that has one where None."""
    page_size: int = Field(default=250, ge=1, le=10_000)
    """Items asked for per page; a catalogue may give fewer."""
    max_items: int = Field(default=20_000, ge=1)
    """A search that finds more is refused: the area or the period is too large for one event."""
    request_timeout_s: float = Field(default=30.0, gt=0)
    """Longest wait for one answer to begin, and between two pieces of it, seconds."""
    total_time_s: float = Field(default=300.0, gt=0)
    """Longest time for the whole search, waits between attempts included, seconds."""
    attempts: int = Field(default=6, ge=1, le=50)
    """How often one request is tried."""
    backoff_s: float = Field(default=1.0, ge=0)
    """First wait between attempts, seconds; doubles each time, with jitter, unless the server names a time."""
    max_backoff_s: float = Field(default=60.0, ge=0)
    """Longest wait between attempts that overbank chooses itself, seconds."""


class Period(Options):
    """A span of time, both ends included."""

    start: datetime
    end: datetime


class PlanOptions(Options):
    """Which pixels and which comparisons a run is made of."""

    pixel_m: float = Field(default=10.0, gt=0, le=1000)
    """Pixel size of the event's grid, metres."""
    max_references: int = Field(default=12, ge=0, le=200)
    """Newest acquisitions before the event that each pass is compared with, at most."""
    few_references: int = Field(default=3, ge=0)
    """Below this number the plan says that the comparison is weak."""
    guard_days: float = Field(default=6.0, ge=0)
    """References end at least so long before the event starts: a flood is often older than its first report, days."""
    wet_periods: tuple[Period, ...] = ()
    """Earlier floods, snow melt, irrigation: no reference is taken from these."""
    min_coverage: float = Field(default=0.001, ge=0, le=1)
    """A pass that covers a smaller share of the area is left out."""
    min_reference_overlap: float = Field(default=0.5, ge=0, le=1)
    """A reference covers at least this share of what the pass sees of the area."""
    optical_passes: int = Field(default=3, ge=0, le=20)
    """Sentinel-2 passes before the event that the picture of the time before is made of, at most."""
    optical_max_mpx: float = Field(default=30.0, ge=0)
    """Larger grids do without Sentinel-2, which costs several times as much to read as a pass, millions of pixels."""
    mixture: Mixture = Mixture.GAIN
    """A pass that exists as one product alone and its references as another."""
    require_references: bool = True
    """Refuse an event for which no pass at all has a reference."""
