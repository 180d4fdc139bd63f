"""Speed and memory of the GRD chain, on simulated numbers under the real annotation of an IW GRDH product.

usage: python benchmarks/grd.py prepare|full|half|stages|kernel|sarsen --safe SAFE --work FOLDER [--workers 2]

SAFE is a real product's folder (annotation, calibration, noise; its images are not read); FOLDER takes 3 GB.
    prepare  26102 x 16705 digital numbers in VV and VH with lakes (ZSTD tiles of 1024), a 30 m DEM up to 1900 m
    full     the whole scene to gamma0 RTC at 10 m, as `overbank calibrate` does it: wall, cpu-seconds, peak memory
    half     the same on the northern half: peak memory must not depend on the scene
    stages   each stage alone on one tile of 2048 x 2048: Mpx per cpu-second
    kernel   calibration and noise of a whole image in windows: ours against NumPy
    sarsen   2200 x 2200 pixels of 10 m, same input and DEM: ours against sarsen's gamma_bilinear
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import dask
import numpy as np
from grd_sarsen import beside_sarsen
from grd_scene import prepare
from stopwatch import Stopwatch, apart, peak_gib, tell

STRIP = 1024
"""Rows of a window of the kernel's benchmark: the height of a tile of a COG_SAFE image."""


def one_run(work: Path, workers: int, share: float) -> None:
    from pipeline_lib.options.calibrate import CalibrateOptions
    from pipeline_lib.steps import calibrate as step

    dask.config.set(scheduler="threads", num_workers=workers)
    if share < 1:
        chosen = step._grid  # noqa: SLF001

        def northern(*arguments):
            grid = chosen(*arguments)
            return grid.model_copy(update={"shape": (int(grid.shape[0] * share), grid.shape[1])})

        step._grid = northern  # noqa: SLF001
    with Stopwatch() as watch:
        found = step.calibrate(str(work / "scene.SAFE"), work / "dem.tif", work / "out.tif", options=CalibrateOptions())
    pixels = found.grid.shape[0] * found.grid.shape[1]
    seen = pixels * found.observed_share
    tell(
        what="full" if share == 1 else "half",
        workers=workers,
        wall_s=watch.wall_s,
        cpu_s=watch.cpu_s,
        peak_gib=peak_gib(),
        grid=list(found.grid.shape),
        observed_mpx=seen / 1e6,
        layover_share=found.layover_share,
        mpx_per_cpu_s=seen / 1e6 / watch.cpu_s,
        output_gb=found.path.stat().st_size / 1e9,
    )
    found.path.unlink()


def stage_times(product, frame, elevation, window):
    from pipeline_lib.load import safe_tile as tile
    from pipeline_lib.options.calibrate import CalibrateOptions

    times = {}

    def timed(name, call, *arguments, **more):
        with Stopwatch() as watch:
            result = call(*arguments, **more)
        times[name] = watch.cpu_s
        return result

    row, column, size, _ = window
    extent = {"rows": (row, row + size), "columns": (column, column + size)}
    lattice = timed("lattice", tile.build_lattice, product.geometry, frame, **extent)
    reach = tile.margin_m(elevation.relief, lattice, dem_pixel_m=elevation.pixel_m)
    pad = tile.RIM + int(np.ceil(reach / frame.pixel_m))
    located = timed("heights_and_positions", tile.locate_tile, product.geometry, frame, elevation, window, pad)
    codes = timed("layover_shadow", tile.layover_shadow, located.lattice, located.height, origin=located.origin)
    line, pixel = located.line[located.inner], located.pixel[located.inner]
    rectangle = tile.image_window(product.geometry, line, pixel)
    area = timed("gamma_area", tile.area_on, located, codes, rectangle)
    vv = product.measurements["vv"]
    timed("read_image", vv.digital_numbers, rectangle)
    beta0 = timed("read_and_calibrate", vv.intensity, rectangle, "beta0", border=None)
    image = timed("flatten", tile.flatten, beta0, area, level_area=product.level_area)
    timed("resample", tile.sample_image, image, line, pixel, origin=(rectangle[0], rectangle[1]))
    timed("incidence", tile.viewing_of, located.lattice, located.height, origin=located.origin)
    timed("whole_tile_dual", tile.map_tile, product, frame, elevation, window, CalibrateOptions())
    return pad, times


def stages(work: Path) -> None:
    from pipeline_lib.load.geoid import geoid_of
    from pipeline_lib.load.sentinel1_grd import _elevation, _horizontal, _pixel_m, open_grd
    from pipeline_lib.sar.lattice import MapFrame
    from pipeline_lib.steps.calibrate import _grid, open_dem

    with Stopwatch() as opening:
        product = open_grd(str(work / "scene.SAFE"))
    with Stopwatch() as indexing:
        elevation, box = _elevation(open_dem(work / "dem.tif"))
    grid = _grid(product, None, 10.0)
    frame = MapFrame(
        grid.crs, grid.geobox.affine, _horizontal(box), box.affine, geoid_of("geoid"), _pixel_m(grid.geobox)
    )
    size = 2048
    window = ((grid.shape[0] // 2 // size) * size, (grid.shape[1] // 2 // size) * size, size, size)
    stage_times(product, frame, elevation, window)  # compiles
    pad, times = stage_times(product, frame, elevation, window)
    mpx = size * size / 1e6
    tell(
        what="stages",
        pad_px=pad,
        open_cpu_s=opening.cpu_s,
        relief_index_cpu_s=indexing.cpu_s,
        mpx_per_cpu_s={name: round(mpx / max(value, 1e-3), 1) for name, value in times.items()},
    )


def kernel(work: Path) -> None:
    """Windows as high as the file's tiles, so that no tile is decoded twice; reading is timed apart."""
    from pipeline_lib.load.sentinel1_grd import open_grd

    measurement = open_grd(str(work / "scene.SAFE")).measurements["vv"]
    image, note = measurement.annotation.image, measurement.annotation
    rows = range(0, image.lines, STRIP)
    measurement.intensity((0, 0, 64, 64), "sigma0", border=None)
    with Stopwatch() as reading:
        for row in rows:
            measurement.digital_numbers((row, 0, min(STRIP, image.lines - row), image.samples))
    with Stopwatch() as ours:
        total = 0.0
        for row in rows:
            block = measurement.intensity((row, 0, min(STRIP, image.lines - row), image.samples), "sigma0", border=None)
            total += float(block[::16, ::16].sum(dtype=np.float64))
    with Stopwatch() as theirs:
        other = 0.0
        for row in rows:
            numbers = measurement.digital_numbers((row, 0, min(STRIP, image.lines - row), image.samples))
            block = numpy_block(numbers, note.calibration.sigma0, note.noise, row)
            other += float(block[::16, ::16].sum(dtype=np.float64))
    mpx = image.lines * image.samples / 1e6
    tell(
        what="kernel",
        mpx=mpx,
        read_cpu_s=reading.cpu_s,
        ours_cpu_s=ours.cpu_s,
        numpy_cpu_s=theirs.cpu_s,
        ratio_with_reading=theirs.cpu_s / ours.cpu_s,
        ratio_compute=(theirs.cpu_s - reading.cpu_s) / (ours.cpu_s - reading.cpu_s),
        ours_mpx_per_cpu_s=mpx / (ours.cpu_s - reading.cpu_s),
        sums=[total, other],
    )


def numpy_block(numbers, table, noise, row):
    """The same in vectorised NumPy, float32, separable interpolation: what one would write without a compiler."""
    rows, columns = np.arange(row, row + numbers.shape[0]), np.arange(numbers.shape[1])

    def bilinear(vectors):
        lines = np.array([v.line for v in vectors])
        k = np.clip(np.searchsorted(lines, rows, side="right") - 1, 0, len(lines) - 2)
        need = np.unique(np.concatenate([k, k + 1]))
        wide = {n: np.interp(columns, vectors[n].pixel, vectors[n].values).astype("f4") for n in need}
        stack = np.stack([wide[n] for n in need])
        first = np.searchsorted(need, k)
        w = np.clip((rows - lines[k]) / (lines[k + 1] - lines[k]), 0, 1).astype("f4")[:, None]
        return stack[first] * (1 - w) + stack[first + 1] * w

    factor = np.ones(numbers.shape, "f4")
    for block in noise.azimuth_blocks:
        top, bottom = max(row, block.first_line), min(row + len(rows), block.last_line + 1)
        if top < bottom:
            values = np.interp(np.arange(top, bottom), block.line, block.values).astype("f4")[:, None]
            factor[top - row : bottom - row, block.first_pixel : block.last_pixel + 1] = values
    power = numbers.astype("f4") ** 2 - bilinear(noise.range_vectors) * factor
    out = np.maximum(power / bilinear(table) ** 2, np.float32(1e-5))
    out[numbers == 0] = np.nan
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["prepare", "full", "half", "stages", "kernel", "sarsen"])
    parser.add_argument("--safe", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--size", type=int, default=2200)
    given = parser.parse_args()
    if given.what == "prepare":
        prepare(given.safe, given.work)
    elif given.what in {"full", "half"}:
        apart(one_run, given.work, given.workers, 1.0 if given.what == "full" else 0.5)
    elif given.what == "sarsen":
        beside_sarsen(given.work, given.size)
    else:
        {"stages": stages, "kernel": kernel}[given.what](given.work)


if __name__ == "__main__":
    main()
