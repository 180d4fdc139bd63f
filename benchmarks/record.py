"""One record for every figure, whatever script it came from, and the machine it was taken on."""

import json
import os
import platform
import resource
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

OURS = "overbank"
REPOSITORY = Path(__file__).resolve().parents[1]
LIBRARIES = ("numpy", "numba", "dask", "xarray", "rasterio", "torch", "openvino", "onnxruntime", "prefect", "sarsen")


@dataclass(frozen=True, kw_only=True)
class Record:
    """One stage, done once by one program."""

    stage: str
    """What was done."""
    group: str = ""
    """Of stages that are measured together."""
    who: str = OURS
    """Who did it: ours, or a peer's name and version."""
    mpx: float | None = None
    """Pixels that came out, millions; None where pixels are not the measure."""
    cpu_s: float | None = None
    """User and system time; other work on the machine does not lengthen it much."""
    wall_s: float | None = None
    peak_mib: float | None = None
    """Largest resident memory of the process while it did it."""
    gflop_per_mpx: float | None = None
    """Arithmetic of a network, for the roofline."""
    bytes_per_px: float | None = None
    """Least traffic: what must be read and written once, for the roofline."""
    decoded_per_px: float | None = None
    """Compressed values read for a pixel that comes out, for the roofline."""
    facts: dict[str, str | int | float | None] = field(default_factory=dict)
    """Whatever else the script told."""

    @property
    def rate(self) -> float | None:
        """Mpx per cpu-second."""
        return self.mpx / self.cpu_s if self.mpx and self.cpu_s else None


@dataclass(frozen=True)
class Spent:
    """What a child process used."""

    cpu_s: float
    wall_s: float
    peak_mib: float
    lines: list[dict]
    """Lines of JSON it printed."""
    text: str
    """All it printed."""


class Deadline:
    """When the whole run has to be over, by the clock of `time.monotonic`."""

    at: float = float("inf")

    @classmethod
    def left_s(cls) -> float:
        return cls.at - time.monotonic()


def run(command: list[str], *, timeout_s: float = 3600, python: Path | str = sys.executable) -> Spent:
    """Run a script of this folder in a process of its own; its and its children's time, its peak of memory.

    Raises:
        RuntimeError: it failed, or time was up; the end of what it said is in the message.
    """
    timeout_s = min(timeout_s, max(Deadline.left_s(), 1))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    child = subprocess.Popen(
        [str(python), *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=REPOSITORY,
        start_new_session=True,
    )
    try:
        stdout, stderr = child.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{' '.join(command)} was stopped after {timeout_s:.0f} s") from None
    finally:
        if child.poll() is None:  # it and whatever servers it started
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    wall_s, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if child.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}: {stderr[-1500:]}")
    lines = [json.loads(line) for line in stdout.splitlines() if line.startswith("{")]
    spent = [getattr(after, name) - getattr(before, name) for name in ("ru_utime", "ru_stime")]
    # The peak of all children so far: it is this one's where it exceeds what there was before.
    return Spent(sum(spent), wall_s, after.ru_maxrss / 1024, lines, stdout)


def forget_peak() -> None:
    """Let the peak of this process's memory begin anew (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


def memory_mib(name: str) -> float:
    """A figure of this process from Linux: ``VmRSS`` is what it holds now, ``VmHWM`` its peak."""
    lines = _lines("/proc/self/status")
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def machine() -> dict[str, str | int | float | dict[str, str]]:
    """Processor, memory, load, versions and commit."""
    cpu = next(
        (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    memory = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=REPOSITORY, check=False)
    return {
        "processor": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**20, 1),
        "load_at_start": round(os.getloadavg()[0], 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "overbank": version("overbank"),
        "commit": commit.stdout.strip()[:12],
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def write(path: Path, records: list[Record], about: dict) -> None:
    """All records and the machine as JSON."""
    path.write_text(json.dumps({"about": about, "records": [asdict(one) for one in records]}, indent=1) + "\n")


def read(path: Path) -> tuple[list[Record], dict]:
    """What `write` wrote."""
    content = json.loads(path.read_text())
    return [Record(**one) for one in content["records"]], content["about"]


def peers_python() -> Path | None:
    """Python of the environment of `make peers`, or None."""
    python = REPOSITORY / "build" / "peers" / "bin" / "python"
    return python if python.exists() else None
