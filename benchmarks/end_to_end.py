"""A whole mapping run, from the STAC search to the published event, by the library alone.

    python benchmarks/end_to_end.py WORLD OUT [--passes 4] [--workers 2]

WORLD is a simulated archive (`overbank world build`); it is served on loopback in another process, so that serving is
not counted. OUT is emptied first. One line of JSON a stage, then one for the whole. What a
Prefect flow adds is the matter of benchmarks/orchestration.py.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import dask
from record import forget_peak, memory_mib
from stopwatch import Stopwatch, tell

from pipeline_lib.model import Event
from pipeline_lib.options.map_event import MapOptions
from pipeline_lib.steps import derive, map_event, prepare
from pipeline_lib.steps.decide import search_and_plan
from pipeline_lib.steps.event import read_event
from pipeline_lib.steps.mapped import Ancillaries, Mapped, MappedPass
from pipeline_lib.steps.publish import publish_event
from pipeline_lib.steps.workspace import workspace_of


@contextmanager
def served(world: Path):
    """URL of the archive, served by another process."""
    server = subprocess.Popen(
        [sys.executable, "-m", "flows", "world", "serve", str(world), "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        for line in server.stdout:
            found = re.search(r"http://\S+", line)
            if found:
                yield found[0].rstrip(".,/")
                return
        raise RuntimeError("the archive was not served")
    finally:
        server.terminate()
        server.wait()


@contextmanager
def timed(stage: str, mpx: float, rows: list):
    forget_peak()
    with Stopwatch() as watch:
        yield
    spent = {"wall_s": watch.wall_s, "cpu_s": watch.cpu_s, "peak_mib": memory_mib("VmHWM")}
    rows.append({"stage": stage, "mpx": mpx, **spent})
    print(f"{stage}: {spent['cpu_s']:.0f} cpu-s, {spent['peak_mib']:.0f} MiB", file=sys.stderr, flush=True)


def library(event: Event, catalog: str, out: Path, passes: int, options: MapOptions) -> list[dict]:
    """Every step in order, in this process; one row a step and one for the whole."""
    rows: list[dict] = []
    with timed("search and plan", 0, rows):
        plan = search_and_plan(event, catalog, options)
        plan = plan.model_copy(update={"passes": plan.passes[:passes]})
    store = workspace_of(out, event.event_id).store
    mpx = plan.grid.shape[0] * plan.grid.shape[1] / 1e6
    with timed("prepare terrain and occurrence", mpx, rows):
        shared = Ancillaries(
            terrain=prepare.prepare_terrain(plan, store), occurrence=prepare.prepare_occurrence(plan, store)
        )
    references = {one.acquisition_id for planned in plan.passes for one in planned.references}
    with timed("prepare references", mpx * len(references), rows):
        histories = [prepare.prepare_history(plan, store, planned.references) for planned in plan.passes]
    both = list(zip(plan.passes, histories, strict=True))
    with timed("prepare passes", mpx * passes, rows):
        scenes = [prepare.prepare_pass(plan, store, planned, history) for planned, history in both]
    with timed("detect", mpx * passes, rows):
        pairs = zip(scenes, histories, strict=True)
        waters = [map_event.detect_pass(plan, scene, history, shared, store) for scene, history in pairs]
    with timed("derive", mpx * passes, rows):
        floods = [
            map_event.derive_pass(plan, planned, scene, history, water, shared, store)
            for (planned, history), scene, water in zip(both, scenes, waters, strict=True)
        ]
    with timed("mosaic", mpx * passes, rows):
        mosaic = derive.mosaic_event(store, plan, floods)
    done = tuple(
        MappedPass(planned=planned, scene=scene, water=water, flood=flood)
        for planned, scene, water, flood in zip(plan.passes, scenes, waters, floods, strict=True)
    )
    with timed("publish", mpx * passes, rows):
        publish_event(Mapped(plan=plan, passes=done, ancillaries=shared, mosaic=mosaic), str(out), store)
    whole = {name: sum(row[name] for row in rows) for name in ("wall_s", "cpu_s")}
    peak = max(row["peak_mib"] for row in rows)
    return [*rows, {"stage": "whole event", "mpx": mpx * passes, **whole, "peak_mib": peak}]


def measured(event: Event, world: Path, out: Path, passes: int, workers: int, options: MapOptions) -> list[dict]:
    """Serve an archive, and map an event from it."""
    with served(world) as catalog, dask.config.set(scheduler="threads", num_workers=workers):
        return library(event, catalog, out, passes, options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("world", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--passes", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    shutil.rmtree(given.out, ignore_errors=True)
    event = read_event(given.world / "event.yaml")
    size = json.loads((given.world / "world.json").read_text())["options"]["size"]
    for row in measured(event, given.world, given.out, given.passes, given.workers, MapOptions()):
        tell(**row, size=size)


if __name__ == "__main__":
    main()
