"""A season of watching in accelerated time: every pass mapped once, disk, memory and databases bounded.

Usage: python -m benchmarks.soak.season FOLDER [--areas 20 --days 60 --seed 7] [--json FILE]

Real: the poll, the decision, the register (SQLite), the assignment of passes to events, requests and their keys,
settling, the atomic switch of versions, retention. Stand-ins, stated: the archive (`season_archive`: items late, in
parts and published anew, the catalogue down for two days), the orchestrator (a run for a key is accepted once; runs
take hours, fail while the assets are down for a day and a half, and 4 % are killed without a word), and the mapping
itself: a run publishes a small record of the passes and versions it saw in place of rasters, or, where no pass of an
unpublished event is worth it, keeps that record to itself, as the publish-if rule has it; and it leaves an intermediate
of 64 KiB in the store. Pollers die between asking for a run and noting it, and race each other.
"""

import argparse
import json
import os
import random
import shutil
import time
from collections import Counter, defaultdict
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import psutil
import xarray as xr

from benchmarks.soak.season_archive import Archive, Orchestrator, Run, truth_of
from pipeline_lib.errors import CatalogError
from pipeline_lib.model import Event
from pipeline_lib.model.area import area_of_bbox
from pipeline_lib.publish import versions
from pipeline_lib.steps import watch as steps
from pipeline_lib.steps.retention import RetentionOptions, forget
from pipeline_lib.steps.workspace import store_of
from pipeline_lib.watch import KnownPass, PassState, Register, Watch
from pipeline_lib.watch.records import fingerprint_of

START = datetime(2026, 3, 1, tzinfo=timezone.utc)
POLL_EVERY = timedelta(hours=4)
KEPT = RetentionOptions(intermediates_days=10, history_days=20)
DRAIN_DAYS = 30
"""Polls go on so long after the last pass: late items and retries come to their end."""
DIES, RACES = 0.03, 0.03
FLOODED_SHARE = 0.35


class Season:
    """All areas, one folder of events, one clock."""

    def __init__(self, folder: Path, areas: int, days: int, seed: int) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self.out, self.days = folder, days
        self.draw = random.Random(seed)  # noqa: S311 - no secret
        self.end = START + timedelta(days=days)
        self.archive = Archive(self.draw, START, days, (outage(0.25 * days, 2.0),))
        self.orchestrator = Orchestrator(self.draw, (outage(0.55 * days, 1.5),))
        self.register: Register = steps.register_of(folder)
        self.aois: dict[str, dict[str, Any]] = {}
        for number in range(areas):
            name = f"area{number:02d}"
            self.aois[name] = area_of_bbox(number * 8 - 80, 10, number * 8 - 79.5, 10.5)
            self.archive.fill(name, self.aois[name])
            self.register.add(
                Watch.model_validate(
                    {"name": name, "aoi": self.aois[name], "catalog": "planetary-computer", "since": START}
                )
            )
        self.mapped: Counter[tuple[str, datetime, str]] = Counter()
        """Published versions that a pass came into, by area, start and fingerprint."""
        self.counts: Counter[str] = Counter()
        self.samples: list[dict[str, float]] = []
        self.began = time.time() - 1.0

    def poll(self, name: str, now: datetime) -> None:
        """What `flows.watch_catalogue` does for one watch."""
        self.settle_lost(name)
        try:
            results = [steps.poll(self.register, name, now)]
        except CatalogError:
            self.counts["polls while the catalogue was down"] += 1
            return
        if self.draw.random() < RACES:
            self.counts["races"] += 1
            results.append(steps.poll(self.register, name, now))
        for result in results:
            self.counts["given up"] += len(result.decision.given_up)
            self.counts["silences"] += result.silent_days is not None
            for request in steps.requests_of(self.register, result.watch, result.decision.due):
                parameters = {"watch": name, "due": request.due, "event": request.event}
                run = self.orchestrator.ask(request.idempotency_key, parameters, now)
                if self.draw.random() < DIES:
                    self.counts["pollers killed"] += 1
                    return
                steps.remember_request(self.register, request, run.run_id)

    def settle_lost(self, name: str) -> None:
        for pass_id, run_id in steps.unsettled(self.register, name).items():
            if self.orchestrator.state(run_id) != "running":
                self.counts["lost runs asked for again"] += 1
                steps.settle_lost(self.register, name, pass_id)

    def finish(self, run: Run) -> None:
        """A run comes to its end: it publishes and reports, or fails, or is dead."""
        passes: list[KnownPass] = [one.known for one in run.parameters["due"]]
        watch = passes[0].watch
        self.counts[f"runs: {run.fate}"] += 1
        if run.fate == "dies" and self.draw.random() < 0.5:
            return
        if run.fate == "fails":
            for known in passes:
                self.register.settle(watch, known.pass_id, known.fingerprint, PassState.FAILED)
            return
        self.publish(steps.widened(self.register, watch, run.parameters["event"]), watch, run.ends)
        if run.fate == "works":
            for known in passes:
                wet = is_wet(watch, known.start.isoformat())
                self.register.settle(
                    watch, known.pass_id, known.fingerprint, PassState.MAPPED, flood_km2=9.0 * wet, worth=wet
                )

    def publish(self, event: Event, area: str, now: datetime) -> None:
        """The stand-in for mapping: a version of the event with what the archive shows now, if that is new."""
        seen = self.archive.acquisitions(area, self.aois[area], now)
        passes = {one.start.isoformat(): fingerprint_of([one]) for one in seen if event.start <= one.start <= event.end}
        noise = xr.Dataset({"data": ("x", np.frombuffer(os.urandom(65536), "uint8"))})
        store_of(self.out).save("flood", f"{event.event_id}-{now:%Y%m%dT%H%M%S}", noise)
        self.age_store(now)
        folder = self.out / event.event_id
        with versions.writing(folder, 1.0):
            before = read_passes(folder)
            if before == passes:
                return
            if not before and not any(is_wet(area, start) for start in passes):
                below_rule(self.out, event.event_id).parent.mkdir(parents=True, exist_ok=True)
                below_rule(self.out, event.event_id).write_text(json.dumps(passes))
                return
            number = versions.current_version(folder) + 1
            with versions.workplace(folder, number) as place:
                (place / "record.json").write_text(json.dumps(passes))
                versions.switch(folder, place, number)
        for start, fingerprint in passes.items():
            if before.get(start) != fingerprint:
                self.mapped[area, datetime.fromisoformat(start), fingerprint] += 1

    def age_store(self, now: datetime) -> None:
        """What the real clock has just written is of the simulated moment."""
        for path in (self.out / ".overbank/store").rglob("*"):
            if path.stat().st_mtime > self.began:
                os.utime(path, (now.timestamp(), now.timestamp()))

    def sample(self, now: datetime) -> None:
        """Sizes, once a simulated day, after the night's retention."""
        removed = forget(self.out, KEPT, now)
        self.age_store(now)
        self.counts["intermediates removed"] += removed.datasets
        base = self.out / ".overbank"
        database = sum(path.stat().st_size for path in base.glob("watches.sqlite*"))
        store = sum(path.stat().st_size for path in (base / "store").rglob("*") if path.is_file())
        memory = psutil.Process().memory_info().rss
        self.samples.append(
            {
                "day": (now - START).days,
                "database_kib": database / 1024,
                "store_mib": store / 2**20,
                "rss_mib": memory / 2**20,
            }
        )

    def play(self) -> None:
        """Let the time pass."""
        now = START
        while now < self.end + timedelta(days=DRAIN_DAYS):
            now += POLL_EVERY
            for run in self.orchestrator.finished(now):
                self.finish(run)
            with patch.object(steps, "search_event", lambda window, *_, now=now: self.archive.search(window, now)):
                for name in self.aois:
                    self.poll(name, now)
            if now.hour == 0:
                self.sample(now)
        self.now = now


def outage(day: float, length_days: float) -> tuple[datetime, datetime]:
    begin = START + timedelta(days=day)
    return begin, begin + timedelta(days=length_days)


def is_wet(area: str, start: str) -> bool:
    """Whether a pass sees flood worth publishing; the same whoever asks."""
    return random.Random(f"{area}{start}").random() < FLOODED_SHARE  # noqa: S311 - no secret


def below_rule(out: Path, event_id: str) -> Path:
    """What an event holds that no pass was worth publishing for."""
    return out / ".overbank" / "below-rule" / f"{event_id}.json"


def read_passes(folder: Path) -> dict[str, str]:
    path = folder / "current" / "record.json"
    found: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    return found


def verdict(season: Season) -> dict[str, Any]:
    """What the archive finally holds, held against the register and the published events."""
    missed, stale, several = [], [], []
    states: Counter[str] = Counter()
    for area, aoi in season.aois.items():
        known = {one.start: one for one in season.register.passes(area)}
        states.update(str(one.state) for one in known.values())
        published = held_by({folder.name: read_passes(folder) for folder in season.out.glob(f"{area}-*")})
        closed = {
            path.stem: json.loads(path.read_text()) for path in below_rule(season.out, area).parent.glob("*.json")
        }
        unpublished = held_by({name: passes for name, passes in closed.items() if name.startswith(f"{area}-")})
        for start, fingerprint in truth_of(season.archive, area, aoi, season.now).items():
            held = published.get(start.isoformat(), {})
            versions_held = held or unpublished.get(start.isoformat(), {})
            missed += [f"{area} {start}"] * (not versions_held)
            stale += [f"{area} {start}"] * (bool(versions_held) and fingerprint not in versions_held.values())
            several += [f"{area} {start}"] * (len(held) > 1 or not set(held) <= {known[start].event_id})
    twice = [str(key) for key, count in season.mapped.items() if count > 1]
    return {
        "passes": season.archive.passes,
        "late slices": season.archive.late,
        "republished slices": season.archive.republished,
        "passes missed": missed,
        "passes published in an old version only": stale,
        "passes published in more than one event, or not in their own": several,
        "versions of a pass published more than once": twice,
        "states": dict(states),
        "counts": dict(season.counts),
        "runs": len(season.orchestrator.runs),
        "requests": season.orchestrator.asked,
        "events published": len(list(season.out.glob("area*-*"))),
        "events below the rule": len(list((season.out / ".overbank/below-rule").glob("*.json"))),
    }


def held_by(events: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """Start of every pass to the events that hold it and in which version."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for name, passes in events.items():
        for start, fingerprint in passes.items():
            found[start][name] = fingerprint
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--areas", type=int, default=20)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", type=Path, default=None)
    given = parser.parse_args()
    wall, cpu = time.monotonic(), time.process_time()
    season = Season(given.folder, given.areas, given.days, given.seed)
    season.play()
    facts = verdict(season) | {
        "cpu_s": round(time.process_time() - cpu, 1),
        "wall_s": round(time.monotonic() - wall, 1),
        "samples": [{k: round(v, 1) for k, v in one.items()} for one in season.samples[:: max(1, given.days // 8)]],
    }
    print(json.dumps(facts, indent=1))
    if given.json:
        given.json.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    wrong = [name for name in facts if name.startswith(("passes missed", "passes published", "versions of a pass"))]
    if any(facts[name] for name in wrong) or set(facts["states"]) != {"mapped"} or facts["counts"].get("given up"):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
