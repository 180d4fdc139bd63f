"""The GRD chain beside sarsen's: same input, same elevation, and how far the two results agree."""

import warnings
from pathlib import Path

import dask
import numpy as np
import rasterio
from pyproj import Transformer
from rasterio.warp import Resampling, reproject
from stopwatch import Stopwatch, apart, peak_gib, tell

CRS = "EPSG:32633"


def beside_sarsen(work: Path, size: int) -> None:
    """Both in this order, in processes of their own, on ``size`` x ``size`` pixels of 10 m."""
    dem = work / f"dem_{size}.tif"
    if not dem.exists():
        cut_dem(work, dem, size)
    for one in (by_sarsen, by_us):
        apart(one, work, dem, size)
    compare(work)


def by_sarsen(work: Path, dem: Path, size: int) -> None:
    import sarsen

    warnings.simplefilter("ignore")
    dask.config.set(scheduler="threads", num_workers=2)
    with Stopwatch() as watch:
        product = sarsen.Sentinel1SarProduct(str(work / "scene.SAFE"), measurement_group="IW/VV")
        sarsen.terrain_correction(
            product,
            dem_urlpath=str(dem),
            output_urlpath=str(work / "sarsen.tif"),
            correct_radiometry="gamma_bilinear",
            interp_method="linear",
        )
    tell_side("sarsen", watch, size)


def by_us(work: Path, dem: Path, size: int) -> None:
    from pipeline_lib.options.calibrate import CalibrateOptions
    from pipeline_lib.steps.calibrate import calibrate

    warnings.simplefilter("ignore")
    dask.config.set(scheduler="threads", num_workers=2)
    options = CalibrateOptions(polarisations=("vv",), remove_noise=False, vertical_datum="ellipsoid")
    source, target = str(work / "scene.SAFE"), work / "ours.tif"
    calibrate(source, dem, target, grid=str(dem), options=options)  # compiles
    with Stopwatch() as watch:
        calibrate(source, dem, target, grid=str(dem), options=options)
    tell_side("ours", watch, size)


def tell_side(who: str, watch: Stopwatch, size: int) -> None:
    each = 1e6 * watch.cpu_s / size**2
    tell(what=f"sarsen {size}", who=who, wall_s=watch.wall_s, cpu_s=watch.cpu_s, peak_gib=peak_gib(), us_per_px=each)


def cut_dem(work: Path, target: Path, size: int) -> None:
    """The DEM on 10 m UTM pixels, heights taken as ellipsoidal on both sides."""
    with rasterio.open(work / "dem.tif") as source:
        middle = source.xy(source.height // 2, source.width // 2)
        x, y = Transformer.from_crs("EPSG:4326", CRS, always_xy=True).transform(*middle)
        out = np.zeros((size, size), np.float32)
        place = rasterio.transform.from_origin(round(x, -1), round(y, -1), 10, 10)
        reproject(rasterio.band(source, 1), out, dst_transform=place, dst_crs=CRS, resampling=Resampling.bilinear)
    profile = {
        "driver": "GTiff", "dtype": "float32", "count": 1, "height": size, "width": size, "crs": CRS,
        "transform": place,
    }  # fmt: skip
    with rasterio.open(target, "w", **profile) as file:
        file.write(out, 1)


def compare(work: Path) -> None:
    with rasterio.open(work / "sarsen.tif") as a, rasterio.open(work / "ours.tif") as b:
        theirs, ours, codes = a.read(1), b.read(1), b.read(b.count)
        if a.transform.e > 0:  # sarsen counts rows from the south
            theirs = theirs[::-1]
    good = np.isfinite(theirs) & np.isfinite(ours) & (theirs > 0) & (codes == 0)
    ratio = 10 * np.log10(ours[good] / theirs[good])
    tell(
        what="agreement",
        pixels=int(good.sum()),
        median_db=float(np.median(ratio)),
        p5=float(np.percentile(ratio, 5)),
        p95=float(np.percentile(ratio, 95)),
    )
