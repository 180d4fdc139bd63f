"""Every benchmark of the product in one run, one report: docs/benchmarks.md, plots, and the figures as JSON.

    python -m benchmarks [--quick] [--minutes N] [--resume] [--out FOLDER] [--only GROUP ...] [--safe SAFE]
                         [--peers PYTHON] [--scene-share 1]

Groups (`benchmarks/bench_groups.py`) are run one after another, each stage in a process of its own. One that fails is
named in the report and does not stop the others. `--safe` is a real Sentinel-1 IW GRD product, of which the annotation
alone is read; without it the first one under OVERBANK_REAL_DATA is taken, and without that grd and full_scene are left
out. `--peers` is the Python of an environment with the peers' detectors; without it the one of `make peers` is taken,
where there is one. `--quick` takes smaller rasters and leaves out grd and orchestration. `--minutes` is all the time
there is: what is then unfinished is named as failed. The report is written after every group, and `--resume` keeps
those that are done at the same commit and size. Compare processor seconds: wall time counts other work on the machine.
"""

import argparse
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from benchmarks import bench_report, record
from benchmarks.bench_groups import GROUPS, Setting
from benchmarks.record import Record


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
        setting = Setting(
            given.quick,
            Path(work),
            given.safe or real_product(),
            given.peers or record.peers_python(),
            given.scene_share,
        )
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
    parser.add_argument("--scene-share", type=float, default=1.0, help="part of the full scene; the whole takes 15 GB")
    parser.add_argument("--peers", type=Path, help="Python of an environment with the peers' detectors")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.minutes:
        record.Deadline.at = time.monotonic() + 60 * given.minutes
    failed = measure(given, record.machine() | {"quick": given.quick})
    print(f"report: {given.out / 'benchmarks.md'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
