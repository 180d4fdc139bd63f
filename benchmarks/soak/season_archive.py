"""The world around the watch for `season`: an archive with its bad habits, and an orchestrator that runs and dies."""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from shapely.geometry import shape

from pipeline_lib.catalog.merge import acquisitions_of
from pipeline_lib.errors import CatalogError
from pipeline_lib.model import Acquisition, CatalogItem, Event, OrbitDirection, ProductType
from pipeline_lib.model.area import area_of_bbox
from pipeline_lib.steps.search import Found
from pipeline_lib.watch.records import fingerprint_of

REPEAT = timedelta(days=12)
LATE_SHARE, REPUBLISHED_SHARE, SPLIT_SHARE = 0.06, 0.06, 0.3


@dataclass(frozen=True)
class Published:
    """One version of one slice, from when on the archive shows it."""

    item: CatalogItem
    since: datetime


@dataclass
class Archive:
    """Passes over areas, published late, in parts, and anew; down at times."""

    draw: random.Random
    start: datetime
    days: int
    outages: tuple[tuple[datetime, datetime], ...]
    """Of the catalogue."""
    slices: dict[str, list[list[Published]]] = field(default_factory=dict)
    """Area to slices, each with its versions, the oldest first."""
    passes: int = 0
    late: int = 0
    republished: int = 0

    def fill(self, area: str, aoi: dict[str, Any]) -> None:
        """Two satellites on two orbits of one area, for the whole season."""
        self.slices[area] = []
        for orbit, platform in ((15, "S1A"), (15, "S1C"), (66, "S1A"), (66, "S1C")):
            moment = self.start + timedelta(hours=self.draw.uniform(2, 24 * REPEAT.days))
            while moment < self.start + timedelta(days=self.days):
                self._add_pass(area, aoi, platform, orbit, moment)
                moment += REPEAT

    def _add_pass(self, area: str, aoi: dict[str, Any], platform: str, orbit: int, moment: datetime) -> None:
        self.passes += 1
        parts = _halves(aoi) if self.draw.random() < SPLIT_SHARE else [aoi]
        for number, part in enumerate(parts):
            start = moment + timedelta(seconds=25 * number)
            hours = self.draw.uniform(2, 8)
            if self.draw.random() < LATE_SHARE:
                hours, self.late = self.draw.uniform(48, 20 * 24), self.late + 1
            since = start + timedelta(hours=hours)
            versions = [Published(_item(area, platform, orbit, start, part, since), since)]
            if self.draw.random() < REPUBLISHED_SHARE:
                self.republished += 1
                since += timedelta(hours=self.draw.uniform(24, 15 * 24))
                versions.append(Published(_item(area, platform, orbit, start, part, since), since))
            self.slices[area].append(versions)

    def acquisitions(self, area: str, aoi: dict[str, Any], now: datetime) -> list[Acquisition]:
        """Passes as the archive shows them at a moment, merged by the real code."""
        items = [
            next(one.item for one in reversed(versions) if one.since <= now)
            for versions in self.slices[area]
            if versions[0].since <= now
        ]
        return acquisitions_of(items, ProductType.RTC, shape(aoi))[0]

    def search(self, window: Event, now: datetime) -> Found:
        """Stands in for `pipeline_lib.steps.search.search_event`."""
        if any(begin <= now < end for begin, end in self.outages):
            raise CatalogError("The catalogue is down.")
        found = self.acquisitions(window.event_id, window.aoi, now)
        return Found(passes=tuple(one for one in found if window.start <= one.start <= window.end))


def _halves(aoi: dict[str, Any]) -> list[dict[str, Any]]:
    west, south, east, north = shape(aoi).bounds
    middle = (south + north) / 2
    return [area_of_bbox(west, middle, east, north), area_of_bbox(west, south, east, middle)]


def _item(
    area: str, platform: str, orbit: int, start: datetime, part: dict[str, Any], updated: datetime
) -> CatalogItem:
    return CatalogItem(
        item_id=f"{area}_{platform}_{orbit}_{start:%Y%m%dT%H%M%S}",
        collection="sentinel-1-rtc",
        start=start,
        end=start + timedelta(seconds=25),
        footprint=part,
        assets={"vv": f"https://archive.example/{area}/{start:%Y%m%dT%H%M%S}/vv.tif"},
        facts={
            "platform": f"sentinel-{platform[1:].lower()}",
            "sat:relative_orbit": orbit,
            "sat:orbit_state": str(OrbitDirection.ASCENDING if orbit == 15 else OrbitDirection.DESCENDING),
            "updated": updated.isoformat(),
        },
    )


@dataclass
class Run:
    """One run that the orchestrator accepted."""

    run_id: str
    parameters: dict[str, Any]
    ends: datetime
    fate: str
    """``works``, ``fails`` (the store of assets is down) or ``dies`` (killed, reports nothing)."""
    ended: bool = False


@dataclass
class Orchestrator:
    """Accepts a run once for one key, as Prefect does; runs take hours, fail, and are killed."""

    draw: random.Random
    outages: tuple[tuple[datetime, datetime], ...]
    """Of the store of assets."""
    runs: dict[str, Run] = field(default_factory=dict)
    """By idempotency key."""
    asked: int = 0

    def ask(self, key: str, parameters: dict[str, Any], now: datetime) -> Run:
        self.asked += 1
        if key not in self.runs:
            down = any(begin <= now < end for begin, end in self.outages)
            fate = "fails" if down else "dies" if self.draw.random() < 0.04 else "works"
            ends = now + timedelta(hours=self.draw.uniform(0.05, 5.0))
            self.runs[key] = Run(f"run-{len(self.runs)}", parameters, ends, fate)
        return self.runs[key]

    def finished(self, now: datetime) -> list[Run]:
        """Runs that end by now, in the order of their ends."""
        done = [run for run in self.runs.values() if not run.ended and run.ends <= now]
        for run in done:
            run.ended = True
        return sorted(done, key=lambda run: run.ends)

    def state(self, run_id: str) -> str:
        run = next(run for run in self.runs.values() if run.run_id == run_id)
        return run.fate if run.ended else "running"


def truth_of(archive: Archive, area: str, aoi: dict[str, Any], now: datetime) -> dict[datetime, str]:
    """Start of every pass to the fingerprint of what the archive finally holds of it."""
    return {one.start: fingerprint_of([one]) for one in archive.acquisitions(area, aoi, now)}
