"""A folder of scenes as a catalogue: what is understood, under which facts, and what is listed as not understood."""

import json
import shutil
import zipfile
from datetime import datetime, timezone

import numpy as np
import pytest
import rasterio
import yaml
from rasterio.transform import from_origin

from pipeline_lib.catalog.profiles import folder_reference, resolve_catalog
from pipeline_lib.catalog.search import Query
from pipeline_lib.errors import CatalogError
from pipeline_lib.load.asset import assets_of
from pipeline_lib.load.scene_folder import SceneFolder
from pipeline_lib.load.sentinel1_rtc import load_rtc
from pipeline_lib.model import Acquisition, Grid, ProductType
from pipeline_lib.model.area import area_of_bbox

HYP3 = "S1A_IW_20251101T171450_DVP_RTC10_G_gpuned_1A2B"
AREA = area_of_bbox(9.0, 45.0, 9.5, 45.5)
GRID = Grid(crs="EPSG:32632", transform=(10, 0, 510_000, 0, -10, 5_010_000), shape=(40, 50))


def write(path, values, *, names=None, nodata=None, crs="EPSG:32632"):
    """A GeoTIFF of one or more bands on `GRID`."""
    bands = values if values.ndim == 3 else values[None]
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "GTiff", "height": bands.shape[1], "width": bands.shape[2], "count": len(bands), "crs": crs}
    transform = from_origin(510_000, 5_010_000, 10, 10)
    with rasterio.open(path, "w", dtype="float32", nodata=nodata, transform=transform, **profile) as target:
        target.write(bands.astype("float32"))
        for number, name in enumerate(names or (), 1):
            target.set_band_description(number, name)
    return path


@pytest.fixture
def power():
    rng = np.random.default_rng(3)
    vv = rng.gamma(4.4, 0.1 / 4.4, (40, 50)).astype("float32")
    vv[:, :10] = 0.0
    return vv


def index(folder):
    return SceneFolder.read(folder_reference(folder))


def test_hyp3_folders_and_zips(tmp_path, power):
    granule = "S1A_IW_GRDH_1SDV_20251101T171450_20251101T171515_061687_07ABDD_0000"
    product = tmp_path / "a" / HYP3
    for pol in ("VV", "VH"):
        write(product / f"{HYP3}_{pol}.tif", power)
    write(product / f"{HYP3}_dem.tif", power)
    (product / f"{HYP3}.README.md.txt").write_text(f"The source granule is: {granule}")
    other = HYP3.replace("20251101", "20251113").replace("_gpuned_", "_gauned_")
    shutil.copytree(product, tmp_path / "b" / other)
    with zipfile.ZipFile(tmp_path / f"{other}.zip", "w") as archive:
        for path in sorted((tmp_path / "b" / other).iterdir()):
            archive.write(path, f"{other}/{path.name.replace(HYP3, other)}")
    shutil.rmtree(tmp_path / "b")
    found = index(tmp_path)
    assert found.notes == []
    first, second = sorted(found.scenes["rtc"], key=lambda item: item.start)
    assert first.item_id == HYP3
    assert set(first.assets) == {"vv", "vh"}
    assert first.facts["sat:relative_orbit"] == 15
    assert first.facts["sat:orbit_state"] == "ascending"
    assert first.facts["sat:absolute_orbit"] == 61687
    assert first.collection == "hyp3-rtc10-gamma0"
    assert second.facts["overbank:unit"] == "amplitude"
    west = min(x for x, _ in first.footprint["coordinates"][0])
    assert west == pytest.approx(9.1285, abs=0.0005)  # without the ten empty columns, 100 m
    values = assets_of((second,), "vv", sign=str, invalid=(0.0,))[0].read(slice(0, 40), slice(0, 50))
    assert np.allclose(values[:, 10:], power[:, 10:] ** 2, rtol=1e-6)
    assert np.isnan(values[:, :10]).all()


def test_a_bare_hyp3_name_knows_its_orbit(tmp_path, power):
    write(tmp_path / f"{HYP3}_VV.tif", power)
    (item,) = index(tmp_path).scenes["rtc"]
    assert (item.facts["sat:relative_orbit"], item.facts["sat:orbit_state"]) == (15, "ascending")
    assert item.start == datetime(2025, 11, 1, 17, 14, 50, tzinfo=timezone.utc)


def test_own_rasters_by_name_and_by_side_file(tmp_path, power):
    decibel = 10 * np.log10(np.where(power > 0, power, np.nan))
    write(tmp_path / "S1A_20251101T171450_R015_A.tif", np.stack([power / 5, power]), names=("Gamma0_VH", "Gamma0_VV"))
    write(tmp_path / "mine.tif", decibel)
    side = {
        "datetime": datetime(2025, 10, 8, 17, 14, 50, tzinfo=timezone.utc),
        "platform": "S1A",
        "polarisations": ["vv"],
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(side | {"relative_orbit": 15, "orbit_direction": "ascending"}))
    for pol in ("VV", "VH"):
        write(tmp_path / f"S1A_IW_GRDH_1SDV_20250926T171450_20250926T171515_061162_079B26_NR_Cal_TC_{pol}.tif", power)
    found = index(tmp_path)
    assert found.notes == []
    named, with_side, snap = sorted(found.scenes["rtc"], key=lambda item: item.start, reverse=True)
    assert {item.facts["sat:relative_orbit"] for item in (named, with_side, snap)} == {15}
    assert {item.facts["sat:orbit_state"] for item in (named, with_side, snap)} == {"ascending"}
    assert (named.facts["overbank:band:vv"], named.facts["overbank:band:vh"]) == (2, 1)
    assert with_side.facts["overbank:unit"] == "db"
    assert set(snap.assets) == {"vv", "vh"}

    def loaded(item):
        pols = tuple(pol for pol in ("vv", "vh") if pol in item.assets)
        one = Acquisition(
            acquisition_id="x", platform="S1A", product=ProductType.RTC, start=item.start, end=item.end,
            polarisations=pols, slices=(item,),
        )  # fmt: skip
        return load_rtc(one, GRID, sign=str).compute(scheduler="synchronous")

    assert np.allclose(loaded(named).vv[:, 10:], power[:, 10:], rtol=1e-5)
    assert np.allclose(loaded(named).vh[:, 10:], power[:, 10:] / 5, rtol=1e-5)
    assert np.allclose(loaded(with_side).vv[:, 10:], power[:, 10:], rtol=1e-5)
    assert loaded(named).attrs["backscatter"] == "gamma0"
    assert loaded(with_side).attrs["backscatter"] == "sigma0"


def test_what_is_not_understood_is_listed(tmp_path, power):
    write(tmp_path / "good" / f"{HYP3}_VV.tif", power)
    write(tmp_path / "no-date_S1A_VV.tif", power)
    write(tmp_path / "20251101T171450_VV.tif", power)
    write(tmp_path / "S1A_20251101T171450_R015_A_VV.tif", np.zeros((40, 50)))
    write(tmp_path / "S1A_20251102T171450_R015_A.tif", power)
    write(tmp_path / "S1A_20251103T171450_VV.tif", power)
    (tmp_path / "S1A_20251103T171450_VV.json").write_text(json.dumps({"date": "2025"}))
    (tmp_path / "S1A_20251104T171450_R015_A_VV.tif").write_bytes(b"II*\0 cut short")
    (tmp_path / "S1A_IW_SLC__1SDV_20220104T170557_20220104T170624_041314_04E951_F1F1.zip").write_bytes(b"")
    (tmp_path / "S1A_IW_GRDH_1SDV_20251101T171450_20251101T171515_061687_07ABDD_1111.zarr").mkdir()
    (tmp_path / "holiday.zip").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("not looked at")
    found = index(tmp_path)
    assert [item.item_id for item in found.scenes["rtc"]] == [HYP3]
    said = dict(
        zip((note.split(" is left out: ")[0].rpartition("/")[2] for note in found.notes), found.notes, strict=True)
    )
    for name, reason in {
        "no-date_S1A_VV.tif": "when it was sensed",
        "20251101T171450_VV.tif": "the satellite",
        "S1A_20251101T171450_R015_A_VV.tif": "holds no data",
        "S1A_20251102T171450_R015_A.tif": "which polarisation",
        "S1A_20251103T171450_VV.tif": "has date; known are",
        "S1A_20251104T171450_R015_A_VV.tif": "cannot be read",
        "S1A_IW_SLC__1SDV_20220104T170557_20220104T170624_041314_04E951_F1F1.zip": "no GRD product",
        "S1A_IW_GRDH_1SDV_20251101T171450_20251101T171515_061687_07ABDD_1111.zarr": "EOPF Zarr",
        "holiday.zip": "no Sentinel-1 GRD product",
    }.items():
        assert reason in said.pop(name)
    assert said == {}


def test_a_real_safe_zip_is_a_scene(tmp_path, real_data):
    source = next(real_data.glob("s1_safe/**/S1A_IW_GRDH_1SDV_20200708T182643*.zip"))
    shutil.copy(source, tmp_path)
    found = index(tmp_path)
    if found.scenes["grd"]:
        (item,) = found.scenes["grd"]
        assert (item.facts["sat:relative_orbit"], item.facts["sat:orbit_state"]) == (45, "ascending")
        assert item.footprint["coordinates"][0][0] == pytest.approx([-4.211704, 7.559314])
    else:  # the sample lacks its images
        assert "lacks the measurement" in found.notes[0]


def test_queries_are_answered_by_place_and_time(tmp_path, power):
    write(tmp_path / f"{HYP3}_VV.tif", power)
    found = index(tmp_path)
    day = datetime(2025, 11, 1, tzinfo=timezone.utc)
    assert len(found.find(Query("rtc", AREA, day, day.replace(day=2)))) == 1
    assert found.find(Query("rtc", AREA, day.replace(day=2), day.replace(day=3))) == []
    assert found.find(Query("rtc", area_of_bbox(10, 45, 11, 46), day, day.replace(day=2))) == []
    assert found.find(Query("dem", AREA)) == []


def test_a_folder_is_named_by_its_path(tmp_path, monkeypatch):
    place = tmp_path / "my scenes, 2025"
    place.mkdir()
    monkeypatch.chdir(tmp_path)
    for name in ("my scenes, 2025", "./my scenes, 2025/", str(place), place.as_uri()):
        assert resolve_catalog(name) == folder_reference(place)
    with pytest.raises(CatalogError, match="There is no folder"):
        index(tmp_path / "gone")
