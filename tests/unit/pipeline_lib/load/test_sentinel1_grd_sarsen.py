"""Geocoding and flattening against sarsen, an implementation that shares no line with ours, on the real DEM of Rome."""

import shutil
import warnings

import numpy as np
import pytest
import rasterio
import rioxarray
from rasterio.windows import Window
from scipy.ndimage import uniform_filter

from pipeline_lib.load.geoid import no_geoid
from pipeline_lib.load.safe_annotation import read_annotation
from pipeline_lib.load.safe_files import find_safe
from pipeline_lib.load.sentinel1_grd import open_grd, scene_of
from pipeline_lib.model import Grid
from pipeline_lib.options.calibrate import CalibrateOptions
from pipeline_lib.sar.lattice import MapFrame, build_lattice, positions
from pipeline_lib.sar.range_doppler import SPEED_OF_LIGHT, RadarGeometry, slant_range

ROME = "s1_safe/sarsen/tests/data/S1B_IW_GRDH_1SDV_20211223T051122_20211223T051147_030148_039993_5371.SAFE"
FIRST_LINE, FIRST_PIXEL, LINES, PIXELS = 7000, 21000, 2200, 2200
OPTIONS = CalibrateOptions(vertical_datum="ellipsoid", remove_noise=False, polarisations=("vv",))


def product(real_data, folder, numbers):
    """The real annotation with digital numbers around Rome, and nothing elsewhere."""
    target = folder / "S1B_ROME.SAFE"
    shutil.copytree(
        real_data / ROME, target, copy_function=shutil.copyfile, ignore=shutil.ignore_patterns("*.tiff", "rfi")
    )
    (target / "measurement").mkdir(exist_ok=True)
    name = next((real_data / ROME / "measurement").glob("*.tiff")).name
    profile = {"driver": "GTiff", "dtype": "uint16", "count": 1, "height": 16705, "width": 26102, "tiled": True}
    with rasterio.open(
        target / "measurement" / name, "w", **profile, compress="zstd", sparse_ok=True, nodata=0
    ) as image:
        image.write(numbers, 1, window=Window(FIRST_PIXEL, FIRST_LINE, PIXELS, LINES))
    return target


@pytest.fixture(scope="module")
def dem(real_data, tmp_path_factory):
    """The 30 m DEM on 10 m UTM pixels: both sides are given the same heights on the same grid."""
    from rasterio.warp import Resampling, reproject

    path = tmp_path_factory.mktemp("rome") / "dem.tif"
    place = rasterio.transform.from_origin(290_500, 4_657_000, 10, 10)
    heights = np.zeros((700, 600), np.float32)
    with rasterio.open(real_data / "s1_safe/sarsen/tests/data/Rome-30m-DEM.tif") as source:
        reproject(
            source.read(1).astype(np.float32), heights, src_transform=source.transform, src_crs="EPSG:4326",
            dst_transform=place, dst_crs="EPSG:32633", resampling=Resampling.cubic,
        )  # fmt: skip
    profile = {"driver": "GTiff", "dtype": "float32", "count": 1, "height": 700, "width": 600, "crs": "EPSG:32633"}
    with rasterio.open(path, "w", **profile, transform=place) as out:
        out.write(heights, 1)
    return path


@pytest.mark.slow
def test_geocoding_agrees_with_sarsen(real_data, dem):
    """Azimuth time and slant range of every pixel, by sarsen's Newton on its own orbit fit, as lines and pixels."""
    from sarsen import apps, orbit, scene

    sarsen = pytest.importorskip("sarsen")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = sarsen.Sentinel1SarProduct(str(real_data / ROME), measurement_group="IW/VV")
        found = apps.simulate_acquisition(
            scene.convert_to_dem_ecef(scene.open_dem_raster(str(dem))),
            orbit.OrbitPolyfitInterpolator.from_position(theirs.state_vectors()),
            {"slant_range_time", "azimuth_time"},
        ).compute()
    note = read_annotation(find_safe(str(real_data / ROME)), "vv")
    geometry = RadarGeometry.of(note)
    elevation = rioxarray.open_rasterio(dem, masked=True).squeeze(drop=True)
    box = elevation.odc.geobox
    frame = MapFrame("EPSG:32633", box.affine, "EPSG:32633", box.affine, no_geoid, 10.0)
    lattice = build_lattice(geometry, frame, rows=(0, 700), columns=(0, 600))
    line, pixel = positions(lattice, elevation.to_numpy().astype(np.float32), 0, 0)
    found = found.sortby("y", ascending=False)  # sarsen counts rows from the south
    start = np.datetime64(note.epoch.replace(tzinfo=None), "ns")
    their_line = (found.azimuth_time.to_numpy() - start) / np.timedelta64(1, "ns") / 1e9 / note.image.line_interval_s
    their_slant = found.slant_range_time.to_numpy() * SPEED_OF_LIGHT / 2
    assert np.sqrt(np.nanmean((line - their_line) ** 2)) < 0.02
    # In slant range, so that the product's two ways of interpolating its polynomials do not enter.
    ours = slant_range(geometry, line.ravel(), pixel.ravel()).reshape(line.shape)
    assert np.sqrt(np.nanmean((ours - their_slant) ** 2)) < 0.1


@pytest.mark.slow
def test_flattening_agrees_with_sarsen(real_data, tmp_path, dem):
    """The same constant image and heights; sarsen's areas are summed over 3 x 3 cells, its default, so ours is compared
    after a mean over as many pixels. Both must follow the terrain in the same way."""
    sarsen = pytest.importorskip("sarsen")
    target = product(real_data, tmp_path, np.full((LINES, PIXELS), 474, np.uint16))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sarsen.terrain_correction(
            sarsen.Sentinel1SarProduct(str(target), measurement_group="IW/VV"), dem_urlpath=str(dem),
            output_urlpath=str(tmp_path / "theirs.tif"), correct_radiometry="gamma_bilinear", interp_method="linear",
        )  # fmt: skip
    with rasterio.open(tmp_path / "theirs.tif") as raster:
        theirs = raster.read(1)[:: 1 if raster.transform.e < 0 else -1][40:-40, 40:-40]
    elevation = rioxarray.open_rasterio(dem, masked=True).squeeze(drop=True)
    loaded = scene_of((open_grd(str(target), OPTIONS),), Grid.of_geobox(elevation.odc.geobox), elevation, OPTIONS)
    ours = loaded.vv.compute(scheduler="synchronous").to_numpy()[40:-40, 40:-40]
    assert np.isfinite(ours).all()
    smooth, their_smooth = (np.log10(uniform_filter(field, 5)) * 10 for field in (ours, theirs))
    difference = smooth - their_smooth
    assert abs(np.median(difference)) < 0.1
    assert np.percentile(np.abs(difference), 95) < 0.5
    assert np.corrcoef(smooth.ravel(), their_smooth.ravel())[0, 1] > 0.9
