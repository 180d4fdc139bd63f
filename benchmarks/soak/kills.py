"""SIGKILL at random moments: after a restart the published archive equals that of an undisturbed run, byte for byte.

Usage: python -m benchmarks.soak.kills FOLDER [--seed 7] [--flow 24 --poller 18 --dask 6 --last 4 --prefect 4]
                                              [--json FILE] [--docs docs/reference]

A run is killed again and again, resumed after each kill, and then left to end; what it published is compared with what
an undisturbed run published. Every moment comes from a seeded generator, uniform over the CPU time of the undisturbed
run that earlier kills of the same run have left (on a busy machine the clock says nothing); a run that ended before
its moment is not counted. Timestamps are all that
may differ (`benchmarks.soak.sameness`); the intermediate datasets must be equal without exception.

FOLDER/kills.json is written after every round: the same command goes on where it was stopped. Start with an empty
folder after a change of the software, whose undisturbed run may differ.
"""

import argparse
import json
import os
import platform
import time
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from benchmarks.soak import runs
from benchmarks.soak.kill_rounds import DASK, FLOW, LAST, LAST_DAY, POLLER, SERVER, Bench, Round, undisturbed
from pipeline_lib.options.world import WorldOptions
from pipeline_lib.steps.event import read_event
from pipeline_lib.world.build import build_world
from pipeline_lib.world.server import serve

SIZE, SEED = 128, 7
WANTED = {FLOW: 24, POLLER: 18, DASK: 6, LAST: 4, SERVER: 4}
COMES_BACK = {
    FLOW: "the same event is mapped again",
    POLLER: "the watch is polled again",
    DASK: "the nanny starts another worker; the run goes on",
    LAST: "the run ends with `ClusterError` after `dask_patience_s` (2 s here); with a worker it is run again",
    SERVER: "the server is started again; the run goes on, or is run again",
}
PREFACE = f"""# What a killed process does to the archive

Made by `python -m benchmarks.soak.kills FOLDER --docs docs/reference`; do not edit. World of {SIZE} px, seed {SEED},
two passes, one of two slices. {{kills}} kills by SIGKILL, at moments drawn by seed {{seed}}, uniform over the CPU time
of the undisturbed run ({{undisturbed_cpu_s}} s) that the kills before have left. Compared is every file of the folder
of events and of the intermediates, byte for byte except timestamps (`benchmarks/soak/sameness.py`).
"""
HEAD = """| killed | kills | rounds | at CPU-s of the run | then | runs or polls after it | archives that differ |
|---|---|---|---|---|---|---|"""


def load(folder: Path) -> dict[str, Any]:
    """The rounds played so far, and the addresses they were played at."""
    path = folder / "kills.json"
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found
    return {"port": runs.free_port(), "season_port": runs.free_port(), "rounds": [], "wall_s": 0.0}


def save(folder: Path, state: dict[str, Any]) -> None:
    new = folder / "kills.json.new"
    new.write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")
    new.replace(folder / "kills.json")


def count(state: dict[str, Any], what: str) -> int:
    return sum(len(one["moments_cpu_s"]) for one in state["rounds"] if one["what"] == what)


def play(bench: Bench, state: dict[str, Any], wanted: dict[str, int]) -> None:
    """Every round that is still missing."""
    for what, kills in wanted.items():
        while (missing := kills - count(state, what)) > 0:
            began = time.monotonic()
            number = sum(one["what"] == what for one in state["rounds"])
            played = bench.play(what, number, missing)
            state["rounds"].append(asdict(played))
            state["wall_s"] += round(time.monotonic() - began, 1)
            save(bench.folder, state)
            say(played, sum(len(one["moments_cpu_s"]) for one in state["rounds"]))


def say(played: Round, total: int) -> None:
    found = played.differences
    verdict = "same" if not found else f"{len(found)} DIFFERENCES: {found[:3]}"
    shown = ", ".join(f"{after:.2f}" for after in played.moments_cpu_s)
    print(f"{total:3d} {played.what}: killed at {shown} CPU-s, {played.restarts} run(s) more: {verdict}", flush=True)


def facts_of(state: dict[str, Any], seed: int) -> dict[str, Any]:
    """The sum over all rounds."""
    rounds = state["rounds"]
    return {
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d}",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "seed": seed,
        "world": {"size": SIZE, "seed": SEED},
        "kills": sum(len(one["moments_cpu_s"]) for one in rounds),
        "different": sum(bool(one["differences"]) for one in rounds),
        "undisturbed_cpu_s": state["good_cpu_s"],
        "runs_cpu_s": round(sum(one["cpu_s"] for one in rounds), 1),
        "wall_s": round(state["wall_s"], 1),
        "rounds": rounds,
    }


def page(facts: dict[str, Any]) -> str:
    """The page: one line a kind of kill."""
    lines = [PREFACE.format(**facts), HEAD]
    for what, then in COMES_BACK.items():
        rounds = [one for one in facts["rounds"] if one["what"] == what]
        moments = [moment for one in rounds for moment in one["moments_cpu_s"]]
        if moments:
            restarts = [one["restarts"] for one in rounds]
            wrong = sum(bool(one["differences"]) for one in rounds)
            span = f"{min(moments):.1f} to {max(moments):.1f}"
            after = f"{min(restarts)} to {max(restarts)}"
            lines.append(f"| {what} | {len(moments)} | {len(rounds)} | {span} | {then} | {after} | {wrong} |")
    took = f"{facts['runs_cpu_s']:.0f} CPU-s in the runs, {facts['wall_s'] / 60:.0f} min by the clock"
    return "\n".join([*lines, "", f"Measured {facts['date']} on {facts['machine']}: {took}.", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=SEED)
    for what, kills in WANTED.items():
        parser.add_argument(f"--{what.split()[0].lower()}", type=int, default=kills, help=f"kills of: {what}")
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--docs", type=Path, default=None, help="folder for kills.md and kills.json")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    state, world = load(given.folder), given.folder / "world"
    if not (world / "event.yaml").exists():
        build_world(world, WorldOptions(seed=SEED, size=SIZE))
    with serve(world, port=state["port"]) as url, runs.prefect_server(given.folder / "prefect") as server:
        event = read_event(world / "event.yaml").model_dump(mode="json") | {"end": LAST_DAY}
        bench = Bench(given.folder, world, url, event, given.seed, server, state["season_port"])
        if "good_cpu_s" not in state:
            undisturbed(bench)
            state |= {"good_cpu_s": bench.good_cpu_s, "good_poll_cpu_s": bench.good_poll_cpu_s}
            save(given.folder, state)
        bench.good_cpu_s, bench.good_poll_cpu_s = state["good_cpu_s"], tuple(state["good_poll_cpu_s"])
        print(f"undisturbed: {bench.good_cpu_s} CPU-s, polls {bench.good_poll_cpu_s}; seed {given.seed}", flush=True)
        play(bench, state, {what: getattr(given, what.split()[0].lower()) for what in WANTED})
    report(facts_of(state, given.seed), given.json, given.docs)


def report(facts: dict[str, Any], target: Path | None, docs: Path | None) -> None:
    """Print the sum, write the files, and fail where one archive differs."""
    print(json.dumps({name: value for name, value in facts.items() if name != "rounds"}, indent=1))
    text = json.dumps(facts, indent=1) + "\n"
    if target:
        target.write_text(text, encoding="utf-8")
    if docs:
        (docs / "kills.json").write_text(text, encoding="utf-8")
        (docs / "kills.md").write_text(page(facts), encoding="utf-8")
    if facts["different"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
