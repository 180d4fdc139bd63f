"""A flood in numbers: of the event, of one pass, and whether that is worth a reader's attention."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, PlainSerializer

from pipeline_lib.model.record import Record

Moment = Annotated[AwareDatetime, PlainSerializer(datetime.isoformat, return_type=str, when_used="json")]
"""A moment with its offset from UTC, as JSON in ISO 8601 (``2025-10-30T05:35:29.904127+00:00``)."""


class EventState(StrEnum):
    """Where the event stands."""

    RISING = "rising"
    PEAK = "peak"
    RECEDING = "receding"
    OVER = "over"
    NONE = "no flood seen"


class EventFigures(Record):
    """An event in numbers: areas in square kilometres, shares of the area of interest (0 to 1)."""

    flood_area_km2: float
    flood_area_low_km2: float
    """Lower end of the range of `pipeline_lib.flood.series.area_range`."""
    flood_area_high_km2: float
    """Upper end of it."""
    open_flood_km2: float
    flooded_vegetation_km2: float
    flooded_town_km2: float
    water_area_km2: float
    """Flood and reference water."""
    reference_water_km2: float
    area_of_interest_km2: float
    observed_share: float
    """Seen by a pass, whether the radar could tell or not."""
    usable_share: float
    """Seen, and the radar could tell."""
    excluded_share: float
    """Seen, and the radar could not tell."""
    high_ground_share: float
    """The part of ``excluded_share`` that is steep or high above drainage."""
    passes: int
    first_pass: Moment
    last_pass: Moment
    state: EventState
    peak_area_km2: float | None
    """Largest carried-forward area; None where no flood was seen."""
    peak_time: Moment | None
    """When it was reached."""
    significant: bool | None = None
    """Whether the event meets the rules of `Significance`; None where that was not asked."""

    @property
    def usable_land_km2(self) -> float:
        """Land on which the radar could tell, without reference water."""
        return self.area_of_interest_km2 * self.usable_share - self.reference_water_km2


class PassFigures(Record):
    """What one pass saw and what the event had become by then: square kilometres, shares of the area (0 to 1)."""

    time: Moment
    acquisition_id: str
    flood_km2: float
    flood_low_km2: float
    """Lower end of the range of `pipeline_lib.flood.series.area_range`."""
    flood_high_km2: float
    """Upper end of it."""
    open_flood_km2: float
    flooded_vegetation_km2: float
    flooded_town_km2: float
    flood_so_far_km2: float
    """Flooded in this pass or an earlier one."""
    flood_now_km2: float
    """Flooded in the newest view of each pixel."""
    observed_share: float
    usable_share: float


class Significance(Record):
    """Whether an event, or a pass, is worth a reader's attention, and why."""

    significant: bool
    anomaly: float | None
    """Flooded share of the usable land, in multiples of the share usually dark; None where that is unknown."""
    usual_dark_share: float | None
    """Share of land that the archive shows dark without a flood; None where the archive is too short to tell."""
    reasons: tuple[str, ...]
    """What was found beside each rule."""
