"""A full IW product of simulated numbers under a real one's annotation, and an elevation model to geocode it with."""

import shutil
from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window
from scipy.ndimage import gaussian_filter, zoom
from stopwatch import tell

from pipeline_lib.load.safe_annotation import read_annotation
from pipeline_lib.load.safe_files import find_safe

PATTERN = 4096
"""Side of the pattern of lakes and speckle that is repeated over the scene, pixels."""


def prepare(safe: Path, work: Path) -> None:
    """WORK/scene.SAFE in the shape of ``safe``, whose images are not read, and WORK/dem.tif."""
    target = work / "scene.SAFE"
    shutil.rmtree(target, ignore_errors=True)
    copy_annotation(safe, target)
    shape = write_images(safe, target)
    write_dem(work, target)
    tell(what="prepare", image=list(shape), bytes=sum(p.stat().st_size for p in target.rglob("*.tiff")))


def copy_annotation(safe: Path, target: Path) -> None:
    """The annotation of VV, and the same again as that of VH."""
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


def write_images(safe: Path, target: Path) -> tuple[int, int]:
    """Lakes in speckle of 4.4 looks, both polarisations; the shape of an image."""
    image = next(safe.glob("measurement/*-vv-*.tiff")).name
    with rasterio.open(safe / "measurement" / image) as size:
        rows, columns = size.shape
    rng = np.random.default_rng(1)
    speckle = rng.gamma(4.4, 1 / 4.4, (PATTERN, PATTERN)).astype(np.float32)
    coarse = rng.standard_normal((PATTERN // 8, PATTERN // 8))
    lake = np.kron(gaussian_filter(coarse, 8, mode="wrap") > 0.05, np.ones((8, 8), bool))
    profile = {
        "driver": "GTiff", "dtype": "uint16", "count": 1, "height": rows, "width": columns, "nodata": 0, "tiled": True,
        "blockxsize": 1024, "blockysize": 1024, "compress": "zstd", "zstd_level": 1, "num_threads": 2,
    }  # fmt: skip
    for pol, level in (("vv", 0.1), ("vh", 0.02)):
        power = speckle * np.where(lake, 0.12 * level, level)
        numbers = np.sqrt(power * 473.97**2 + 1500).astype(np.uint16)
        with rasterio.open(target / "measurement" / image.replace("-vv-", f"-{pol}-"), "w", **profile) as out:
            for row in range(0, rows, PATTERN):
                for column in range(0, columns, PATTERN):
                    part = numbers[: min(PATTERN, rows - row), : min(PATTERN, columns - column)]
                    out.write(part, 1, window=Window(column, row, part.shape[1], part.shape[0]))
    return rows, columns


def write_dem(work: Path, target: Path) -> None:
    """Fractal relief over the scene and 0.1 degree around."""
    tie = read_annotation(find_safe(str(target)), "vv").geolocation
    west, east = tie.longitude_deg.min() - 0.1, tie.longitude_deg.max() + 0.1
    write_relief(work / "dem.tif", (west, tie.latitude_deg.min() - 0.1, east, tie.latitude_deg.max() + 0.1))


def write_relief(path: Path, bounds: tuple[float, float, float, float]) -> None:
    """Fractal relief at 1 arc second within bounds (west, south, east, north; degrees)."""
    west, south, east, north = bounds
    columns, rows = int((east - west) * 3600), int((north - south) * 3600)
    rng, small = np.random.default_rng(2), np.zeros((rows // 8 + 2, columns // 8 + 2), np.float32)
    for sigma, weight in ((200, 1.0), (60, 0.55), (20, 0.28), (6, 0.12), (2, 0.035)):
        field = gaussian_filter(rng.standard_normal(small.shape).astype(np.float32), sigma)
        small += weight * field / field.std()
    small = np.clip(small - np.percentile(small, 35), 0, None)
    height = zoom(small * (1900 / small.max()), 8, order=1)[:rows, :columns].astype(np.float32)
    profile = {
        "driver": "GTiff", "dtype": "float32", "count": 1, "height": rows, "width": columns, "crs": "EPSG:4326",
        "transform": rasterio.transform.from_origin(west, north, 1 / 3600, 1 / 3600), "tiled": True,
        "blockxsize": 512, "blockysize": 512, "compress": "deflate", "predictor": 3,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as out:
        out.write(height, 1)
