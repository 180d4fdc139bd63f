"""SIGKILL at random moments: after a restart the published archive equals that of an undisturbed run, byte for byte.

Usage: python -m benchmarks.soak.kills FOLDER [--seed 7] [--flow 24 --poller 18 --dask 6 --server 4] [--json FILE]

FOLDER is emptied first. A run is killed again and again, resumed after each kill, and then left to end; what it
published is compared with what an undisturbed run published. Every moment comes from one seeded generator, uniform over
the CPU time of the undisturbed run (on a busy machine the clock says nothing); one that ended before its moment is not
counted. Timestamps are all that may differ (`benchmarks.soak.sameness`); the intermediate datasets must be equal
without exception.
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
IN_A_ROW = 4
"""Kills of one run before it is left to end."""


@dataclass
class Kill:
    """One kill and what came of it."""

    what: str
    after_cpu_s: float
    """CPU time of the run when it happened."""
    round: int
    """Kills of one round struck one archive, one after the other."""
    restarts: int
    """Runs it took after the last of them until one ended well."""
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
    good_cpu_s: float = 0.0
    """Of the undisturbed run."""

    def fresh(self, name: str) -> Path:
        out = self.folder / name
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        return out

    def arguments(self, out: Path, **more: Any) -> tuple[Any, ...]:
        """Of `runs.map_world`."""
        return (str(self.world), self.url, str(out), OPTIONS | more, self.event)

    def note(self, what: str, moments: list[float], restarts: int, out: Path, good: Path, left: int = 0) -> None:
        """One round of kills: compare, remember, say so."""
        found = compared(out, good)
        number = 1 + max((kill.round for kill in self.kills), default=0)
        self.kills += [Kill(what, round(after, 2), number, restarts, found, left) for after in moments]
        verdict = "same" if not found else f"{len(found)} DIFFERENCES: {found[:3]}"
        shown = ", ".join(f"{after:.2f}" for after in moments)
        print(f"{len(self.kills):3d} {what}: killed at {shown} CPU-s, {restarts} run(s) more: {verdict}")


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


def killed(bench: Bench, cpu_s: float, work: Callable[..., object], *arguments: Any) -> float | None:
    """Start a run and kill it at a moment drawn from ``cpu_s``; the moment, None where it ended before."""
    run, after = runs.start(work, *arguments), bench.draw.uniform(0.0, cpu_s)
    outcome = run.kill() if run.works_for(after) else run.end()
    bench.cpu_s += outcome.cpu_s
    return after if outcome.kind == "killed" else None


def kill_flows(bench: Bench, good: Path, cpu_s: float, count: int) -> None:
    """The process of ``map_event``."""
    while (done := sum(kill.what == "flow process" for kill in bench.kills)) < count:
        out = bench.fresh("flow")
        tries = [
            killed(bench, cpu_s, runs.map_world, *bench.arguments(out)) for _ in range(min(IN_A_ROW, count - done))
        ]
        left = leftovers(out)
        restarts = until_published(bench, runs.map_world, *bench.arguments(out))
        bench.note("flow process", [after for after in tries if after is not None], restarts, out, good, left)


def strike(
    bench: Bench, what: str, good: Path, blows: int, blow: Callable[[], None], arguments: tuple[Any, ...]
) -> None:
    """Something beside the run is killed, several times while it works; the run ends, or is run again."""
    run, moments = runs.start(runs.map_world, *arguments), []
    for _ in range(blows):
        after = bench.draw.uniform(0.0, bench.good_cpu_s / blows)
        if run.works_for(after):
            moments.append(run.cpu_s())
            blow()
    outcome = run.end()
    bench.cpu_s += outcome.cpu_s
    restarts = 0
    if outcome.kind != "published":
        print(f"    run ended with {outcome.kind}: {outcome.message[:300]}")
        restarts = until_published(bench, runs.map_world, *arguments)
    bench.note(what, moments, restarts, Path(arguments[2]), good)


def kill_dask_workers(bench: Bench, good: Path, count: int) -> None:
    """A worker process of the cluster that computes the run; its nanny starts another."""
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:

        def blow() -> None:
            alive = [nanny.process.pid for nanny in cluster.workers.values() if nanny.process and nanny.process.pid]
            if alive:
                os.kill(bench.draw.choice(alive), signal.SIGKILL)

        while (done := sum(kill.what == "Dask worker" for kill in bench.kills)) < count:
            arguments = bench.arguments(bench.fresh("dask"), dask_address=cluster.scheduler_address)
            strike(bench, "Dask worker", good, min(2, count - done), blow, arguments)


def kill_servers(bench: Bench, good: Path, count: int) -> None:
    """The Prefect server under a run; it is started again at once, as a desk's supervisor does."""

    def blow() -> None:
        bench.server.kill()
        bench.server.start()

    while sum(kill.what == "Prefect server" for kill in bench.kills) < count:
        strike(bench, "Prefect server", good, 1, blow, bench.arguments(bench.fresh("server")))


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
    spent: list[float] = []

    def undisturbed(season: Season, _: int) -> None:
        outcome = runs.start(runs.poll_watch, str(season.out), "valley").end()
        bench.cpu_s += outcome.cpu_s
        spent.append(outcome.cpu_s)

    good = season_of(bench, "poller-good", undisturbed)
    while (missing := count - sum(kill.what == "poller" for kill in bench.kills)) > 0:
        moments: list[float] = []

        def kill(season: Season, number: int, moments: list[float] = moments, missing: int = missing) -> None:
            for _ in range(min(IN_A_ROW - 1, missing - len(moments))):
                after = killed(bench, spent[number], runs.poll_watch, str(season.out), "valley")
                moments += [] if after is None else [after]

        season = season_of(bench, "poller", kill)
        bench.note("poller", moments, 1, season.out, good.out, leftovers(season.out))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=SEED)
    for name, count in (("flow", 24), ("poller", 18), ("dask", 6), ("server", 4)):
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
        bench.good_cpu_s = runs.start(runs.map_world, *bench.arguments(good)).end().cpu_s
        print(f"undisturbed: {bench.good_cpu_s:.1f} CPU-s; seed {given.seed}")
        kill_flows(bench, good, bench.good_cpu_s, given.flow)
        kill_pollers(bench, given.poller)
        kill_dask_workers(bench, good, given.dask)
        kill_servers(bench, good, given.server)
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
