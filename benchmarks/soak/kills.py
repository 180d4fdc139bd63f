"""SIGKILL at random moments: after a restart the published archive equals that of an undisturbed run, byte for byte.

Usage: python -m benchmarks.soak.kills FOLDER [--seed 7] [--flow 24 --poller 12 --dask 8 --server 8] [--json FILE]

FOLDER is emptied first. Every moment comes from one seeded generator, uniform over the undisturbed run's duration; a
run that ended before its moment is not counted and its moment drawn anew. Timestamps are all that may differ
(`benchmarks.soak.sameness`); the intermediate datasets must be equal without exception.
"""

import argparse
import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psutil
from distributed import LocalCluster

from benchmarks.soak import runs
from benchmarks.soak.sameness import contents, differences, store_contents
from pipeline_lib.options.world import WorldOptions
from pipeline_lib.steps.event import read_event
from pipeline_lib.steps.watch import register_of
from pipeline_lib.watch import PassState, Watch
from pipeline_lib.world.build import build_world
from pipeline_lib.world.server import serve

SIZE, SEED = 128, 7
LAST_DAY = "2025-11-02T00:00:00Z"
"""End of the event: two passes, one of them of two slices."""
OPTIONS: dict[str, Any] = {"plan": {"max_references": 2}, "publish": {"preview_px": 128}}
MOST_RESTARTS = 6


@dataclass
class Kill:
    """One kill and what came of it."""

    what: str
    after_s: float
    restarts: int
    """Runs it took afterwards until one ended well."""
    differences: list[str]
    leftovers: int = 0
    """Hidden folders that the killed writers left in the store; retention removes them."""


@dataclass
class Bench:
    """Folders, the archive's URL and the moments."""

    folder: Path
    world: Path
    url: str
    event: dict[str, Any]
    draw: random.Random
    server: runs.Server
    season_port: int = field(default_factory=runs.free_port)
    kills: list[Kill] = field(default_factory=list)
    cpu_s: float = 0.0

    def fresh(self, name: str) -> Path:
        out = self.folder / name
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        return out

    def arguments(self, out: Path, **more: Any) -> tuple[Any, ...]:
        """Of `runs.map_world`."""
        return (str(self.world), self.url, str(out), OPTIONS | more, self.event)

    def note(self, kill: Kill) -> None:
        self.kills.append(kill)
        verdict = "same" if not kill.differences else f"{len(kill.differences)} DIFFERENCES: {kill.differences[:3]}"
        print(
            f"{len(self.kills):3d} {kill.what:<16} after {kill.after_s:6.2f} s, {kill.restarts} run(s) more: {verdict}"
        )


def compared(out: Path, good: Path) -> list[str]:
    """Everything in which a folder of events and its store differ from the undisturbed one's."""
    stored = differences(store_contents(good), store_contents(out))
    return differences(contents(good), contents(out)) + [f"store: {one}" for one in stored]


def leftovers(out: Path) -> int:
    return len(list((out / ".overbank" / "store").glob("*/.*")))


def until_published(bench: Bench, work: Callable[..., object], *arguments: Any) -> int:
    """Run until one ends well; how many it took."""
    for number in range(1, MOST_RESTARTS + 1):
        outcome = runs.start(work, *arguments).end()
        bench.cpu_s += outcome.cpu_s
        if outcome.kind == "published":
            return number
        print(f"    run ended with {outcome.kind}: {outcome.message[:200]}")
    raise SystemExit(f"No run of {MOST_RESTARTS} ended well.")


def kill_flows(bench: Bench, good: Path, duration_s: float, count: int) -> None:
    """The process of ``map_event``."""
    done = 0
    while done < count:
        out, after = bench.fresh("flow"), bench.draw.uniform(0.0, duration_s)
        arguments = bench.arguments(out)
        outcome = runs.start(runs.map_world, *arguments).kill_after(after)
        bench.cpu_s += outcome.cpu_s
        if outcome.kind != "killed":
            continue
        left = leftovers(out)
        restarts = until_published(bench, runs.map_world, *arguments)
        bench.note(Kill("flow process", after, restarts, compared(out, good), left))
        done += 1


def kill_dask_workers(bench: Bench, good: Path, duration_s: float, count: int) -> None:
    """A worker process of the cluster that computes the run; its nanny starts another."""
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        done = 0
        while done < count:
            out, after = bench.fresh("dask"), bench.draw.uniform(0.0, duration_s)
            arguments = bench.arguments(out, dask_address=cluster.scheduler_address)
            run = runs.start(runs.map_world, *arguments)
            if run.answers.poll(after):
                run.end()
                continue
            victim = bench.draw.choice([nanny.process.pid for nanny in cluster.workers.values() if nanny.process])
            os.kill(victim, signal.SIGKILL)
            outcome = run.end()
            bench.cpu_s += outcome.cpu_s
            restarts = 0
            if outcome.kind != "published":
                print(f"    run ended with {outcome.kind}: {outcome.message[:200]}")
                restarts = until_published(bench, runs.map_world, *arguments)
            bench.note(Kill("Dask worker", after, restarts, compared(out, good)))
            done += 1


def kill_servers(bench: Bench, good: Path, duration_s: float, count: int) -> None:
    """The Prefect server under a run; it is started again at once, as a desk's supervisor does."""
    done = 0
    while done < count:
        out, after = bench.fresh("server"), bench.draw.uniform(0.0, duration_s)
        arguments = bench.arguments(out)
        run = runs.start(runs.map_world, *arguments)
        if run.answers.poll(after):
            run.end()
            continue
        bench.server.kill()
        bench.server.start()
        outcome = run.end()
        bench.cpu_s += outcome.cpu_s
        restarts = 0
        if outcome.kind != "published":
            print(f"    run ended with {outcome.kind}: {outcome.message[:200]}")
            restarts = until_published(bench, runs.map_world, *arguments)
        bench.note(Kill("Prefect server", after, restarts, compared(out, good)))
        done += 1


class Season:
    """A watched archive that publishes its flood pass by pass."""

    def __init__(self, bench: Bench, name: str) -> None:
        self.out = bench.fresh(name)
        self.world = shutil.copytree(bench.world, bench.fresh(f"{name}-world"), dirs_exist_ok=True)
        event = bench.event
        self.hidden = {}
        for path in sorted((self.world / "items" / "sentinel-1-rtc").glob("*.json")):
            content = path.read_text()
            moment = json.loads(content)["properties"]["datetime"]
            if moment >= event["start"]:
                path.unlink()
            if event["start"] <= moment <= LAST_DAY:
                self.hidden[path] = content
        self.fields: dict[str, Any] = {
            "name": "valley", "aoi": event["aoi"], "since": event["start"], "grace_minutes": 0, "rescan_days": 4000,
            "options": OPTIONS, "publish_if": {"min_flood_km2": 0},
        }  # fmt: skip

    def steps(self) -> list[Path]:
        """Items in the order in which the archive publishes them."""
        return sorted(self.hidden, key=lambda path: json.loads(self.hidden[path])["properties"]["datetime"])

    def publish(self, path: Path) -> None:
        path.write_text(self.hidden[path])

    def settled(self) -> bool:
        return all(one.state is PassState.MAPPED for one in register_of(self.out).passes("valley"))


def season_of(bench: Bench, name: str, kill: Callable[[Season, int], None]) -> Season:
    """Let an archive publish step by step, polling after each until every pass is mapped."""
    season = Season(bench, name)
    with serve(season.world, port=bench.season_port) as url:  # the address is part of the published plan
        register_of(season.out).add(Watch.model_validate({**season.fields, "catalog": url}))
        for number, path in enumerate(season.steps()):
            season.publish(path)
            kill(season, number)
            for _ in range(MOST_RESTARTS):
                until_published(bench, runs.poll_watch, str(season.out), "valley")
                if season.settled():
                    break
            else:
                raise SystemExit(f"Not settled after {MOST_RESTARTS} polls: {register_of(season.out).passes('valley')}")
    return season


def kill_pollers(bench: Bench, count: int) -> None:
    """The process that polls and maps what it found."""
    durations: list[float] = []

    def undisturbed(season: Season, _: int) -> None:
        outcome = runs.start(runs.poll_watch, str(season.out), "valley").end()
        bench.cpu_s += outcome.cpu_s
        durations.append(outcome.seconds)

    good = season_of(bench, "poller-good", undisturbed)
    while (missing := count - sum(kill.what == "poller" for kill in bench.kills)) > 0:
        moments: list[float] = []

        def killed(season: Season, number: int, moments: list[float] = moments, missing: int = missing) -> None:
            if len(moments) >= missing:
                return
            after = bench.draw.uniform(0.0, durations[number])
            outcome = runs.start(runs.poll_watch, str(season.out), "valley").kill_after(after)
            bench.cpu_s += outcome.cpu_s
            if outcome.kind == "killed":
                moments.append(after)

        season = season_of(bench, "poller", killed)
        found = compared(season.out, good.out)
        for after in moments:
            bench.note(Kill("poller", after, 1, found, leftovers(season.out)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=SEED)
    for name, count in (("flow", 24), ("poller", 12), ("dask", 8), ("server", 8)):
        parser.add_argument(f"--{name}", type=int, default=count)
    parser.add_argument("--json", type=Path, default=None)
    given = parser.parse_args()
    shutil.rmtree(given.folder, ignore_errors=True)
    world = build_world(given.folder / "world", WorldOptions(seed=SEED, size=SIZE))
    begun = time.monotonic()
    with serve(world) as url, runs.prefect_server(given.folder / "prefect") as server:
        event = read_event(world / "event.yaml").model_dump(mode="json") | {"end": LAST_DAY}
        bench = Bench(given.folder, world, url, event, random.Random(given.seed), server)  # noqa: S311 - no secret
        good = bench.fresh("good")
        runs.start(runs.map_world, *bench.arguments(bench.fresh("warm"))).end()
        duration_s = runs.start(runs.map_world, *bench.arguments(good)).end().seconds
        print(f"undisturbed: {duration_s:.1f} s; seed {given.seed}")
        kill_flows(bench, good, duration_s, given.flow)
        kill_dask_workers(bench, good, duration_s, given.dask)
        kill_pollers(bench, given.poller)
        kill_servers(bench, good, duration_s, given.server)
    report(bench, given, time.monotonic() - begun)


def report(bench: Bench, given: argparse.Namespace, wall_s: float) -> None:
    """Print the sum, write the JSON, and fail where one archive differs."""
    children = psutil.Process().cpu_times()
    facts = {
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d}",
        "seed": given.seed,
        "world": {"size": SIZE, "seed": SEED},
        "kills": [asdict(kill) for kill in bench.kills],
        "different": sum(bool(kill.differences) for kill in bench.kills),
        "runs_cpu_s": round(bench.cpu_s, 1),
        "servers_cpu_s": round(children.children_user + children.children_system, 1),
        "wall_s": round(wall_s, 1),
    }
    print(json.dumps({name: value for name, value in facts.items() if name != "kills"}, indent=1))
    if given.json:
        given.json.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    if facts["different"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
