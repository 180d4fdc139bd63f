"""Every benchmark of the product in one run, one report: docs/benchmarks.md, plots, and the figures as JSON.

    python -m benchmarks [--quick] [--minutes N] [--resume] [--out FOLDER] [--only GROUP ...] [--safe SAFE]

Groups are run one after another, each stage in a process of its own: roofline, preprocessing, grd, detectors,
inference, publish, end_to_end, orchestration, scaling. One that fails is named in the report and does not stop the
others. `--safe` is a real Sentinel-1 IW GRD product, of which the annotation alone is read; without it the first one
under OVERBANK_REAL_DATA is taken, and without that the GRD chain is left out. `--quick` takes smaller rasters and
leaves out grd and orchestration. `--minutes` is all the time there is: what is then unfinished is named as failed. The
report is written after every group, and `--resume` keeps those that are done at the same commit. Expected on two idle
cores: quick five minutes, the whole twenty. Compare processor seconds: wall time counts other work on the machine too.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from benchmarks import bench_report, record
from benchmarks.record import Record


@dataclass(frozen=True)
class Setting:
    """How large, and where."""

    quick: bool
    work: Path
    safe: Path | None

    def pick(self, quick: int, full: int) -> str:
        """A size as an argument."""
        return str(quick if self.quick else full)


PEERS = {
    "load pass, odc-stac": ("load pass, bilinear, half a pixel off", "odc-stac"),
    "HAND, pyflwdir": ("HAND", "pyflwdir"),
    "Lee 7x7, scipy without NaN": ("Lee 7x7", "SciPy, without NaN"),
}
"""Stages of preprocessing.py that are a peer's: the stage of ours beside it, and the peer."""

GRD_TILE_PX = 2048
"""Tile of grd.py's stages."""


def roofline(setting: Setting) -> Iterator[Record]:
    for line in record.run(["benchmarks/roofline.py", "--size", setting.pick(2048, 4096)]).lines:
        yield Record(stage=line.pop("limit"), who="machine", facts=line)


def preprocessing(setting: Setting) -> Iterator[Record]:
    """Ours, and the library functions beside them."""
    size = int(setting.pick(2048, 4096))
    work = setting.work / "preprocessing"
    work.mkdir()
    for line in record.run(["benchmarks/preprocessing.py", str(work), "--size", str(size)]).lines:
        stage, who = PEERS.get(line["stage"], (line["stage"], record.OURS))
        yield Record(
            stage=stage, who=who, mpx=line["mpx_per_cpu_s"] * line["cpu_s"], cpu_s=line["cpu_s"],
            wall_s=line["wall_s"], peak_mib=line["peak_mib_above_input"], bytes_per_px=8, facts={"size": size},
        )  # fmt: skip


def grd(setting: Setting) -> Iterator[Record]:
    if setting.safe is None or setting.quick:
        return
    work = setting.work / "grd"
    record.run(["benchmarks/grd.py", "prepare", "--safe", str(setting.safe), "--work", str(work)])
    for part in ("stages", "kernel", "sarsen", "full"):
        for line in record.run(["benchmarks/grd.py", part, "--work", str(work)]).lines:
            yield from grd_records(part, line)
    shutil.rmtree(work)


def grd_records(part: str, line: dict) -> Iterator[Record]:
    """One line of grd.py in our form."""
    if part == "stages":
        mpx = GRD_TILE_PX**2 / 1e6
        for name, rate in line["mpx_per_cpu_s"].items():
            yield Record(stage=f"GRD {name}", mpx=mpx, cpu_s=mpx / rate, facts={"tile_px": GRD_TILE_PX})
    elif part == "kernel":
        for who in (record.OURS, "numpy"):
            seconds = line[f"{'ours' if who == record.OURS else who}_cpu_s"]
            stage = "GRD calibration and noise, with reading"
            yield Record(stage=stage, who=who, mpx=line["mpx"], cpu_s=seconds, facts={"read_cpu_s": line["read_cpu_s"]})
    elif line["what"] == "agreement":
        yield Record(stage="GRD agreement with sarsen", facts={name: line[name] for name in ("median_db", "p5", "p95")})
    else:
        who, size = line.get("who", "ours"), line["what"].removeprefix("sarsen ")
        mpx = line["observed_mpx"] if part == "full" else int(size) ** 2 / 1e6
        yield Record(
            stage="GRD full scene, two polarisations" if part == "full" else "GRD to gamma0, one polarisation",
            who=record.OURS if who == "ours" else who, mpx=mpx, cpu_s=line["cpu_s"], wall_s=line["wall_s"],
            peak_mib=line["peak_gib"] * 1024,
        )  # fmt: skip


def detectors(setting: Setting) -> Iterator[Record]:
    side = setting.pick(2048, 8192)
    yield from detector_records("adaptive", side)
    for name in ("hierarchical", "dlr-fuzzy", "split-based", "otsu"):
        yield from detector_records(name, setting.pick(1024, 4096))


def detector_records(name: str, side: str, stage: str | None = None) -> Iterator[Record]:
    command = ["benchmarks/detectors.py", "--here", "--detector", name, "--rows", side, "--columns", side]
    for line in record.run(command).lines:
        yield Record(
            stage=stage or f"detect, {name}", mpx=line["mpx"], cpu_s=line["processor_s"], wall_s=line["wall_s"],
            peak_mib=line["peak_mib"], bytes_per_px=13, facts={"size": int(side)},
        )  # fmt: skip


def inference(setting: Setting) -> Iterator[Record]:
    command = ["benchmarks/inference.py", "--rounds", setting.pick(2, 5), "--scene-px", setting.pick(1024, 4096)]
    for line in record.run(command).lines:
        facts = {key: value for key, value in line.items() if key not in {"stage", "who", "mpx", "cpu_s", "wall_s"}}
        yield Record(
            stage=line["stage"], who=line["who"], mpx=line["mpx"], cpu_s=line["cpu_s"], wall_s=line["wall_s"],
            peak_mib=line.get("peak_mib"), gflop_per_mpx=line["gflop_per_mpx"], facts=facts,
        )  # fmt: skip


def publish(setting: Setting) -> Iterator[Record]:
    for passes in (2, 4):
        yield from publish_records(setting, setting.pick(20, 50), passes)


def publish_records(setting: Setting, side_km: str, passes: int) -> Iterator[Record]:
    folder = setting.work / f"publish-{passes}"
    size = ["--width-km", side_km, "--height-km", side_km, "--passes", str(passes)]
    record.run(["benchmarks/publish.py", str(folder), *size, "--stage", "build"])
    for stage in ("mosaic", "publish"):
        (line,) = record.run(["benchmarks/publish.py", str(folder), *size, "--stage", stage]).lines
        mpx = (float(side_km) * 100) ** 2 / 1e6
        yield Record(
            stage=f"{stage} of {passes} passes", mpx=mpx, cpu_s=line["cpu_s"], wall_s=line["wall_s"],
            peak_mib=line["peak_gib"] * 1024, facts={"passes": passes, "side_km": float(side_km)},
        )  # fmt: skip
    shutil.rmtree(folder)


def end_to_end(setting: Setting) -> Iterator[Record]:
    yield from event_records(world_of(setting, int(setting.pick(512, 1024))), setting, [])


def orchestration(setting: Setting) -> Iterator[Record]:
    """What a Prefect flow adds, in the script's own words."""
    if setting.quick:
        return
    command = ["benchmarks/orchestration.py", "overhead", str(setting.work / "orchestration")]
    said = record.run(command).text
    for line in said.splitlines():
        if line.startswith(("overhead", "share")) or "median" in line:
            yield Record(stage="orchestration", facts={"said": line})


def scaling(setting: Setting) -> Iterator[Record]:
    """With pixels, with passes, with workers."""
    for side in (1024, 2048) if setting.quick else (1024, 2048, 4096, 8192):
        yield from detector_records("adaptive", str(side), "scaling with pixels")
    world = world_of(setting, int(setting.pick(512, 1024)))
    for passes in (1, 4) if setting.quick else (1, 2, 4):
        yield from event_records(world, setting, ["--passes", str(passes)], "scaling with passes")
    for workers in (1, 2):
        yield from event_records(world, setting, ["--workers", str(workers)], "scaling with workers")


def world_of(setting: Setting, size: int) -> Path:
    """A simulated archive, built once."""
    from pipeline_lib.options.world import WorldOptions
    from pipeline_lib.world.build import build_world

    return build_world(setting.work / f"world-{size}", WorldOptions(seed=7, size=size))


def event_records(world: Path, setting: Setting, flags: list[str], stage: str | None = None) -> Iterator[Record]:
    """One run of end_to_end.py; its total alone where ``stage`` names a series."""
    done = record.run(["benchmarks/end_to_end.py", str(world), str(setting.work / "event"), *flags])
    for line in done.lines:
        if stage is not None and line["stage"] != "whole event":
            continue
        facts = {"size": line["size"]} | {name.strip("-"): int(value) for name, value in pairwise(flags)}
        yield Record(
            stage=stage or f"event: {line['stage']}", mpx=line["mpx"] or None, cpu_s=line["cpu_s"],
            wall_s=line["wall_s"], peak_mib=line["peak_mib"], facts=facts,
        )  # fmt: skip


GROUPS: dict[str, Callable[[Setting], Iterator[Record]]] = {
    "roofline": roofline,
    "preprocessing": preprocessing,
    "grd": grd,
    "detectors": detectors,
    "inference": inference,
    "publish": publish,
    "end_to_end": end_to_end,
    "orchestration": orchestration,
    "scaling": scaling,
}


def real_product() -> Path | None:
    """A real IW GRD product under OVERBANK_REAL_DATA, or None."""
    folder = Path(os.environ.get("OVERBANK_REAL_DATA", record.REPOSITORY.parent / "shared" / "data"))
    return next(iter(sorted(folder.glob("s1_safe/**/*_IW_GRDH_*.SAFE"))), None)


def collect(group: str, setting: Setting) -> tuple[list[Record], str | None]:
    """Records of a group as far as it came, and why no farther."""
    records: list[Record] = []
    started = time.perf_counter()
    failure = None
    try:
        for found in GROUPS[group](setting):
            records.append(replace(found, group=group))
            rate = f"{found.rate:9.2f} Mpx/cpu-s" if found.rate else ""
            print(f"{found.stage:44} {found.who:28} {rate}", flush=True)
    except Exception as error:  # noqa: BLE001 - whatever it is goes into the report; the other groups are measured
        failure = f"{type(error).__name__}: {error}"
        print(f"{group} FAILED: {failure}", file=sys.stderr, flush=True)
    print(f"-- {group}: {time.perf_counter() - started:.0f} s", flush=True)
    return records, failure


def earlier(path: Path, about: dict) -> tuple[list[Record], float]:
    """Records of the groups that an earlier run finished at the same commit and size, and its minutes."""
    if not path.is_file():
        return [], 0.0
    records, before = record.read(path)
    if any(before[name] != about[name] for name in ("commit", "quick")):
        print(f"{path} is of another commit or size: every group is measured anew")
        return [], 0.0
    return [one for one in records if one.group not in before["failed"]], before["minutes"]


def measure(given: argparse.Namespace, about: dict) -> dict[str, str]:
    """Measure group by group, the report written after each; what failed, by group."""
    path = given.out / "benchmarks.json"
    records, minutes = earlier(path, about) if given.resume else ([], 0.0)
    done, failed = {one.group for one in records}, dict[str, str]()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="overbank-bench-") as work:
        setting = Setting(given.quick, Path(work), given.safe or real_product())
        for group in given.only:
            if group in done:
                print(f"-- {group}: done before")
                continue
            in_time = record.Deadline.left_s() > 0
            found, failure = collect(group, setting) if in_time else ([], "not begun: no time was left")
            records += found
            failed |= {group: failure} if failure else {}
            spent = round(minutes + (time.perf_counter() - started) / 60, 1)
            record.write(path, records, about | {"failed": failed, "minutes": spent})
            bench_report.write(given.out)
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--minutes", type=float, help="all the time there is")
    parser.add_argument("--resume", action="store_true", help="keep what is in --out already")
    parser.add_argument("--out", type=Path, default=record.REPOSITORY / "docs", help="folder of benchmarks.md")
    parser.add_argument("--only", nargs="*", choices=list(GROUPS), default=list(GROUPS))
    parser.add_argument("--safe", type=Path, help="a real IW GRD product (SAFE folder)")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.minutes:
        record.Deadline.at = time.monotonic() + 60 * given.minutes
    failed = measure(given, record.machine() | {"quick": given.quick})
    print(f"report: {given.out / 'benchmarks.md'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
