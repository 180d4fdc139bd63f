"""Every fault of the simulated archive against the whole mapping flow: what happens, and that nothing is wrong.

Usage: python -m benchmarks.soak.faults FOLDER [--only NAME] [--docs docs/reference]

Each fault strikes a run of ``map_event`` once (it passes) and always (it stays): catalogue faults on searches for
radar items, asset faults on the VV raster of one pass of the event. What is then published is compared with runs that
nothing disturbed, over the whole archive or over one that lacks what was lost. A run may publish
all, publish without the struck pass and say so, or publish nothing and say why; anything else fails this script.
Writes faults.md and faults.json. Cases that faults.json holds already are not run again: stopped half-way, the same
command goes on. Without ``--docs``, or after that file is removed, every case is run.
"""

import argparse
import json
import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.soak import runs
from benchmarks.soak.sameness import contents
from pipeline_lib.catalog.profiles import resolve_catalog
from pipeline_lib.model import Event
from pipeline_lib.options.search import SearchOptions
from pipeline_lib.options.world import WorldOptions
from pipeline_lib.steps.event import read_event
from pipeline_lib.steps.search import search_event
from pipeline_lib.world.build import build_world
from pipeline_lib.world.server import fault_transport, serve
from pipeline_lib.world.server.faults import Faults, Rule, fault, fault_names

SIZE, SEED, AT_ONCE = 128, 7, 3
STRUCK = "1SDV_20251030T053529"
"""Part of the name of the item whose asset is struck: the first pass of the event."""
OPTIONS: dict[str, Any] = {
    "plan": {"max_references": 2},
    "search": {"page_size": 4, "attempts": 3, "backoff_s": 0.1, "request_timeout_s": 20, "total_time_s": 240},
    "publish": {"vectors": ["geojson"], "preview_px": 128},
}
SHARED = ("terrain", "occurrence", "history", "archive")
"""Intermediates that every case takes over from the undisturbed run: what is struck is read anew."""
LONGEST_S, LONGEST_CPU_S = 1500.0, 120.0
SHORT_STALL_S = 4.0
"""A stall that comes back on every request is cut by the server after so long, to bound this script."""
COMPARED = (".tif", ".geojson")
PREFACE = f"""Made by `python -m benchmarks.soak.faults FOLDER --docs docs/reference`; do not edit. World of {SIZE} px,
seed {SEED}, two passes; catalogue faults strike the searches for radar items, asset faults the VV raster of one pass.

- *identical result*: every raster and polygon equals the undisturbed run's, byte for byte.
- *published without the pass, and said so*: equal, byte for byte, to an undisturbed run over an archive that lacks the
  struck pass: its pixels come from the other pass or are *not observed*; the run ends with `IncompleteEventError`.
- *published, the skipped item is noted*: an item of the catalogue cannot be used; equal to an undisturbed run over an
  archive that lacks it, and the notes of the plan and of the event name it.
- *clear error, nothing published*: one of overbank's own errors, one sentence, no file."""


@dataclass(frozen=True)
class Case:
    """One fault in one dose."""

    name: str
    place: str
    """``catalogue`` or ``asset``."""
    dose: str
    """``once`` or ``always``."""

    @property
    def rule(self) -> Rule:
        times = 1 if self.dose == "once" else None
        if self.place == "catalogue":
            return Rule(self.name, path="^/search$", body="sentinel-1-rtc", times=times)
        skip = 1 if self.dose == "once" else 0
        return Rule(self.name, path=f"^/assets/.*{STRUCK}.*/vv.tif$", method="GET", times=times, skip=skip)


@dataclass(frozen=True)
class Row:
    """What a case came to."""

    case: Case
    verdict: str
    struck: int
    """Requests that the fault broke."""
    message: str
    seconds: float
    cpu_s: float

    @property
    def good(self) -> bool:
        return not self.verdict.startswith("WRONG")


def cases(only: str | None) -> list[Case]:
    """Every fault where it belongs, in both doses."""
    found = []
    for place, names in (
        ("asset", (*fault_names("asset"), *fault_names("any"))),
        ("catalogue", (*fault_names("search"), *fault_names("any"))),
    ):
        found += [Case(name, place, dose) for name in names for dose in ("once", "always")]
    return [case for case in found if only in (None, case.name)]


class Bench:
    """Folders, and what undisturbed runs publish."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.world = build_world(folder / "world", WorldOptions(seed=SEED, size=SIZE))
        whole = read_event(self.world / "event.yaml")
        day = whole.start.replace(month=11, day=2, hour=0)
        self.event = whole.model_copy(update={"end": day}).model_dump(mode="json")
        self.lock = threading.RLock()
        self.rest: dict[str, dict[str, str]] = {}
        self.all = self.undisturbed("all", [])
        self.struck = next((self.world / "items/sentinel-1-rtc").glob(f"*{STRUCK}*")).stem

    def run(self, out: Path, url: str) -> runs.Outcome:
        """Map with a limit on the time: a run that hangs is a finding."""
        with self.lock:
            run = runs.start(runs.map_world, str(self.world), url, str(out), OPTIONS, self.event)
        return run.kill() if run.works_for(LONGEST_CPU_S, LONGEST_S) else run.end()

    def undisturbed(self, name: str, lacking: list[str]) -> dict[str, str]:
        """What is published from the archive, or from one that lacks some items."""
        world = shutil.copytree(self.world, self.folder / f"{name}-world")
        for item in lacking:
            (world / "items" / "sentinel-1-rtc" / f"{item}.json").unlink()
        out = self.folder / name
        with serve(world) as url:
            outcome = self.run(out, url)
        if outcome.kind != "published":
            raise SystemExit(f"The undisturbed run {name} ended with {outcome.kind}: {outcome.message}")
        return pixels(out)

    def lost(self, case: Case) -> list[str]:
        """Items that a search does not find under the fault."""
        found = []
        for rules in ([], [case.rule]):
            with serve(self.world, port=runs.free_port(), faults=Faults(rules)) as url:
                options = SearchOptions.model_validate(OPTIONS["search"])
                answer = search_event(Event.model_validate(self.event), resolve_catalog(url), options)
            found.append({item.item_id for one in (*answer.passes, *answer.references) for item in one.slices})
        return sorted(found[0] - found[1])

    def without(self, items: list[str]) -> dict[str, str]:
        """What an undisturbed run publishes from an archive that lacks these items."""
        name = f"without-{'-'.join(items)}"[:200]
        with self.lock:
            if name not in self.rest:
                self.rest[name] = self.undisturbed(name, items)
        return self.rest[name]

    def strike(self, case: Case) -> Row:
        """One case."""
        out = self.folder / "cases" / f"{case.place}-{case.name}-{case.dose}"
        for kind in SHARED:
            shutil.copytree(self.folder / "all/.overbank/store" / kind, out / ".overbank/store" / kind)
        faults = Faults([case.rule])
        with serve(self.world, port=runs.free_port(), faults=faults) as url:
            outcome = self.run(out, url)
        row = Row(
            case=case,
            verdict=self.verdict(case, outcome, out),
            struck=len(faults.log),
            message=outcome.message.replace(url, "URL"),
            seconds=round(outcome.seconds, 1),
            cpu_s=round(outcome.cpu_s, 1),
        )
        shutil.rmtree(out)
        print(f"{case.place:<10}{case.name:<22}{case.dose:<7}{row.verdict:<40}{row.seconds:6.1f} s {row.message[:150]}")
        sys.stdout.flush()
        return row

    def verdict(self, case: Case, outcome: runs.Outcome, out: Path) -> str:
        """What happened, in words; begins with WRONG where it must not happen."""
        published = pixels(out)
        if outcome.kind == "killed":
            return f"WRONG: no end within {LONGEST_S:.0f} s"
        if outcome.kind == "crash":
            return "WRONG: crash"
        if outcome.kind == "error":
            return "WRONG: error, but something is published" if published else "clear error, nothing published"
        if outcome.kind == "incomplete":
            right = published == self.without([self.struck]) and STRUCK.removeprefix("1SDV_") in outcome.message
            return "published without the pass, and said so" if right else "WRONG: incomplete and otherwise"
        if published == self.all:
            return "identical result"
        lost = self.lost(case)
        noted = any("is skipped" in note for note in notes(out))
        right = bool(lost) and noted and published == self.without(lost)
        return "published, the skipped item is noted" if right else "WRONG: published something else"


def notes(out: Path) -> list[str]:
    """What the published event says to its readers."""
    return [note for path in out.glob("*/current/record.json") for note in json.loads(path.read_text())["notes"]]


def pixels(out: Path) -> dict[str, str]:
    """Rasters and polygons of the current version, by their path in it."""
    found = {}
    for path, digest in contents(out).items():
        event, _, rest = path.partition("/versions/0001/")
        if rest and Path(rest).suffix in COMPARED and not event.startswith("."):
            found[rest] = digest
    return found


def table(rows: list[Row]) -> str:
    """The page: one line a fault and place, both doses."""
    lines = [
        "# What each fault of an archive does to a mapping run",
        "",
        PREFACE,
        "",
        f"{len(rows)} of {len(cases(None))} cases were run; an empty cell was not.",
        "",
        "| fault | where | what the server does | strikes once | stays |",
        "|---|---|---|---|---|",
    ]
    found = {(row.case.place, row.case.name, row.case.dose): row for row in rows}
    for place, name in dict.fromkeys((row.case.place, row.case.name) for row in rows):
        doses = [found.get((place, name, dose)) for dose in ("once", "always")]
        said = " | ".join("" if row is None else row.verdict for row in doses)
        lines.append(f"| `{name}` | {place} | {fault(name).summary} | {said} |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default=None, help="one fault")
    parser.add_argument("--docs", type=Path, default=None, help="folder for faults.md and faults.json")
    given = parser.parse_args()
    shutil.rmtree(given.folder, ignore_errors=True)
    rows = known(given.docs)
    with runs.prefect_server(given.folder / "prefect"):
        bench = Bench(given.folder)
        missing = [case for case in cases(given.only) if case not in {row.case for row in rows}]
        short = [case for case in missing if case.name == "stall" and case.dose == "always"]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for future in as_completed([pool.submit(bench.strike, case) for case in missing if case not in short]):
                rows.append(future.result())
                write(rows, given.docs)
        fault_transport.STALL_S = SHORT_STALL_S
        for case in short:
            rows.append(bench.strike(case))
            write(rows, given.docs)
    wrong = [row for row in rows if not row.good]
    print(f"{len(rows)} cases of {len({row.case.name for row in rows})} faults, {len(wrong)} wrong")
    if wrong:
        raise SystemExit(1)


def known(docs: Path | None) -> list[Row]:
    """Rows of earlier runs, without those of faults that are no more."""
    path = docs / "faults.json" if docs else None
    if path is None or not path.exists():
        return []
    found = []
    for fields in json.loads(path.read_text(encoding="utf-8")):
        case = Case(*(fields.pop(name) for name in ("name", "place", "dose")))
        found.append(Row(case=case, **fields))
    return [row for row in found if row.case in cases(None)]


def write(rows: list[Row], docs: Path | None) -> None:
    """Both files, in the order of the cases."""
    if docs is None:
        return
    order = {case: number for number, case in enumerate(cases(None))}
    rows = sorted(rows, key=lambda row: order[row.case])
    (docs / "faults.md").write_text(table(rows), encoding="utf-8")
    facts = [
        {**asdict(row.case), **{name: value for name, value in asdict(row).items() if name != "case"}} for row in rows
    ]
    (docs / "faults.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
