"""The groups of `python -m benchmarks`: which script measures what, and its lines as records."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks import record
from benchmarks.record import Record


@dataclass(frozen=True)
class Setting:
    """How large, and where."""

    quick: bool
    work: Path
    safe: Path | None
    """A real product, of which the annotation is read."""
    peers: Path | None
    """Python of the peers' environment."""
    scene_share: float = 1.0
    """How much of the full scene is mapped: the whole takes some 15 GB of disk."""

    def pick(self, quick: float, full: float) -> str:
        """A size as an argument."""
        return str(quick if self.quick else full)


PEERS = {
    "load pass, odc-stac": ("load pass, bilinear, half a pixel off", "odc-stac"),
    "HAND, pyflwdir": ("HAND", "pyflwdir"),
    "Lee 7x7, scipy without NaN": ("Lee 7x7", "SciPy, without NaN"),
}
"""Stages of preprocessing.py that are a peer's: the stage of ours beside it, and the peer."""

COPIED = {"bytes_per_px": 8.0}
"""A float32 is read and one is written."""
LEAST: dict[str, dict[str, float]] = {
    "load pass, bilinear, half a pixel off": {"decoded_per_px": 1.0},
    "load DEM 30 m to 10 m, cubic": {"decoded_per_px": 1 / 9},
    "composite of 3 overpasses, 3 bands": {"bytes_per_px": 3 * (3 * 4 + 1) + 3 * 4.0},
}
"""The least that a stage of preprocessing.py has to do for a pixel, where it is not `COPIED`."""
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
            stage=stage, who=who, mpx=line["mpx"], cpu_s=line["cpu_s"],
            wall_s=line["wall_s"], peak_mib=line["peak_mib"], facts={"size": size}, **LEAST.get(stage, COPIED),
        )  # fmt: skip


def grd_scene(setting: Setting) -> Path | None:
    """A full GRD scene of simulated numbers, made once; None where there is no real annotation for it."""
    work = setting.work / "grd"
    if setting.safe is None:
        return None
    if not work.exists():
        record.run(["benchmarks/grd.py", "prepare", "--safe", str(setting.safe), "--work", str(work)])
    return work


def grd(setting: Setting) -> Iterator[Record]:
    work = None if setting.quick else grd_scene(setting)
    for part in ("stages", "kernel", "sarsen") if work else ():
        for line in record.run(["benchmarks/grd.py", part, "--work", str(work)]).lines:
            yield from grd_records(part, line)


def full_scene(setting: Setting) -> Iterator[Record]:
    """From a GRD product in an archive to a published event."""
    work = grd_scene(setting)
    if work is None:
        return
    share = setting.pick(0.02, setting.scene_share)
    out = setting.work / "full-scene"
    for line in record.run(["benchmarks/full_scene.py", str(work), str(out), "--share", share]).lines:
        yield event_record(line, f"full scene: {line['stage']}", {"share": float(share)})
    shutil.rmtree(out)


def grd_records(part: str, line: dict) -> Iterator[Record]:
    """One line of grd.py in our form."""
    if part == "stages":
        mpx = GRD_TILE_PX**2 / 1e6
        for name, rate in line["mpx_per_cpu_s"].items():
            yield Record(
                stage=f"GRD {name.replace('_', ' ')}", mpx=mpx, cpu_s=mpx / rate, facts={"tile_px": GRD_TILE_PX}
            )
    elif part == "kernel":
        for who in (record.OURS, "numpy"):
            seconds = line[f"{'ours' if who == record.OURS else who}_cpu_s"]
            stage = "GRD calibration and noise, with reading"
            yield Record(stage=stage, who=who, mpx=line["mpx"], cpu_s=seconds, facts={"read_cpu_s": line["read_cpu_s"]})
    elif line["what"] == "agreement":
        yield Record(stage="GRD agreement with sarsen", facts={name: line[name] for name in ("median_db", "p5", "p95")})
    else:
        yield Record(
            stage="GRD to gamma0, one polarisation", who=record.OURS if line["who"] == "ours" else line["who"],
            mpx=int(line["what"].removeprefix("sarsen ")) ** 2 / 1e6, cpu_s=line["cpu_s"], wall_s=line["wall_s"],
            peak_mib=line["peak_gib"] * 1024,
        )  # fmt: skip


def detectors(setting: Setting) -> Iterator[Record]:
    yield from detector_records("adaptive", setting.pick(2048, 8192))
    for name in ("fused", "hierarchical", "dlr-fuzzy", "split-based", "otsu"):
        yield from detector_records(name, setting.pick(1024, 4096))


def detector_records(name: str, side: str, stage: str | None = None, **flags: int) -> Iterator[Record]:
    """One detector from lazy arrays; VV and VH are read, class and likelihood written."""
    command = ["benchmarks/detectors.py", "--here", "--detector", name, "--rows", side, "--columns", side]
    for line in record.run(command + [word for key, value in flags.items() for word in (f"--{key}", str(value))]).lines:
        yield Record(
            stage=stage or f"detect, {name}", mpx=line["mpx"], cpu_s=line["processor_s"], wall_s=line["wall_s"],
            peak_mib=line["peak_mib"], bytes_per_px=13, facts={"size": int(side), **flags},
        )  # fmt: skip


def peers(setting: Setting) -> Iterator[Record]:
    """The peers' detectors and ours on one scene; each peer in the environment that it needs."""
    side = int(setting.pick(1024, 2048))
    stage = f"water of a scene of {side} px"
    for name, who in (("fused", record.OURS), ("adaptive", "overbank, adaptive"), ("otsu", "overbank, otsu")):
        for found in detector_records(name, str(side), stage):
            yield replace(found, who=who)
    if setting.peers is None:
        yield Record(stage="detectors of the peers", facts={"said": "not run: no environment with them (`make peers`)"})
        return
    source = write_scene(setting.work / "peers", side)
    for peer in ("hydrosar", "dask-flood-mapper", "autofloods-any"):
        target = setting.work / peer
        record.run(["benchmarks/peers/run_peer.py", peer, str(source), str(target)], python=setting.peers)
        facts = json.loads((target / "facts.json").read_text())
        if facts["errors"]:
            yield Record(stage=f"{stage}, {peer}", facts={"said": f"failed: {facts['errors']}"})
            continue
        with np.load(target / "scene.npz") as answer:
            cpu_s, wall_s = float(answer["cpu_seconds"]), float(answer["seconds"])
        yield Record(
            stage=stage, who=f"{peer.removesuffix('-any')} {facts['version']}", mpx=side**2 / 1e6, cpu_s=cpu_s,
            wall_s=wall_s, peak_mib=facts["peak_memory_bytes"] / 2**20, bytes_per_px=13, facts={"size": side},
        )  # fmt: skip


def write_scene(folder: Path, side: int) -> Path:
    """The detectors' scene as the peers' runner reads it, and a corner of it on which compilers warm up."""
    from benchmarks.detectors import ground

    folder.mkdir()
    block = ground()
    for name, size in (("a-corner", 512), ("scene", side)):
        power = {band: np.tile(one, (-(-size // len(one)),) * 2)[:size, :size] for band, one in block.items()}
        np.savez(folder / f"{name}.npz", **power)
    return folder


def inference(setting: Setting) -> Iterator[Record]:
    command = ["benchmarks/inference.py", "--rounds", setting.pick(2, 5), "--scene-px", setting.pick(1024, 4096)]
    yield from inference_records(command)


def inference_records(command: list[str], stage: str | None = None) -> Iterator[Record]:
    for line in record.run(command).lines:
        facts = {key: line[key] for key in ("backend", "tile") if key in line}
        yield Record(
            stage=stage or line["stage"], who=line["who"], mpx=line["mpx"], cpu_s=line["cpu_s"], wall_s=line["wall_s"],
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
    """With pixels, with the size of a block and of a network's tile, with passes, with workers."""
    for side in (1024, 2048) if setting.quick else (1024, 2048, 4096, 8192):
        yield from detector_records("adaptive", str(side), "scaling with pixels")
    side = setting.pick(2048, 4096)
    for block in (512, 2048) if setting.quick else (512, 1024, 2048, 4096):
        yield from detector_records("adaptive", side, "scaling with blocks", block=block)
    for tile in (512, 1024) if setting.quick else (512, 1024, 2048):
        command = ["benchmarks/inference.py", "--scene-only", "--scene-px", side, "--tile", str(tile)]
        yield from inference_records(command, "scaling with tiles")
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
        if stage is None or line["stage"] == "whole event":
            facts = {"size": line["size"]} | {name.strip("-"): int(value) for name, value in pairwise(flags)}
            yield event_record(line, stage or f"event: {line['stage']}", facts)


def event_record(line: dict, stage: str, facts: dict) -> Record:
    """One stage of an event in our form."""
    return Record(
        stage=stage, mpx=line["mpx"] or None, cpu_s=line["cpu_s"], wall_s=line["wall_s"], peak_mib=line["peak_mib"],
        facts=facts,
    )  # fmt: skip


GROUPS: dict[str, Callable[[Setting], Iterator[Record]]] = {
    "roofline": roofline,
    "preprocessing": preprocessing,
    "detectors": detectors,
    "peers": peers,
    "inference": inference,
    "publish": publish,
    "end_to_end": end_to_end,
    "orchestration": orchestration,
    "scaling": scaling,
    "full_scene": full_scene,
    "grd": grd,
}
"""In the order of measuring: what takes longest stands last, for runs with little time."""
