"""What a version of an event is made of."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import xarray as xr
from shapely.geometry import shape

from pipeline_lib.content import digest_of_file
from pipeline_lib.model import DetectorUsed, Grounds, MappingPlan, PlannedPass, digest_of
from pipeline_lib.options.publish import PublishOptions
from pipeline_lib.publish.zonal import CLASS_MARK
from pipeline_lib.water.making import made_by

FORMAT = 4
"""Of what is written; a new one makes every version anew."""


def written_with(options: PublishOptions) -> dict[str, Any]:
    """Options of publishing as far as they decide what is written: zones and exposure by what is in their files."""
    chosen = options.model_dump(mode="json", exclude={"lock_wait_s", "zones", "exposure"})
    exposure = {name: _content(place) for name, place in options.exposure.items()}
    return {**chosen, "zones": [_content(place) for place in options.zones], "exposure": exposure}


def _content(place: str) -> list[str]:
    """A file of this machine by its digest; what lies elsewhere by its address."""
    path, mark, _ = place.partition(CLASS_MARK)
    return [digest_of_file(Path(path)), mark] if Path(path).is_file() else [place]


@dataclass(frozen=True, kw_only=True)
class PublishedPass:
    """One pass, opened lazily."""

    planned: PlannedPass
    scene: xr.Dataset
    flood: xr.Dataset
    key: str
    """Of the stored FloodMap: same key, same pixels."""

    @property
    def made_by(self) -> DetectorUsed:
        """What found the water of the pass."""
        return made_by(self.flood)


@dataclass(frozen=True, kw_only=True)
class Publication:
    """Everything a version is made of."""

    plan: MappingPlan
    passes: tuple[PublishedPass, ...]
    """In order of time."""
    event: xr.Dataset
    event_key: str
    options: PublishOptions
    software: str
    environment: dict[str, str]
    """Versions of whatever can change a pixel."""
    published: datetime
    decision: Grounds | None = None
    """Why this may be published; no part of the key."""

    @property
    def key(self) -> str:
        """Same key, same version: publishing again changes nothing."""
        event = self.plan.event
        return digest_of(
            {
                "passes": [one.key for one in self.passes],
                "event": [self.event_key, event.event_id, event.title, event.aoi],
                "options": written_with(self.options),
                "software": self.software,
                "format": FORMAT,
            }
        )

    @property
    def longitude(self) -> float:
        """Longitude of the middle of the area, degrees; 180 where it lies over the antimeridian."""
        area = shape(self.plan.event.aoi)
        west, _, east, _ = area.bounds
        return 180.0 if west <= -180 and east >= 180 else float(area.centroid.x)

    def smaller(self, preview_px: int) -> "Publication":
        """The same with coarser pictures."""
        return replace(self, options=self.options.model_copy(update={"preview_px": preview_px}))
