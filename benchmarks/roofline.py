"""The machine's own limits on one core: copying, decoding, writing, arithmetic. Nothing of ours is in it.

    python benchmarks/roofline.py [--size 4096]

One line of JSON a limit. A stage that must read and write b bytes a pixel cannot exceed copy / b; one that reads
compressed tiles cannot exceed decode; a network of g GFLOP a megapixel cannot exceed flops / g.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"

import numpy as np
import rasterio
import torch
from stopwatch import tell


def least(work, rounds=5):
    """Processor seconds of the fastest of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return best


def copy(size):
    source = np.ones((size, size), np.float32)
    target = np.empty_like(source)
    seconds = least(lambda: np.copyto(target, source))
    tell(limit="copy", gb_per_cpu_s=2 * source.nbytes / 1e9 / seconds)


def files(size):
    """Backscatter with speckle, as an archive stores it: tiled DEFLATE float32 with predictor 3."""
    rng = np.random.default_rng(0)
    power = (0.05 * rng.gamma(4.4, 1 / 4.4, (size, size))).astype(np.float32)
    profile = {
        "driver": "GTiff", "dtype": "float32", "count": 1, "height": size, "width": size, "tiled": True,
        "blockxsize": 512, "blockysize": 512, "compress": "deflate", "predictor": 3, "zlevel": 6,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "power.tif"

        def encode():
            with rasterio.open(path, "w", **profile) as file:
                file.write(power, 1)

        def decode():
            with rasterio.open(path) as file:
                file.read(1)

        tell(limit="encode", mpx_per_cpu_s=power.size / 1e6 / least(encode, 2))
        tell(limit="decode", mpx_per_cpu_s=power.size / 1e6 / least(decode, 3))


def arithmetic():
    a = np.ones((2048, 2048), np.float32)
    tell(limit="flops", gflop_per_cpu_s=2 * 2048**3 / 1e9 / least(lambda: a @ a))
    torch.set_num_threads(1)
    layer, image = torch.nn.Conv2d(32, 32, 3, padding=1), torch.rand(1, 32, 512, 512)
    with torch.inference_mode():
        seconds = least(lambda: layer(image), 4)
    tell(limit="convolution", gflop_per_cpu_s=2 * 9 * 32 * 32 * 512 * 512 / 1e9 / seconds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=4096)
    side = parser.parse_args().size
    copy(side)
    files(side)
    arithmetic()
