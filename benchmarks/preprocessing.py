"""Speed and memory of loading, terrain, speckle filters, optical composites and co-registration, stage by stage.

usage: python benchmarks/preprocessing.py WORK [--size 4096] [--stage NAME ...]

WORK is a folder for simulated rasters (about 0.3 GB at the default size). Each stage runs in a process of its own, one
after another, so that its CPU time and its peak memory are its own; where a well-known library does the same, it runs
beside it on the same input. One line of JSON a stage: Mpx per cpu-second, cpu seconds, wall seconds, peak memory above
that of the input (MiB; Linux).
"""

import argparse
import json
import os
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import dask
import numpy as np
import rasterio
import xarray as xr
from rasterio.transform import Affine
from record import forget_peak, memory_mib

from pipeline_lib.model import CatalogItem, Grid

NOW = datetime(2024, 5, 11, tzinfo=timezone.utc)
CRS, WEST, NORTH = "EPSG:32633", 500_000.0, 5_000_000.0
LOOKS = 4.4


def fractal(size: int, seed: int, beta: float = 2.2) -> np.ndarray:
    spectrum = np.fft.rfft2(np.random.default_rng(seed).standard_normal((size, size), dtype="f4"))
    k = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    k[0, 0] = 1
    field = np.fft.irfft2(spectrum * k**-beta, (size, size))
    return ((field - field.min()) / np.ptp(field)).astype("f4")


def prepare(work: Path, size: int) -> None:
    """A pass (COG, half a pixel off the grid), a DEM of 30 m in degrees; both as float32."""
    work.mkdir(parents=True, exist_ok=True)
    power = 0.02 + 0.3 * fractal(size, 1) * np.random.default_rng(2).gamma(LOOKS, 1 / LOOKS, (size, size))
    elevation = 400 * fractal(size // 3 + 200, 3)
    step = 1 / 3600
    for name, values, crs, transform in (
        ("power", power, CRS, Affine(10, 0, WEST + 5, 0, -10, NORTH + 5)),
        ("dem", elevation, "EPSG:4326", Affine(step, 0, 14.998, 0, -step, 45.155)),
    ):
        with rasterio.open(
            work / f"{name}.tif",
            "w",
            driver="COG",
            count=1,
            dtype="float32",
            height=values.shape[0],
            width=values.shape[1],
            crs=crs,
            transform=transform,
            nodata=-32768,
            compress="ZSTD",
            blocksize=512,
        ) as dataset:
            dataset.write(values.astype("f4"), 1)


def grid_of(size: int) -> Grid:
    return Grid(crs=CRS, transform=(10, 0, WEST, 0, -10, NORTH), shape=(size, size))


def item_of(work: Path, name: str, key: str) -> CatalogItem:
    box = {"type": "Polygon", "coordinates": [[[14, 44], [17, 44], [17, 46], [14, 46], [14, 44]]]}
    return CatalogItem(
        item_id=name, collection="c", start=NOW, end=NOW, footprint=box, assets={key: str(work / f"{name}.tif")}
    )


def band(work: Path, size: int) -> np.ndarray:
    with rasterio.open(work / "power.tif") as dataset:
        return dataset.read(1)[:size, :size]


def raster(values: np.ndarray) -> xr.DataArray:
    y, x = NORTH - 10 * (np.arange(values.shape[0]) + 0.5), WEST + 10 * (np.arange(values.shape[1]) + 0.5)
    return xr.DataArray(values, dims=("y", "x"), coords={"y": y, "x": x})


def elevation(size: int) -> np.ndarray:
    return 400 * fractal(size, 5)


# Each stage: (work, size) -> (what to time, pixels it makes)


def load_pass(work, size):
    from pipeline_lib.load.asset import assets_of
    from pipeline_lib.load.mosaic import load_band

    assets = assets_of((item_of(work, "power", "vv"),), "vv", sign=str, invalid=(0.0,))
    load_band(assets, grid_of(64)).compute()
    lazy = load_band(assets, grid_of(size), chunk=2048)
    return lambda: [lazy.data.blocks[i].compute() for i in np.ndindex(lazy.data.numblocks)], size * size


def load_pass_odc(work, size):
    import odc.stac
    import pystac

    item = item_of(work, "power", "vv")
    record = pystac.Item("power", item.footprint, [14, 44, 17, 46], NOW, {})
    record.add_asset("vv", pystac.Asset(item.assets["vv"], roles=["data"], media_type=pystac.MediaType.COG))
    lazy = odc.stac.load(
        [record], bands=["vv"], geobox=grid_of(size).geobox, resampling="bilinear", chunks={"y": 2048, "x": 2048}
    )["vv"][0]
    return lambda: [lazy.data.blocks[i].compute() for i in np.ndindex(lazy.data.numblocks)], size * size


def load_dem(work, size):
    from pipeline_lib.load.dem import load_dem as load

    load((item_of(work, "dem", "data"),), grid_of(64), sign=str).compute()
    lazy = load((item_of(work, "dem", "data"),), grid_of(size), sign=str)
    return lambda: [lazy.data.blocks[i].compute() for i in np.ndindex(lazy.data.numblocks)], size * size


def slope(_work, size):
    from pipeline_lib.terrain import slope as run

    z = raster(elevation(size))
    run(z[:50, :50])
    return lambda: run(z, reach_px=3), size * size


def hand(_work, size):
    from pipeline_lib.terrain import height_above_nearest_drainage as run

    z = raster(elevation(size))
    run(z[:50, :50])
    return lambda: run(z), size * size


def hand_pyflwdir(_work, size):
    import pyflwdir

    def run(z):
        flow = pyflwdir.from_dem(z, nodata=-9999.0, outlets="edge")
        return flow.hand(flow.upstream_area("cell") >= 10_000, z)

    z = elevation(size)
    run(z[:50, :50])
    return lambda: run(z), size * size


def _filter(name):
    def stage(work, size):
        from pipeline_lib.sar.speckle import FILTERS

        image = band(work, size)
        FILTERS[name](image[:50, :50], looks=LOOKS)
        return lambda: FILTERS[name](image, looks=LOOKS), size * size

    return stage


def lee_scipy(work, size):
    from scipy.ndimage import uniform_filter

    image = band(work, size)

    def run():
        mean = uniform_filter(image, 7)
        variance = np.maximum(uniform_filter(image * image, 7) - mean * mean, 1e-12)
        signal = np.maximum(variance - mean * mean / LOOKS, 0) / (1 + 1 / LOOKS)
        return mean + signal / variance * (image - mean)

    return run, size * size


def multitemporal(work, size):
    from pipeline_lib.sar.speckle import multitemporal as run

    image = band(work, size // 2)
    stack = np.stack([np.roll(image, 37 * n, axis=1) for n in range(8)])
    run(stack[:, :50, :50])
    return lambda: run(stack), stack.size


def _pair(work, size):
    from scipy.ndimage import shift

    image = band(work, size)
    speckle = np.random.default_rng(1).gamma(LOOKS, 1 / LOOKS, (2, size, size)).astype("f4")
    ground = 0.1 * np.exp(8 * (fractal(size, 8, 1.8) - 0.5))
    del image
    return ground * speckle[0], shift(ground, (1.3, -0.8), order=1, mode="nearest") * speckle[1], ground


def shift_between(work, size):
    from pipeline_lib.sar.registration import shift_between as run

    one, other, _ = _pair(work, size)
    scene, reference = xr.Dataset({"vv": (("y", "x"), other)}), xr.Dataset({"vv": (("y", "x"), one)})
    return lambda: print(run(scene, reference), file=sys.stderr), size * size


def shift_to_optical(work, size):
    from pipeline_lib.sar.registration import shift_to_optical as run

    one, _, ground = _pair(work, size)
    optical = xr.Dataset({name: (("y", "x"), np.sqrt(ground)) for name in ("B04", "B08", "B11")})
    scene = xr.Dataset({"vv": (("y", "x"), one)})
    return lambda: print(run(scene, optical), file=sys.stderr), size * size


def composite(_work, size):
    from datetime import timedelta

    import dask.array as da

    from pipeline_lib.optical.cloud import clear_by_scene_class
    from pipeline_lib.optical.composite import best_pixel_composite

    cloud = fractal(size, 6, 2.5) > 0.55
    overpasses = []
    for number in range(3):
        layers = {
            name: (("y", "x"), da.full((size, size), 0.1 * number, chunks=2048, dtype="f4"))
            for name in ("B03", "B08", "B11")
        }
        classes = np.where(np.roll(cloud, 300 * number, axis=1), 9, 4).astype("u1")
        layers["SCL"] = (("y", "x"), da.from_array(classes, chunks=2048))
        overpasses.append(xr.Dataset(layers, attrs={"datetime": (NOW - timedelta(days=5 * number + 1)).isoformat()}))
    result = best_pixel_composite(overpasses, [clear_by_scene_class(one) for one in overpasses], before=NOW)
    return result.compute, size * size


STAGES = {
    "load pass, bilinear, half a pixel off": load_pass,
    "load pass, odc-stac": load_pass_odc,
    "load DEM 30 m to 10 m, cubic": load_dem,
    "slope": slope,
    "HAND": hand,
    "HAND, pyflwdir": hand_pyflwdir,
    "Lee 7x7": _filter("lee"),
    "Lee 7x7, scipy without NaN": lee_scipy,
    "refined Lee 7x7": _filter("refined_lee"),
    "Gamma-MAP 7x7": _filter("gamma_map"),
    "Quegan-Yu 7x7, 8 dates": multitemporal,
    "shift between passes": shift_between,
    "shift to optical": shift_to_optical,
    "composite of 3 overpasses, 3 bands": composite,
}


def measure(name: str, work: Path, size: int) -> dict:
    with dask.config.set(scheduler="synchronous"):
        run, pixels = STAGES[name](work, size)
        forget_peak()  # that of making the input
        before = memory_mib("VmRSS")
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    peak = memory_mib("VmHWM")
    return {
        "stage": name,
        "mpx_per_cpu_s": round(pixels / 1e6 / cpu, 2),
        "mpx": pixels / 1e6,
        "cpu_s": round(cpu, 3),
        "wall_s": round(wall, 2),
        "peak_mib": round(peak),
        "peak_mib_above_input": round(peak - before),
        "bytes_per_px": round((peak - before) * 2**20 / pixels, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--stage", nargs="*", choices=list(STAGES), default=list(STAGES))
    parser.add_argument("--here", action="store_true", help="run the stage in this process")
    given = parser.parse_args()
    if given.here:
        print(json.dumps(measure(given.stage[0], given.work, given.size)))
        return
    if not (given.work / "dem.tif").exists():
        prepare(given.work, given.size)
    for name in given.stage:
        command = [sys.executable, __file__, str(given.work), "--size", str(given.size), "--here", "--stage", name]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
