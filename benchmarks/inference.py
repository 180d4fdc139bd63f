"""Net time of every backend, and of a whole scene through the segmenter, in wall and in CPU seconds.

    python benchmarks/inference.py [MODEL] [--side 1024] [--rounds 5] [--threads 2] [--workers 1] [--scene-px 4096]
                                   [--tile 1024] [--scene-only]

Backends are run in turn within each round, so that a busy machine slows all of them alike; the smallest time counts.
``eager`` is torch as most people run it: default memory order, no inference mode tricks. The scene is random
backscatter that stands ready, so that nothing but the network and Dask's own work is measured; a full IW
scene is 4.2e8 pixels (250 km x 170 km at 10 m). On a busy machine compare CPU seconds: wall time counts waiting.
"""

import argparse
import time

import dask.array as da
import numpy as np
import torch
import xarray as xr
from stopwatch import Stopwatch, apart, peak_gib, tell

from pipeline_lib.nn.backends import open_backend
from pipeline_lib.nn.losses import water_logit
from pipeline_lib.nn.model_folder import INT8, ONNX, load_model
from pipeline_lib.nn.networks import gigaflops, parameter_count
from pipeline_lib.nn.segmenter import Segmenter
from pipeline_lib.options.learned import LearnedOptions

FULL_SCENE_PX = 4.2e8
BLOCK_PX = 2048


class Eager:
    """Torch without any of our settings."""

    name = "torch eager"

    def __init__(self, model, threads):
        self.network = model.network()
        torch.set_num_threads(threads)

    def odds(self, tiles):
        with torch.no_grad():
            return water_logit(self.network(torch.from_numpy(tiles))).numpy()


def backends_of(model, threads):
    names = ["torch-cpu"]
    if (model.folder / ONNX).is_file():
        names += ["onnxruntime", "openvino"]
    if (model.folder / INT8).is_file():
        names += ["onnxruntime-int8", "openvino-int8"]
    if torch.cuda.is_available():
        names.append("torch-cuda")
    return [Eager(model, threads), *(open_backend(model, name, threads=threads) for name in names)]


def net_times(model, side, rounds, threads):
    tiles = np.random.default_rng(0).normal(size=(1, len(model.card.inputs.bands), side, side)).astype(np.float32)
    backends = backends_of(model, threads)
    best = {backend.name: (np.inf, np.inf) for backend in backends}
    for backend in backends:
        backend.odds(tiles)
    for _ in range(rounds):
        for backend in backends:
            wall, cpu = time.perf_counter(), time.process_time()
            backend.odds(tiles)
            spent = time.perf_counter() - wall, time.process_time() - cpu
            best[backend.name] = tuple(min(a, b) for a, b in zip(best[backend.name], spent, strict=True))
    return best


def scene_time(folder, side, threads, workers, tile):
    """Backend, wall and CPU seconds and peak memory (GiB) of a scene of ``side`` squared pixels, default backend.

    Each block of the scene is a copy of one block of random backscatter, as it would come from a file: drawing every
    block took a tenth of the time.
    """
    segmenter = Segmenter.load(folder, "auto", threads=threads, tile=tile)
    rng, block = np.random.default_rng(0), min(side, BLOCK_PX)
    blocks = {p: rng.gamma(4, 0.01, (block, block)).astype(np.float32) for p in ("vv", "vh")}
    empty = da.empty((side, side), chunks=block, dtype=np.float32)
    power = {
        p: da.map_blocks(lambda b, one: one[: b.shape[0], : b.shape[1]].copy(), empty, one) for p, one in blocks.items()
    }
    scene = xr.Dataset({p: (("y", "x"), a, {"units": "1"}) for p, a in power.items()}, attrs={"backscatter": "gamma0"})
    history = scene if segmenter.model.card.inputs.needs_history else None
    with Stopwatch() as watch:
        (segmenter.likelihood(scene, history) > 0.5).mean().compute(scheduler="threads", num_workers=workers)
    return segmenter.backend, watch.wall_s, watch.cpu_s, peak_gib()


def compare(model, work, given):
    """Every backend on one tile."""
    best = net_times(model, given.side, given.rounds, given.threads)
    slow = best["torch eager"]
    print("| backend | wall ms | CPU ms | x eager (wall) | x eager (CPU) | Mpx/s (wall) |\n|---|---|---|---|---|---|")
    for name, (wall, cpu) in best.items():
        mpx = given.side**2 / 1e6
        rate = mpx / wall
        print(
            f"| {name} | {wall * 1e3:.1f} | {cpu * 1e3:.1f} | {slow[0] / wall:.2f} | {slow[1] / cpu:.2f} | {rate:.2f} |"
        )
        who = name if slow is best[name] else f"overbank, {name}"
        tell(stage="network alone", who=who, mpx=mpx, cpu_s=cpu, wall_s=wall, gflop_per_mpx=work)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="shipped_post_event")
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--scene-px", type=int, default=4096, help="side; 20480 is a full IW scene")
    parser.add_argument("--workers", type=int, default=1, help="blocks of the scene at once, each with --threads")
    parser.add_argument("--tile", type=int, default=LearnedOptions().tile_px, help="the detector's unless given")
    parser.add_argument("--scene-only", action="store_true", help="leave the backends side by side out")
    options = parser.parse_args()
    model = load_model(options.model)
    network = model.network()
    bands = len(model.card.inputs.bands)
    print(
        f"{model.card.name}: {parameter_count(network)} parameters, {gigaflops(network, bands):.2f} GFLOP at 512 x 512"
    )
    work = gigaflops(network, bands) / 512**2 * 1e6
    if not options.scene_only:
        compare(model, work, options)
    given = options.scene_px, options.threads, options.workers, options.tile
    # In a process of its own: the six networks timed before leave 1 GiB behind in this one.
    backend, wall, cpu, peak = apart(scene_time, model.folder, *given)
    scale = FULL_SCENE_PX / options.scene_px**2
    print(
        f"network alone, scene {options.scene_px} squared on {backend}: {wall:.1f} s wall, {cpu:.1f} s CPU; "
        "full IW scene by pixels: "
        f"{wall * scale:.0f} s wall, {cpu * scale:.0f} s CPU ({cpu * scale / options.threads:.0f} s on "
        f"{options.threads} idle cores); peak memory {peak:.2f} GiB"
    )
    scene_mpx = options.scene_px**2 / 1e6
    tell(
        stage="scene through the network", who="overbank", mpx=scene_mpx, cpu_s=cpu, wall_s=wall, gflop_per_mpx=work,
        peak_mib=peak * 1024, backend=backend, tile=options.tile,
    )  # fmt: skip


if __name__ == "__main__":
    main()
