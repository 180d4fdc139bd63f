import numpy as np
import pytest
import rasterio
import typer
from rasterio.transform import from_origin
from scenes import iou, river, scene_of
from typer.testing import CliRunner

from flows.commands.detect import register
from pipeline_lib.errors import GridMismatchError, RasterError, StoreError
from pipeline_lib.load.raster import load_raster
from pipeline_lib.steps.detect import detect_raster

WATER = river((150, 170))


def write(path, bands, *, crs="EPSG:32632", names=("VV", "VH"), nodata=None, dtype="float32"):
    bands = np.asarray(bands)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=bands.shape[1],
        width=bands.shape[2],
        count=len(bands),
        dtype=dtype,
        crs=crs,
        transform=from_origin(500_000, 5_000_000, 10, 10),
        nodata=nodata,
    ) as target:
        target.write(bands.astype(dtype))
        for number, name in enumerate(names or (), 1):
            target.set_band_description(number, name)
    return path


def power(water=WATER, seed=0):
    scene = scene_of(water, seed=seed)
    return np.stack([scene["vv"].values, scene["vh"].values])


def decibel(values):
    return 10 * np.log10(values)


def test_linear_and_decibel_are_told_apart_and_give_the_same_scene(tmp_path):
    linear = load_raster(write(tmp_path / "linear.tif", power()))
    logarithmic = load_raster(write(tmp_path / "db.tif", decibel(power())))
    assert (linear.attrs["scale"], logarithmic.attrs["scale"]) == ("linear", "db")
    np.testing.assert_allclose(linear["vv"], logarithmic["vv"], rtol=1e-4)


def test_no_data_and_infinity_become_nan(tmp_path):
    bands = decibel(power())
    bands[:, :10] = -9999
    bands[:, 20, 20] = -np.inf
    scene = load_raster(write(tmp_path / "gaps.tif", bands, nodata=-9999))
    assert np.isnan(scene["vv"].values[:10]).all()
    assert np.isnan(scene["vh"].values[20, 20])
    assert np.isfinite(scene["vv"].values[30:]).all()


def test_zero_is_fill_in_linear_rasters_without_a_no_data_value(tmp_path):
    bands = power()
    bands[:, :, :5] = 0
    assert np.isnan(load_raster(write(tmp_path / "zero.tif", bands))["vv"].values[:, :5]).all()


def test_one_band_needs_its_name(tmp_path):
    path = write(tmp_path / "one.tif", power()[1:], names=None)
    with pytest.raises(RasterError, match="--polarisations"):
        load_raster(path)
    assert set(load_raster(path, polarisations=("VH",)).data_vars) == {"vh"}
    with pytest.raises(RasterError, match="has 1"):
        load_raster(path, polarisations=("VV", "VH"))


@pytest.mark.parametrize(
    ("change", "scale", "says"),
    [
        (lambda p: np.sqrt(p) * 5000, None, "calibrate"),
        (lambda p: np.sqrt(p) * 5000, "db", "not"),
        (np.sqrt, "db", "not"),
        (lambda p: 10 * np.log10(np.sqrt(p)), None, "amplitude"),
        (lambda p: 10 * np.log10(p * 1e6), None, "calibrate"),
        (lambda p: 10 * np.log10(p) + 17, None, "--scale"),
        (decibel, "linear", "--scale db"),
    ],
)
def test_what_is_not_calibrated_backscatter_is_refused_with_the_reason(tmp_path, change, scale, says):
    path = write(tmp_path / "wrong.tif", change(power(WATER & (np.arange(170) < 40))))
    with pytest.raises(RasterError, match=says):
        load_raster(path, scale=scale)


def test_rasters_that_cannot_be_used_are_refused(tmp_path):
    with pytest.raises(RasterError, match="no raster"):
        load_raster(tmp_path / "nowhere.tif")
    (tmp_path / "text.tif").write_text("not a raster")
    with pytest.raises(RasterError, match="cannot be read"):
        load_raster(tmp_path / "text.tif")
    whole = write(tmp_path / "whole.tif", power()).read_bytes()
    (tmp_path / "cut.tif").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RasterError, match="read"):
        load_raster(tmp_path / "cut.tif")


def test_what_is_written_is_on_the_rasters_grid(tmp_path):
    bands = power()
    bands[:, :6] = np.nan
    path = write(tmp_path / "scene.tif", bands)
    found = detect_raster(path, tmp_path / "out")
    with rasterio.open(path) as source, rasterio.open(found.water) as water:
        assert (source.crs, source.transform, source.shape) == (water.crs, water.transform, water.shape)
        assert (water.dtypes[0], water.nodata) == ("uint8", 255)
        classes = water.read(1)
    with rasterio.open(found.likelihood) as likelihood:
        values = likelihood.read(1)
    assert (classes[:6] == 255).all()
    assert np.isnan(values[:6]).all()
    assert iou(classes[6:] == 1, WATER[6:]) > 0.9
    np.testing.assert_array_equal(classes[6:] == 1, values[6:] >= 0.5)
    assert found.observed_px == classes.size - 6 * classes.shape[1]
    assert found.water_km2 == pytest.approx((classes == 1).sum() * 1e-4)
    assert found.picture.stat().st_size > 1000
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["likelihood.tif", "water.png", "water.tif"]


def test_a_reference_takes_dark_land_out_of_doubt(tmp_path):
    before = write(tmp_path / "before.tif", power(np.zeros_like(WATER), seed=9))
    found = detect_raster(write(tmp_path / "scene.tif", power()), tmp_path / "out", reference=before)
    with rasterio.open(found.water) as water:
        assert iou(water.read(1) == 1, WATER) > 0.9
    small = write(tmp_path / "small.tif", power()[:, :50])
    with pytest.raises(GridMismatchError, match="grid"):
        detect_raster(tmp_path / "scene.tif", tmp_path / "out", reference=small)


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="Cannot write"):
        detect_raster(write(tmp_path / "scene.tif", power()), tmp_path / "file" / "out")


def test_a_failure_leaves_what_was_there(tmp_path, monkeypatch):
    path = write(tmp_path / "scene.tif", power())
    first = detect_raster(path, tmp_path / "out").water.read_bytes()

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rasterio.shutil, "copy", full)
    with pytest.raises(StoreError, match="ran full"):
        detect_raster(path, tmp_path / "out")
    assert (tmp_path / "out" / "water.tif").read_bytes() == first
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_the_commands(tmp_path):
    app = typer.Typer()
    register(app)
    runner = CliRunner()
    listed = runner.invoke(app, ["detectors"])
    assert listed.exit_code == 0
    assert "fused (default)" in listed.output
    assert "needs: history" in listed.output
    path = write(tmp_path / "scene.tif", power())
    done = runner.invoke(app, ["detect", str(path), "--out", str(tmp_path / "out"), "--detector", "otsu"])
    assert done.exit_code == 0
    assert "km2" in done.output
    options = ["--detector", "fixed", "--option", "cross_db=-50"]
    done = runner.invoke(app, ["detect", str(path), "--out", str(tmp_path / "out"), *options])
    assert "Water: 0.00 km2" in done.output
    assert runner.invoke(app, ["detect", str(path), "--out", str(tmp_path), "--scale", "log"]).exit_code != 0
