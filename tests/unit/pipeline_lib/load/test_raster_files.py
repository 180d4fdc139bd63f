"""Rasters as people have them: mapped right, refused or asked about; the page of them is true."""

import numpy as np
import pytest
import rasterio

from benchmarks.inputs.raster_files import DB, FLOOR, HYP3, POWER, RASTER_FILES, outcome, tif
from benchmarks.inputs.table import row
from pipeline_lib.errors import RasterError
from pipeline_lib.load.raster import load_raster


@pytest.mark.filterwarnings("ignore:The given matrix is equal to Affine.identity")  # one row has no north
@pytest.mark.parametrize("case", RASTER_FILES, ids=lambda case: case.name)
def test_each_raster_ends_as_is_right_and_as_the_page_says(case, tmp_path, repository):
    happens, right = outcome(case, tmp_path)
    assert right, happens
    assert row(case.name, happens) in (repository / "docs/reference/inputs.md").read_text()


def test_whatever_the_form_the_scene_is_the_same(tmp_path):
    same = load_raster(tif(POWER)(tmp_path))
    for number, (write, flags) in enumerate(
        [
            (tif(DB), {}),
            (tif(DB * 100, dtype="int16", gain=(0.01, 0.0)), {}),
            (tif(np.sqrt(POWER)), {"scale": "amplitude"}),
            (tif(POWER[::-1]), {"polarisations": ("VH", "VV")}),
        ]
    ):
        scene = load_raster(write(tmp_path), **flags)
        for name in ("vv", "vh"):
            np.testing.assert_allclose(scene[name], same[name], rtol=3e-3, err_msg=f"{number} {name}")


def test_what_a_file_says_of_itself_is_kept(tmp_path):
    hyp3 = load_raster(tif(np.sqrt(POWER[:1]), HYP3.format("a"), ())(tmp_path))
    assert (hyp3.attrs["backscatter"], hyp3.attrs["scale"], list(hyp3)) == ("gamma0", "amplitude", ["vv"])
    np.testing.assert_allclose(hyp3["vv"], POWER[0], rtol=1e-5)
    snap = load_raster(tif(DB[::-1], words=("Gamma0_VH_db", "Gamma0_VV_db"))(tmp_path))
    assert (snap.attrs["backscatter"], snap.attrs["scale"]) == ("gamma0", "db")
    np.testing.assert_allclose(snap["vh"], POWER[1], rtol=1e-4)


def test_swapped_bands_of_a_bright_scene_are_not_called_amplitude(tmp_path):
    with pytest.raises(RasterError, match="the bands look swapped"):
        load_raster(tif(POWER[::-1] * 1.6)(tmp_path))


def test_one_value_that_was_measured_can_be_said(tmp_path):
    path = tif(FLOOR)(tmp_path)
    taken = load_raster(path, nodata=float("nan"))
    assert np.isfinite(taken["vv"]).all()
    assert float(np.isnan(load_raster(path, nodata=-50.0)["vv"]).mean()) == pytest.approx(1 / 3)


def test_no_real_chip_is_asked_about(real_data):
    """Real decibels are read without a question: whatever they show, they are taken for what they are."""
    paths = sorted((real_data / "sen1floods11" / "S1Hand").glob("*.tif"))
    assert paths
    read = 0
    for path in paths:
        with rasterio.open(path) as source:
            if not np.isfinite(source.read(1)).any():
                continue
        assert load_raster(path).attrs["scale"] == "db"
        read += 1
    assert read >= 6
