"""Rounds of kills for `benchmarks.soak.kills`: strike, start again, compare with an undisturbed run."""

import json
import os
import random
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
from distributed import LocalCluster

from benchmarks.soak import runs
from benchmarks.soak.sameness import contents, differences, store_contents
from pipeline_lib.steps.watch import register_of
from pipeline_lib.watch import PassState, Watch
from pipeline_lib.world.server import serve

FLOW, POLLER, DASK, SERVER = "flow process", "poller", "Dask worker", "Prefect server"
LAST = "last Dask worker"
LAST_DAY = "2025-11-02T00:00:00Z"
"""End of the event: two passes, one of them of two slices."""
OPTIONS: dict[str, Any] = {"plan": {"max_references": 2}, "publish": {"preview_px": 128}}
MOST_RESTARTS = 6
IN_A_ROW = 4
"""Kills of one run before it is left to end."""
LEAST_SHARE = 0.1
"""Of the undisturbed run, over which a moment is drawn where earlier kills have left less."""
PATIENCE_S = 2.0
"""So long a run whose only worker was killed waits for another one."""
WORKER_BACK = "10 minutes"
"""A killed worker's nanny may take so long: else a busy machine leaves the cluster without workers, and runs wait."""


@dataclass
class Round:
    """Kills that struck one archive, one after the other, and what came of it."""

    what: str
    moments_cpu_s: list[float]
    """CPU time of the struck run at each kill."""
    restarts: int
    """Runs it took after the last kill until one ended well; 0 where the struck run itself went on to its end."""
    differences: list[str]
    leftovers: int = 0
    """Groups that the killed writers left in the store; retention removes them."""
    cpu_s: float = 0.0
    """Of all runs of the round."""


@dataclass
class Bench:
    """Folders, the archive's URL and what the undisturbed run took."""

    folder: Path
    world: Path
    url: str
    event: dict[str, Any]
    seed: int
    server: runs.Server
    season_port: int
    good_cpu_s: float = 0.0
    good_poll_cpu_s: tuple[float, ...] = ()
    """Of the undisturbed polls, one after each item that appeared."""
    cpu_s: float = 0.0
    """Of all runs so far."""

    @property
    def good(self) -> Path:
        return self.folder / "good"

    @property
    def good_season(self) -> Path:
        return self.folder / "poller-good"

    def fresh(self, name: str) -> Path:
        out = self.folder / name
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        return out

    def arguments(self, out: Path, **more: Any) -> tuple[Any, ...]:
        """Of `runs.map_world`."""
        return (str(self.world), self.url, str(out), OPTIONS | more, self.event)

    def play(self, what: str, number: int, wanted: int) -> Round:
        """One round of at most ``wanted`` kills; its moments depend on the seed, ``what`` and ``number`` alone."""
        draw = random.Random(f"{self.seed}-{what}-{number}")  # noqa: S311 - no secret
        before = self.cpu_s
        played = ROUNDS[what](self, draw, wanted)
        played.cpu_s = round(self.cpu_s - before, 1)
        return played


def compared(out: Path, good: Path) -> list[str]:
    """Everything in which a folder of events and its store differ from the undisturbed one's."""
    stored = differences(store_contents(good), store_contents(out))
    return differences(contents(good), contents(out)) + [f"store: {one}" for one in stored]


def leftovers(out: Path) -> int:
    """Groups of the store that no dataset names."""
    store = out / ".overbank" / "store"
    return len(list(store.glob("*/*.zarr"))) - len(list(store.glob("*/*.json")))


def rounded(moments: list[float]) -> list[float]:
    return [round(moment, 2) for moment in moments]


def drawn(draw: random.Random, cpu_s: float, struck: list[float]) -> float:
    """A moment of a run that is known to be working then: uniform over what the kills before have left of it."""
    return draw.uniform(0.0, max(cpu_s - sum(struck), LEAST_SHARE * cpu_s))


def undisturbed(bench: Bench) -> None:
    """Map, and watch, once without a kill: what every round is compared with."""
    runs.start(runs.map_world, *bench.arguments(bench.fresh("warm"))).end()
    outcome = runs.start(runs.map_world, *bench.arguments(bench.fresh("good"))).end()
    if outcome.kind != "published":
        raise SystemExit(f"The undisturbed run ended with {outcome.kind}: {outcome.message}")
    bench.good_cpu_s = round(outcome.cpu_s, 2)
    spent: list[float] = []

    def poll(season: Season, _: int) -> None:
        spent.append(round(runs.start(runs.poll_watch, str(season.out), "valley").end().cpu_s, 2))

    season_of(bench, bench.good_season.name, poll)
    bench.good_poll_cpu_s = tuple(spent)


def until_published(bench: Bench, work: Callable[..., object], *arguments: Any) -> int:
    """Run until one ends well; how many it took."""
    for number in range(1, MOST_RESTARTS + 1):
        outcome = runs.start(work, *arguments).end()
        bench.cpu_s += outcome.cpu_s
        if outcome.kind == "published":
            return number
        print(f"    run ended with {outcome.kind}: {outcome.message[:200]}")
    raise SystemExit(f"No run of {MOST_RESTARTS} ended well.")


def killed(bench: Bench, after: float, work: Callable[..., object], *arguments: Any) -> float | None:
    """Start a run and kill it at a moment of its CPU time; the moment, None where it ended before."""
    run = runs.start(work, *arguments)
    outcome = run.kill() if run.works_for(after) else run.end()
    bench.cpu_s += outcome.cpu_s
    return after if outcome.kind == "killed" else None


def kill_flow(bench: Bench, draw: random.Random, wanted: int) -> Round:
    """The process of ``map_event``, several times in a row."""
    arguments = bench.arguments(out := bench.fresh("flow"))
    struck: list[float] = []
    for _ in range(min(IN_A_ROW, wanted)):
        after = killed(bench, drawn(draw, bench.good_cpu_s, struck), runs.map_world, *arguments)
        struck += [] if after is None else [after]
    left = leftovers(out)
    restarts = until_published(bench, runs.map_world, *arguments)
    return Round(FLOW, rounded(struck), restarts, compared(out, bench.good), left)


def strike(
    bench: Bench, what: str, moments: list[float], blow: Callable[[], None], arguments: tuple[Any, ...]
) -> Round:
    """Something beside the run is killed while it works; the run ends, or is run again."""
    run, struck = runs.start(runs.map_world, *arguments), []
    for after in sorted(moments):
        if run.works_for(max(0.0, after - run.cpu_s())):
            struck.append(run.cpu_s())
            blow()
    outcome = run.end()
    bench.cpu_s += outcome.cpu_s
    restarts = 0
    if outcome.kind != "published":
        print(f"    run ended with {outcome.kind}: {outcome.message[:300]}")
        restarts = until_published(bench, runs.map_world, *arguments)
    return Round(what, rounded(struck), restarts, compared(Path(arguments[2]), bench.good))


def kill_dask_worker(bench: Bench, draw: random.Random, wanted: int) -> Round:
    """A worker process of the cluster that computes the run; its nanny starts another."""
    dask.config.set({"distributed.deploy.lost-worker-timeout": WORKER_BACK})
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:

        def blow() -> None:
            alive = [nanny.process.pid for nanny in cluster.workers.values() if nanny.process and nanny.process.pid]
            if alive:
                os.kill(draw.choice(alive), signal.SIGKILL)

        arguments = bench.arguments(bench.fresh("dask"), dask_address=cluster.scheduler_address)
        moments = [draw.uniform(0.0, bench.good_cpu_s) for _ in range(min(2, wanted))]
        return strike(bench, DASK, moments, blow, arguments)


def kill_last_worker(bench: Bench, draw: random.Random, wanted: int) -> Round:  # noqa: ARG001 - one kill ends the run
    """The only worker of the cluster, which nobody starts again: the run gives up, and is run again with another."""
    with LocalCluster(n_workers=0, dashboard_address=":0") as cluster:
        address = cluster.scheduler_address
        arguments = bench.arguments(bench.fresh("last"), dask_address=address, dask_patience_s=PATIENCE_S)
        with runs.dask_worker(address) as worker:
            run = runs.start(runs.map_world, *arguments)
            struck = [run.cpu_s()] if run.works_for(draw.uniform(0.0, bench.good_cpu_s)) else []
            worker.kill()
            outcome = run.end()
        bench.cpu_s += outcome.cpu_s
        given_up = outcome.kind == "error" and outcome.message.startswith("ClusterError: ")
        wrong = [] if given_up or outcome.kind == "published" else [f"ended with {outcome.kind}: {outcome.message}"]
        with runs.dask_worker(address):
            restarts = until_published(bench, runs.map_world, *arguments)
    # A run that was done before its moment, or needed no worker any more, counts as no kill.
    return Round(LAST, rounded(struck if given_up else []), restarts, wrong + compared(Path(arguments[2]), bench.good))


def kill_server(bench: Bench, draw: random.Random, wanted: int) -> Round:
    """The Prefect server under a run; it is started again at once, as a desk's supervisor does."""

    def blow() -> None:
        bench.server.kill()
        bench.server.start()

    moments = [draw.uniform(0.0, bench.good_cpu_s) for _ in range(min(1, wanted))]
    return strike(bench, SERVER, moments, blow, bench.arguments(bench.fresh("server")))


class Season:
    """A watched archive that publishes its flood pass by pass."""

    def __init__(self, bench: Bench, name: str) -> None:
        self.out = bench.fresh(name)
        self.world = shutil.copytree(bench.world, bench.fresh(f"{name}-world"), dirs_exist_ok=True)
        event, self.hidden = bench.event, {}
        for path in sorted((self.world / "items" / "sentinel-1-rtc").glob("*.json")):
            content = path.read_text()
            moment = json.loads(content)["properties"]["datetime"]
            if moment >= event["start"]:
                path.unlink()
            if event["start"] <= moment <= LAST_DAY:
                self.hidden[path] = content
        # A run that dies is asked for again after one polling interval, doubled each time: it is short here.
        self.fields: dict[str, Any] = {
            "name": "valley", "aoi": event["aoi"], "since": event["start"], "grace_minutes": 0, "rescan_days": 4000,
            "every_minutes": 0.001, "options": OPTIONS, "publish_if": {"min_flood_km2": 0},
        }  # fmt: skip

    def steps(self) -> list[Path]:
        """Items in the order in which the archive publishes them."""
        return sorted(self.hidden, key=lambda path: json.loads(self.hidden[path])["properties"]["datetime"])

    def publish(self, path: Path) -> None:
        path.write_text(self.hidden[path])

    def settled(self) -> bool:
        return all(one.state is PassState.MAPPED for one in register_of(self.out).passes("valley"))


def season_of(bench: Bench, name: str, kill: Callable[[Season, int], None]) -> tuple[Season, int]:
    """Let an archive publish step by step, polling after each until every pass is mapped; and the polls it took."""
    season, polls = Season(bench, name), 0
    with serve(season.world, port=bench.season_port) as url:  # the address is part of the published plan
        register_of(season.out).add(Watch.model_validate({**season.fields, "catalog": url}))
        for number, path in enumerate(season.steps()):
            season.publish(path)
            kill(season, number)
            for _ in range(MOST_RESTARTS):
                polls += until_published(bench, runs.poll_watch, str(season.out), "valley")
                if season.settled():
                    break
            else:
                raise SystemExit(f"Not settled after {MOST_RESTARTS} polls: {register_of(season.out).passes('valley')}")
    return season, polls


def kill_poller(bench: Bench, draw: random.Random, wanted: int) -> Round:
    """The process that polls and maps what it found."""
    moments: list[float] = []

    def kill(season: Season, number: int) -> None:
        struck: list[float] = []
        for _ in range(min(IN_A_ROW - 1, wanted - len(moments))):
            moment = drawn(draw, bench.good_poll_cpu_s[number], struck)
            after = killed(bench, moment, runs.poll_watch, str(season.out), "valley")
            struck += [] if after is None else [after]
        moments.extend(struck)

    season, polls = season_of(bench, "poller", kill)
    return Round(POLLER, rounded(moments), polls, compared(season.out, bench.good_season), leftovers(season.out))


ROUNDS: dict[str, Callable[[Bench, random.Random, int], Round]] = {
    FLOW: kill_flow,
    POLLER: kill_poller,
    DASK: kill_dask_worker,
    LAST: kill_last_worker,
    SERVER: kill_server,
}
