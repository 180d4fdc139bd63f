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
import gc
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import dask
import numpy as np
import rasterio
from rasterio.windows import Window
from scipy.ndimage import gaussian_filter

STRIP = 1024
"""Rows of a window of the kernel's benchmark: the height of a tile of a COG_SAFE image."""


def used() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime


class Clock:
    def __enter__(self):
        gc.collect()
        self.wall, self.cpu = time.perf_counter(), used()
        return self

    def __exit__(self, *_):
        self.wall, self.cpu = time.perf_counter() - self.wall, used() - self.cpu


def report(**facts) -> None:
    rounded = {key: round(value, 3) if isinstance(value, float) else value for key, value in facts.items()}
    print(json.dumps(rounded | {"load": os.getloadavg()[0].__round__(1)}), flush=True)


def peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def prepare(safe: Path, work: Path) -> None:
    work.mkdir(parents=True, exist_ok=True)
    target = work / "scene.SAFE"
    shutil.rmtree(target, ignore_errors=True)
    for name in ("annotation/calibration", "measurement"):
        (target / name).mkdir(parents=True)
    shutil.copyfile(safe / "manifest.safe", target / "manifest.safe")
    for source in safe.glob("annotation/**/*-iw-grd-vv-*.xml"):
        if "rfi" in source.name:
            continue
        text = source.read_text()
        place = target / source.relative_to(safe)
        place.write_text(text)
        place.with_name(place.name.replace("-vv-", "-vh-").replace("-001.", "-002.")).write_text(
            text.replace("<polarisation>VV<", "<polarisation>VH<")
        )
    image = next(safe.glob("measurement/*-vv-*.tiff")).name
    rng = np.random.default_rng(1)
    speckle = rng.gamma(4.4, 1 / 4.4, (4096, 4096)).astype(np.float32)
    lake = np.kron(gaussian_filter(rng.standard_normal((512, 512)), 8, mode="wrap") > 0.05, np.ones((8, 8), bool))
    with rasterio.open(safe / "measurement" / image) as size:
        shape = size.shape
    for pol, level in (("vv", 0.1), ("vh", 0.02)):
        profile = {
            "driver": "GTiff",
            "dtype": "uint16",
            "count": 1,
            "height": shape[0],
            "width": shape[1],
            "nodata": 0,
            "tiled": True,
            "blockxsize": 1024,
            "blockysize": 1024,
            "compress": "zstd",
            "zstd_level": 1,
            "num_threads": 2,
        }
        power = speckle * np.where(lake, 0.12 * level, level)
        numbers = np.sqrt(power * 473.97**2 + 1500).astype(np.uint16)
        with rasterio.open(target / "measurement" / image.replace("-vv-", f"-{pol}-"), "w", **profile) as out:
            for row in range(0, shape[0], 4096):
                for column in range(0, shape[1], 4096):
                    part = numbers[: min(4096, shape[0] - row), : min(4096, shape[1] - column)]
                    out.write(part, 1, window=Window(column, row, part.shape[1], part.shape[0]))
    make_dem(work, target)
    report(what="prepare", image=list(shape), bytes=sum(p.stat().st_size for p in target.rglob("*.tiff")))


def make_dem(work: Path, target: Path) -> None:
    """Fractal relief at 1 arc second over the scene and 0.1 degree around."""
    from scipy.ndimage import zoom

    from pipeline_lib.load.safe_annotation import read_annotation
    from pipeline_lib.load.safe_files import find_safe

    tie = read_annotation(find_safe(str(target)), "vv").geolocation
    west, north = tie.longitude_deg.min() - 0.1, tie.latitude_deg.max() + 0.1
    columns, rows = (
        int((tie.longitude_deg.max() + 0.1 - west) * 3600),
        int((north - tie.latitude_deg.min() + 0.1) * 3600),
    )
    rng, small = np.random.default_rng(2), np.zeros((rows // 8 + 2, columns // 8 + 2), np.float32)
    for sigma, weight in ((200, 1.0), (60, 0.55), (20, 0.28), (6, 0.12), (2, 0.035)):
        field = gaussian_filter(rng.standard_normal(small.shape).astype(np.float32), sigma)
        small += weight * field / field.std()
    small = np.clip(small - np.percentile(small, 35), 0, None)
    height = zoom(small * (1900 / small.max()), 8, order=1)[:rows, :columns].astype(np.float32)
    profile = {
        "driver": "GTiff",
        "dtype": "float32",
        "count": 1,
        "height": rows,
        "width": columns,
        "crs": "EPSG:4326",
        "tiled": True,
        "transform": rasterio.transform.from_origin(west, north, 1 / 3600, 1 / 3600),
        "compress": "deflate",
        "blockxsize": 512,
        "blockysize": 512,
        "predictor": 3,
    }
    with rasterio.open(work / "dem.tif", "w", **profile) as out:
        out.write(height, 1)


def whole(work: Path, workers: int, share: float) -> None:
    """One run in a process of its own, so that its peak is its own."""
    code = (
        "import sys; sys.path.insert(0, '.'); from benchmarks.grd import one_run; from pathlib import Path;"
        f"one_run(Path({str(work)!r}), {workers}, {share})"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


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
    with Clock() as clock:
        found = step.calibrate(str(work / "scene.SAFE"), work / "dem.tif", work / "out.tif", options=CalibrateOptions())
    pixels = found.grid.shape[0] * found.grid.shape[1]
    seen = pixels * found.observed_share
    report(
        what="full" if share == 1 else "half",
        workers=workers,
        wall_s=clock.wall,
        cpu_s=clock.cpu,
        peak_gib=peak_gib(),
        grid=list(found.grid.shape),
        observed_mpx=seen / 1e6,
        layover_share=found.layover_share,
        mpx_per_cpu_s=seen / 1e6 / clock.cpu,
        output_gb=found.path.stat().st_size / 1e9,
    )
    found.path.unlink()


def stage_times(product, frame, elevation, window):
    from pipeline_lib.load import safe_tile as tile
    from pipeline_lib.options.calibrate import CalibrateOptions

    times = {}

    def timed(name, call, *arguments, **more):
        with Clock() as clock:
            result = call(*arguments, **more)
        times[name] = clock.cpu
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

    with Clock() as opening:
        product = open_grd(str(work / "scene.SAFE"))
    with Clock() as indexing:
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
    report(
        what="stages",
        pad_px=pad,
        open_cpu_s=opening.cpu,
        relief_index_cpu_s=indexing.cpu,
        mpx_per_cpu_s={name: round(mpx / max(value, 1e-3), 1) for name, value in times.items()},
    )


def kernel(work: Path) -> None:
    """Windows as high as the file's tiles, so that no tile is decoded twice; reading is timed apart."""
    from pipeline_lib.load.sentinel1_grd import open_grd

    measurement = open_grd(str(work / "scene.SAFE")).measurements["vv"]
    image, note = measurement.annotation.image, measurement.annotation
    rows = range(0, image.lines, STRIP)
    measurement.intensity((0, 0, 64, 64), "sigma0", border=None)
    with Clock() as reading:
        for row in rows:
            measurement.digital_numbers((row, 0, min(STRIP, image.lines - row), image.samples))
    with Clock() as ours:
        total = 0.0
        for row in rows:
            block = measurement.intensity((row, 0, min(STRIP, image.lines - row), image.samples), "sigma0", border=None)
            total += float(block[::16, ::16].sum(dtype=np.float64))
    with Clock() as theirs:
        other = 0.0
        for row in rows:
            numbers = measurement.digital_numbers((row, 0, min(STRIP, image.lines - row), image.samples))
            block = numpy_block(numbers, note.calibration.sigma0, note.noise, row)
            other += float(block[::16, ::16].sum(dtype=np.float64))
    mpx = image.lines * image.samples / 1e6
    report(
        what="kernel",
        mpx=mpx,
        read_cpu_s=reading.cpu,
        ours_cpu_s=ours.cpu,
        numpy_cpu_s=theirs.cpu,
        ratio_with_reading=theirs.cpu / ours.cpu,
        ratio_compute=(theirs.cpu - reading.cpu) / (ours.cpu - reading.cpu),
        ours_mpx_per_cpu_s=mpx / (ours.cpu - reading.cpu),
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


def sarsen_side(work: Path, size: int) -> None:
    """Both in this order, in processes of their own."""
    for who in ("sarsen", "ours"):
        code = (
            "import sys; sys.path.insert(0, '.'); from benchmarks.grd import one_side; from pathlib import Path;"
            f"one_side({who!r}, Path({str(work)!r}), {size})"
        )
        subprocess.run([sys.executable, "-c", code], check=True)


def one_side(who: str, work: Path, size: int) -> None:
    import warnings

    warnings.simplefilter("ignore")
    dem = work / f"dem_{size}.tif"
    if not dem.exists():
        cut_dem(work, dem, size)
    dask.config.set(scheduler="threads", num_workers=2)
    if who == "sarsen":
        import sarsen

        with Clock() as clock:
            product = sarsen.Sentinel1SarProduct(str(work / "scene.SAFE"), measurement_group="IW/VV")
            sarsen.terrain_correction(
                product,
                dem_urlpath=str(dem),
                output_urlpath=str(work / "sarsen.tif"),
                correct_radiometry="gamma_bilinear",
                interp_method="linear",
            )
    else:
        from pipeline_lib.options.calibrate import CalibrateOptions
        from pipeline_lib.steps.calibrate import calibrate

        options = CalibrateOptions(polarisations=("vv",), remove_noise=False, vertical_datum="ellipsoid")
        calibrate(str(work / "scene.SAFE"), dem, work / "ours.tif", grid=str(dem), options=options)  # compiles
        with Clock() as clock:
            calibrate(str(work / "scene.SAFE"), dem, work / "ours.tif", grid=str(dem), options=options)
    report(
        what=f"sarsen {size}",
        who=who,
        wall_s=clock.wall,
        cpu_s=clock.cpu,
        peak_gib=peak_gib(),
        us_per_px=1e6 * clock.cpu / size**2,
    )
    if who == "ours":
        compare(work)


def cut_dem(work: Path, target: Path, size: int) -> None:
    """The DEM on 10 m UTM pixels, heights taken as ellipsoidal on both sides."""
    from pyproj import Transformer
    from rasterio.warp import Resampling, reproject

    with rasterio.open(work / "dem.tif") as source:
        middle = source.xy(source.height // 2, source.width // 2)
        x, y = Transformer.from_crs("EPSG:4326", "EPSG:32633", always_xy=True).transform(*middle)
        out = np.zeros((size, size), np.float32)
        place = rasterio.transform.from_origin(round(x, -1), round(y, -1), 10, 10)
        reproject(
            rasterio.band(source, 1), out, dst_transform=place, dst_crs="EPSG:32633", resampling=Resampling.bilinear
        )
    profile = {
        "driver": "GTiff",
        "dtype": "float32",
        "count": 1,
        "height": size,
        "width": size,
        "crs": "EPSG:32633",
        "transform": place,
    }
    with rasterio.open(target, "w", **profile) as file:
        file.write(out, 1)


def compare(work: Path) -> None:
    with rasterio.open(work / "sarsen.tif") as a, rasterio.open(work / "ours.tif") as b:
        theirs, ours, codes = a.read(1), b.read(1), b.read(b.count)
        if a.transform.e > 0:  # sarsen counts rows from the south
            theirs = theirs[::-1]
    good = np.isfinite(theirs) & np.isfinite(ours) & (theirs > 0) & (codes == 0)
    ratio = 10 * np.log10(ours[good] / theirs[good])
    report(
        what="agreement",
        pixels=int(good.sum()),
        median_db=float(np.median(ratio)),
        p5=float(np.percentile(ratio, 5)),
        p95=float(np.percentile(ratio, 95)),
    )


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
        whole(given.work, given.workers, 1.0 if given.what == "full" else 0.5)
    elif given.what == "sarsen":
        sarsen_side(given.work, given.size)
    else:
        {"stages": stages, "kernel": kernel}[given.what](given.work)


if __name__ == "__main__":
    main()
