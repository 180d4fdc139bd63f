"""Speed and memory of the detectors, from a lazy array to the likelihood of every pixel.

    python benchmarks/detectors.py [--rows 16700] [--columns 26000] [--detector adaptive ...] [--history 4]
                                   [--block 1024] [--workers 2]

The scene is synthetic and made block by block as it is asked for (a river, lakes and speckle of 4.4 looks over fields),
so that nothing but the detector holds memory. Each detector runs in a process of its own; printed are wall and
processor seconds, megapixels a second, and the process's peak of resident memory.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import dask
import dask.array as da
import numpy as np
import xarray as xr

BLOCK = 1024


def ground(side: int = BLOCK) -> dict[str, np.ndarray]:
    """One block of the scene, repeated: linear power of VV and VH."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]
    water = np.abs(y - side / 2 - 60 * np.sin(x / side * 2 * np.pi)) < 40
    water |= (np.hypot(y % 256 - 128, x % 256 - 90) < 30) & (y < side / 4)
    power = {}
    for name, wet, dry in (("vv", -19.5, -10.5), ("vh", -26.5, -17.0)):
        fields = dry + 1.5 * np.repeat(np.repeat(rng.normal(size=(side // 32, side // 32)), 32, 0), 32, 1)
        mean = np.where(water, wet, fields)
        power[name] = (10 ** (mean / 10) * rng.gamma(4.4, 1 / 4.4, (side, side))).astype(np.float32)
    return power


def lazy_scene(rows: int, columns: int, block: int) -> xr.Dataset:
    """A Scene of any size that exists one block at a time."""
    sample = {name: np.tile(power, (-(-block // BLOCK),) * 2) for name, power in ground().items()}

    def cut(block_info=None, name="vv"):
        (top, bottom), (left, right) = block_info[None]["array-location"]
        return sample[name][: bottom - top, : right - left].copy()

    chunks = tuple(tuple(min(block, size - start) for start in range(0, size, block)) for size in (rows, columns))
    variables = {
        name: (("y", "x"), da.map_blocks(cut, name=name, chunks=chunks, dtype=np.float32), {"units": "1"})
        for name in ("vv", "vh")
    }
    return xr.Dataset(variables, attrs={"backscatter": "gamma0"})


def observation(rows: int, columns: int, passes: int, block: int):
    """The scene, and so many reference passes of the same ground."""
    from pipeline_lib.water import Observation

    scene = lazy_scene(rows, columns, block)
    history = xr.concat([lazy_scene(rows, columns, block) for _ in range(passes)], dim="time") if passes else None
    return Observation(scene=scene, history=history)


def run(name: str, given: argparse.Namespace) -> dict[str, float]:
    """Time one detector in this process, compilation left out."""
    from pipeline_lib.water import detector

    rows, columns, passes = given.rows, given.columns, given.history
    with dask.config.set(scheduler="threads", num_workers=given.workers):
        warm = min(rows, BLOCK), min(columns, BLOCK)  # networks are compiled for the size of a tile
        detector(name).detect(observation(*warm, passes, BLOCK)).compute()
        started, used = time.perf_counter(), time.process_time()
        extent = detector(name).detect(observation(rows, columns, passes, given.block))
        share, water = dask.compute(extent["likelihood"].data.mean(), (extent["water"].data == 1).mean())
        wall, processor = time.perf_counter() - started, time.process_time() - used
    pixels = rows * columns / 1e6
    return {
        "detector": name,
        "history": passes,
        "block": given.block,
        "workers": given.workers,
        "mpx": pixels,
        "wall_s": round(wall, 2),
        "processor_s": round(processor, 2),
        "mpx_per_wall_s": round(pixels / wall, 1),
        "mpx_per_processor_s": round(pixels / processor, 1),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "water_share": round(float(water), 4),
        "mean_likelihood": round(float(share), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4096)
    parser.add_argument("--columns", type=int, default=4096)
    parser.add_argument("--detector", action="append")
    parser.add_argument("--history", type=int, default=0, help="reference passes")
    parser.add_argument("--block", type=int, default=BLOCK, help="side of the scene's chunks")
    parser.add_argument("--workers", type=int, default=2, help="threads of Dask")
    parser.add_argument("--here", action="store_true", help="run in this process")
    given = parser.parse_args()
    for name in given.detector or ["adaptive"]:
        if given.here:
            print(json.dumps(run(name, given)), flush=True)
            continue
        size = [
            word for key in ("rows", "columns", "history", "block", "workers")
            for word in (f"--{key}", str(getattr(given, key)))
        ]  # fmt: skip
        subprocess.run([sys.executable, __file__, "--here", "--detector", name, *size], check=True)


if __name__ == "__main__":
    main()
