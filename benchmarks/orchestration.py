"""What orchestration costs: `map_event` beside its bare steps, and the way from a new item to a published event.

Usage: python benchmarks/orchestration.py overhead FOLDER [--size 288] [--repeat 3]
       python benchmarks/orchestration.py latency FOLDER [--size 288]

``overhead`` starts a Prefect server, warms everything up, then maps the same simulated event with the bare steps and
with the flow in turn, each into a folder of its own; processor seconds are this process's and the server's.
``latency`` starts a whole desk with a watch, publishes an item into the archive, lets the poll run as its schedule
would, and says where the time went until readers saw the map.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import httpx
import psutil

FULL_SCENE_CPU_S = 272.0 + 56.6
"""One full dual-pol GRD scene to gamma0 (`benchmarks/grd.py full`) and `adaptive`, the cheaper half of the default
detector, on it (`benchmarks/detectors.py --rows 16700 --columns 26000`): the least that a full-scene run takes."""
FULL_SCENE_WALL_S = 140.0 + 33.8
"""The same by the clock, alone on two cores."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def world_of(folder, size):
    from pipeline_lib.options.world import WorldOptions
    from pipeline_lib.world.build import build_world

    return build_world(folder / f"world-{size}", WorldOptions(seed=7, size=size))


@contextmanager
def prefect_server(folder):
    """A server of its own; yields its process."""
    port = free_port()
    os.environ.update(
        PREFECT_HOME=str(folder / "prefect"), PREFECT_API_URL=f"http://127.0.0.1:{port}/api", DO_NOT_TRACK="1",
        PREFECT_SERVER_ANALYTICS_ENABLED="false", PREFECT_LOGGING_EXTRA_LOGGERS="pipeline_lib",
        PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW="ignore", PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL="CRITICAL",
    )  # fmt: skip
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait(lambda: answers(f"http://127.0.0.1:{port}/api/health"), 300)
        yield psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait(timeout=60)


def answers(url):
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def wait(condition, seconds, every=0.25):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(every)
    raise SystemExit("It did not happen in time.")


def bare(event, url, out):
    """The same steps without Prefect and without metering, two at once as the flow has them."""
    from pipeline_lib.model import digest_of
    from pipeline_lib.options.map_event import MapOptions
    from pipeline_lib.steps import derive, gate, map_event, optical, prepare
    from pipeline_lib.steps.decide import search_and_plan
    from pipeline_lib.steps.mapped import Ancillaries, Mapped, MappedPass, with_shifts
    from pipeline_lib.steps.publish import publish_event
    from pipeline_lib.steps.workspace import workspace_of

    options = MapOptions()
    plan = search_and_plan(event, url, options)
    store = workspace_of(out, event.event_id).store
    with ThreadPoolExecutor(2) as threads:
        terrain = threads.submit(prepare.prepare_terrain, plan, store)
        occurrence = threads.submit(prepare.prepare_occurrence, plan, store)
        composite = threads.submit(optical.prepare_composite, plan, store) if plan.optical else None
        names = [digest_of([one.acquisition_id for one in planned.references]) for planned in plan.passes]
        histories = {
            name: threads.submit(prepare.prepare_history, plan, store, planned.references)
            for name, planned in dict(zip(names, plan.passes, strict=True)).items()
        }

        def one(planned, name):
            history = histories[name].result()
            scene = prepare.prepare_pass(plan, store, planned, history)
            water = map_event.detect_pass(plan, scene, history, ancillaries, store)
            flood = map_event.derive_pass(plan, planned, scene, history, water, ancillaries, store)
            return MappedPass(planned=planned, scene=scene, water=water, flood=flood)

        ancillaries = Ancillaries(terrain=terrain.result(), occurrence=occurrence.result())
        passes = tuple(threads.map(one, plan.passes, names))
        above = None if composite is None else composite.result()
    mosaic = derive.mosaic_event(store, plan, [one.flood for one in passes])
    mapped = Mapped(plan=plan, passes=passes, ancillaries=ancillaries, composite=above, mosaic=mosaic)
    if above is not None:
        shifts = [optical.measure_optical_shift(plan, store, one.scene, above) for one in passes]
        mapped = with_shifts(mapped, shifts)
    assessment = gate.assess(mapped, out, options.publish_if, store)
    return publish_event(mapped, str(out), store, assessment.grounds)


def flow(event, url, out):
    from flows.map_event import map_event

    return map_event(event, url, str(out))


def timed(work, server, *arguments):
    """Wall seconds, this process's and the server's processor seconds."""

    def server_cpu():
        family = [server, *server.children(recursive=True)]
        return sum(sum(process.cpu_times()[:2]) for process in family)

    began, own, theirs = time.perf_counter(), time.process_time(), server_cpu()
    work(*arguments)
    return {
        "wall_s": time.perf_counter() - began,
        "cpu_s": time.process_time() - own,
        "server_cpu_s": server_cpu() - theirs,
    }


def overhead(folder, size, repeat):
    from pipeline_lib.steps.event import read_event
    from pipeline_lib.world.server import serve

    world = world_of(folder, size)
    event = read_event(world / "event.yaml")
    found = {"bare": [], "flow": []}
    with prefect_server(folder) as server, serve(world) as url:
        for number in range(repeat + 1):
            for name, work in (("bare", bare), ("flow", flow)):
                out = folder / "out" / f"{name}-{number}"
                shutil.rmtree(out, ignore_errors=True)
                out.mkdir(parents=True)
                took = timed(work, server, event, url, out)
                if number:  # the first of each warms up: imports, compiled functions, the server's database
                    found[name].append(took)
                    print(name, {key: round(value, 2) for key, value in took.items()}, flush=True)
    middle = {name: {key: median(one[key] for one in rows) for key in rows[0]} for name, rows in found.items()}
    extra = {key: middle["flow"][key] - middle["bare"][key] for key in middle["flow"]}
    total = extra["cpu_s"] + extra["server_cpu_s"]
    plain = middle["bare"]
    print(f"{size} px, median of {repeat}: bare {plain['cpu_s']:.2f} cpu-s, {plain['wall_s']:.2f} s wall")
    print(f"overhead of the flow: {extra['wall_s']:.2f} s wall, {extra['cpu_s']:.2f} cpu-s here, "
          f"{extra['server_cpu_s']:.2f} cpu-s in the server")  # fmt: skip
    share, wall_share = 100 * total / FULL_SCENE_CPU_S, 100 * extra["wall_s"] / FULL_SCENE_WALL_S
    print(f"share of a run of one full scene ({FULL_SCENE_CPU_S:.0f} cpu-s, {FULL_SCENE_WALL_S:.0f} s wall): at most "
          f"{share:.1f} % of its processor time, {wall_share:.1f} % of its wall time")  # fmt: skip
    print("load average now:", os.getloadavg())


def hide_newest(world):
    """Take the newest Sentinel-1 pass out of the archive; its items by path."""
    items = {path: json.loads(path.read_text()) for path in (world / "items" / "sentinel-1-rtc").glob("*.json")}
    days = {path: item["properties"]["datetime"][:10] for path, item in items.items()}
    newest = {path: items[path] for path, day in days.items() if day == max(days.values())}
    for path in newest:
        path.unlink()
    return newest


def latency(folder, size):
    from flows.desk.services import Desk
    from flows.desk.start import start_detached, stop
    from pipeline_lib.steps.event import read_event
    from pipeline_lib.steps.watch import register_of
    from pipeline_lib.watch import PublishIf, Watch
    from pipeline_lib.world.server import serve

    world = shutil.copytree(world_of(folder, size), folder / f"archive-{time.time_ns()}")
    event, newest = read_event(world / "event.yaml"), hide_newest(world)
    desk = Desk(out=folder / f"desk-{time.time_ns()}", port=free_port(), pages_port=free_port())
    desk.out.mkdir(parents=True)
    with serve(world) as url:
        start_detached(desk)
        try:
            watch = Watch(
                name="bench", aoi=event.aoi, catalog=url, since=event.end.replace(day=event.end.day - 3),
                every_minutes=0.01, grace_minutes=0, rescan_days=4000, publish_if=PublishIf(),
            )  # fmt: skip
            register_of(desk.out).add(watch)
            report(desk, follow(desk, newest))
        finally:
            stop(desk)


def follow(desk, newest):
    """Publish the item, fire the poll, and wait for the event; the moments by name."""
    api = httpx.Client(base_url=desk.api_url, timeout=60)
    for path, item in newest.items():
        path.write_text(json.dumps(item))
    appeared = datetime.now(UTC)
    poller = api.get("/deployments/name/watch-catalogue/watch-catalogue").json()["id"]
    poll = api.post(f"/deployments/{poller}/create_flow_run", json={}).json()["id"]

    taken = {}  # when the worker took a run, by id

    def finished():
        runs = api.post("/flow_runs/filter", json={"flow_runs": {"tags": {"all_": ["mapping", "watch"]}}}).json()
        ended = [run for run in runs if run["state"]["type"] in ("COMPLETED", "FAILED", "CRASHED")]
        return ended[0] if ended else None

    mapping = wait(finished, 1800, every=1.0)
    for one in (poll, mapping["id"]):
        states = api.get("/flow_run_states/", params={"flow_run_id": one}).json()
        taken[one] = min(state["timestamp"] for state in states if state["type"] == "PENDING")
    return appeared, api.get(f"/flow_runs/{poll}").json(), mapping, taken


def report(desk, moments):
    appeared, poll, mapping, taken = moments
    taken = {key: datetime.fromisoformat(moment) for key, moment in taken.items()}
    at = {key: datetime.fromisoformat(mapping[key]) for key in ("created", "start_time", "end_time")}
    event_id = mapping["parameters"]["event"]["event_id"]
    record = json.loads((desk.out / event_id / "current" / "record.json").read_text())
    run = json.loads(next((desk.out / ".overbank" / event_id / "metrics").glob("*.json")).read_text())
    began = datetime.fromisoformat(poll["start_time"])
    steps = {
        "the worker takes the poll": (taken[poll["id"]] - appeared).total_seconds(),
        "the poll's process starts": (began - taken[poll["id"]]).total_seconds(),
        "the poll asks for a run": (at["created"] - began).total_seconds(),
        "the worker takes the run": (taken[mapping["id"]] - at["created"]).total_seconds(),
        "the run's process starts": (at["start_time"] - taken[mapping["id"]]).total_seconds(),
        "mapping and publishing": (at["end_time"] - at["start_time"]).total_seconds(),
    }
    print(f"{mapping['name']}: {mapping['state']['name']}, version {record['version']}")
    print(f"item to published event: {(at['end_time'] - appeared).total_seconds():.1f} s after the poll is due")
    for name, seconds in steps.items():
        print(f"  {name:<28} {seconds:7.1f} s")
    for stage in run["stages"]:
        print(
            f"    {stage['stage']:<18} {stage['subject']:<32} {stage['wall_s']:7.2f} s wall {stage['cpu_s']:7.2f} cpu-s"
        )
    print("Before that: up to 5 min until the schedule fires, and the watch's own --every.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("overhead", "latency"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=288)
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    folder = given.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if given.what == "overhead":
        overhead(folder, given.size, given.repeat)
    else:
        latency(folder, given.size)


if __name__ == "__main__":
    main()
