"""What is recorded of a version, as its ``record.json``: what the next version and every command read."""

from typing import Any, Literal, NamedTuple

from pydantic import JsonValue

from pipeline_lib.model import (
    CatalogReference,
    DetectorUsed,
    EventFigures,
    Grid,
    Grounds,
    Moment,
    PassFigures,
    Record,
    Significance,
)
from pipeline_lib.options.detect import DetectorChoice

StacAssets = dict[str, dict[str, Any]]
"""STAC asset objects by name: ``href`` relative to their item's folder, ``title``, ``file:size`` ..."""


class ZoneArea(Record):
    """Area of each class in one unit, square kilometres."""

    name: str
    flooded_km2: float
    """The three kinds of flood together."""
    reference_water: float
    open_flood: float
    flooded_vegetation: float
    flooded_town: float
    radar_cannot_tell: float
    observed_share: float
    """Of the unit (0 to 1)."""


class Exposed(Record):
    """What lies in the flood."""

    what: str
    amount: int | float | None
    """None where the source does not reach the flood."""
    unit: str
    """``sum``, ``km2``, ``km`` or ``features``."""


class PolygonCount(Record):
    """How many flood polygons there are."""

    written: int
    left_out: int
    """Smaller than `PublishOptions.min_polygon_m2`, or beyond `PublishOptions.max_polygons`."""


class EventFiles(NamedTuple):
    """What is known once the files of the event's mosaic are written."""

    assets: StacAssets
    polygons: PolygonCount
    zones: tuple[ZoneArea, ...]
    exposure: tuple[Exposed, ...]


class PassRecord(Record):
    """What is kept of one pass."""

    key: str
    """Of the stored FloodMap: same key, same pixels."""
    made_by: DetectorUsed | None = None
    """What found the water; None where it was not recorded."""
    written_by: str
    """Digest of the key, the options of publishing and the format: same digest, same files."""
    time: Moment
    """Start of sensing."""
    slices: tuple[str, ...] = ()
    """Ids of its catalogue items."""
    references: tuple[str, ...] = ()
    """Acquisitions that it was compared with."""
    platform: str
    relative_orbit: int | None
    orbit_direction: str | None
    assets: StacAssets

    @property
    def mapped_by(self) -> str:
        """What found the water, in words."""
        return "not recorded" if self.made_by is None else self.made_by.words


class Provenance(Record):
    """What made the version."""

    software: str
    environment: dict[str, str]
    """Versions of whatever can change a pixel."""
    plan_digest: str
    decision: Grounds | None = None
    """Why it was published; None where nothing had to allow it."""
    catalog: CatalogReference
    grid: Grid
    options: dict[str, JsonValue]
    """Those of the plan as they were written: a later version may know other ones, and still reads the record."""
    detector: DetectorChoice | None = None
    """None where it was not recorded."""
    event_key: str
    dem: tuple[str, ...]
    """Ids of the elevation tiles."""
    water_occurrence: tuple[str, ...]
    """Ids of the tiles of long-term water."""


class VersionRecord(Record):
    """One version of an event, whole."""

    schema_version: Literal[2] = 2
    """A release that adds, renames or removes a field takes the next number, and reads the one before
    (`pipeline_lib.publish.records`)."""
    event_id: str
    title: str
    area: dict[str, Any]
    """Area of interest, GeoJSON in longitude and latitude."""
    version: int
    """1, 2, 3 ..."""
    key: str
    """Of what it was made of: publishing the same again changes nothing."""
    status: Literal["published", "retracted"]
    retracted_because: str | None = None
    """The reason that a person gave; None where it is not retracted."""
    published: Moment
    figures: EventFigures
    series: tuple[PassFigures, ...]
    """One a pass, in order of time."""
    significance: Significance
    rule: str
    """How passes were joined (`DeriveOptions.mosaic_rule`)."""
    epoch: Moment
    """Moment from which the hours of the event's layers count."""
    license: str
    minimum_mapping_unit_m2: float | None
    """Smaller flooded objects were dropped; None where that was not recorded."""
    notes: tuple[str, ...]
    """Of the plan."""
    passes: dict[str, PassRecord]
    """By acquisition, in order of time."""
    provenance: Provenance
    polygons: PolygonCount
    zones: tuple[ZoneArea, ...] = ()
    exposure: tuple[Exposed, ...] = ()
    event_assets: StacAssets
    changes: tuple[str, ...]
    """Against the version before."""

    @property
    def retracted(self) -> bool:
        """Whether a person took the event back."""
        return self.status == "retracted"
