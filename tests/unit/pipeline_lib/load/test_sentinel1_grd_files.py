"""SAFE products as they come: folders, zips, URLs, catalogue items, old processors, and everything that can be broken."""

import http.server
import os
import shutil
import threading
import zipfile
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr
from rasterio.transform import Affine
from typer.testing import CliRunner

from flows.cli import build_app
from pipeline_lib.errors import AssetError, InputError, RasterError
from pipeline_lib.load.safe_annotation import read_annotation
from pipeline_lib.load.safe_files import find_assets, find_safe, gdal_path, storage_options
from pipeline_lib.load.safe_xml import MAX_XML_BYTES, Reader, noise_of
from pipeline_lib.load.sentinel1_grd import open_grd, scene_of
from pipeline_lib.model import Grid, OrbitDirection
from pipeline_lib.options.calibrate import CalibrateOptions
from pipeline_lib.world.safe import Pass, write_safe

SIZE = 96
BOX = GeoBox((SIZE, SIZE), Affine(10.0, 0, 500_000, 0, -10.0, 5_000_000), "EPSG:32632")
NAME = "S1C_IW_GRDH_1SDV_20250301T050000_20250301T050025_058000_005F00_ABCD.SAFE"


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    flown = Pass(
        platform="S1C", direction=OrbitDirection.ASCENDING, incidence_deg=40.0,
        abeam=datetime(2025, 3, 1, 5, tzinfo=timezone.utc), absolute_orbit=58000, relative_orbit=15, datatake=0x5F00,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("products") / NAME
    level = {"vv": np.full((SIZE, SIZE), 0.1, np.float32), "vh": np.full((SIZE, SIZE), 0.03, np.float32)}
    write_safe(folder, flown, level, np.full((SIZE, SIZE), 40, np.float32), BOX)
    return folder


@pytest.fixture
def safe(original, tmp_path):
    return shutil.copytree(original, tmp_path / NAME)


def one(folder, pattern):
    return next(folder.glob(pattern))


def mapped(source, **options):
    chosen = CalibrateOptions(vertical_datum="ellipsoid", **options)
    product = open_grd(str(source), chosen)
    return scene_of((product,), Grid.of_geobox(BOX), wrap_xr(np.full((SIZE, SIZE), 40, np.float32), BOX), chosen)


def computed(source, **options):
    return mapped(source, **options).compute(scheduler="synchronous")


def zipped(safe, path):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(safe.rglob("*")):
            if file.is_file():
                archive.write(file, f"{safe.name}/{file.relative_to(safe)}")
    return path


def test_records_of_a_folder(safe):
    files = find_safe(str(safe))
    note = read_annotation(files, "vv")
    assert tuple(files.polarisations) == ("vv", "vh")
    assert (note.platform, note.mode, note.orbit_direction, note.relative_orbit, note.ipf_version) == (
        "S1C",
        "IW",
        "ascending",
        15,
        (3, 71),
    )
    assert note.epoch.tzinfo is timezone.utc
    assert note.orbit.time_s[0] < -60
    assert len(note.noise.azimuth_blocks) == 3
    with pytest.raises(AttributeError):
        note.platform = "S1A"


def test_zip_and_manifest_path_give_the_same_pixels_as_the_folder(safe, tmp_path):
    folder = computed(safe)
    assert np.isfinite(folder.vv).mean() > 0.8
    archive = zipped(safe, tmp_path / "product.zip")
    for source in (archive, safe / "manifest.safe"):
        again = computed(source)
        for name in folder:
            np.testing.assert_array_equal(folder[name], again[name])


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files with byte ranges, as object stores serve them."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        path, wanted = self.translate_path(self.path), self.headers.get("Range")
        if wanted is None or not Path(path).is_file():
            return super().do_GET()
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        content = Path(path).read_bytes()
        part = content[int(first) : int(last) + 1 if last else None]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)
        return None

    def end_headers(self):
        self.send_header("Accept-Ranges", "bytes")
        super().end_headers()


@pytest.fixture
def served(tmp_path):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_folder_by_url_with_real_and_with_shortened_names(safe, served):
    folder = computed(safe)
    by_url = computed(f"{served}/{NAME}")
    np.testing.assert_array_equal(folder.vv, by_url.vv)
    for path in list(safe.rglob("*-grd-*")):
        stem = path.name.split("s1c-")[0] + "-".join(path.name.split("s1c-")[1].split("-grd-")[::1]).split("-2025")[0]
        path.rename(path.with_name(stem + path.suffix))
    assert one(safe, "annotation/iw-vv.xml").exists()
    np.testing.assert_array_equal(folder.vv, computed(f"{served}/{NAME}").vv)
    np.testing.assert_array_equal(folder.vv, computed(safe).vv)


def test_zip_by_url(safe, tmp_path, served):
    zipped(safe, tmp_path / "product.zip")
    files = find_safe(f"{served}/product.zip")
    assert files.polarisations["vv"].measurement.startswith("/vsizip/{/vsicurl/http://127.0.0.1")
    assert read_annotation(files, "vh").polarisation == "vh"


def test_paths_as_gdal_opens_them():
    assert gdal_path("s3://bucket/a.tiff") == "/vsis3/bucket/a.tiff"
    assert gdal_path("https://host/a.tiff") == "/vsicurl/https://host/a.tiff"
    assert gdal_path("/data/a.tiff") == "/data/a.tiff"


def test_access_settings_reach_the_xml_files_too():
    access = {"AWS_REQUEST_PAYER": "requester", "AWS_S3_ENDPOINT": "eodata.example.org", "AWS_NO_SIGN_REQUEST": "NO"}
    assert storage_options(access, "s3://bucket/a.xml") == {
        "requester_pays": True,
        "endpoint_url": "https://eodata.example.org",
    }
    assert storage_options(access, "https://host/a.xml") == {}


def test_items_of_the_real_catalogues(real_data):
    """Earth Search's schema-product points at the RFI annotation; single polarisation; no noise is not made up."""
    import json

    folder = real_data / "stac" / "real_items_from_cassettes" / "sentinel-1-grd"
    for path in sorted(folder.glob("*.json"))[:20]:
        item = json.loads(path.read_text())
        files = find_assets(item["id"], {key: asset["href"] for key, asset in item["assets"].items()}, sign=str)
        for pol, hrefs in files.polarisations.items():
            assert "/rfi/" not in hrefs.annotation
            assert hrefs.annotation.endswith(f"-{pol}.xml")
            assert hrefs.measurement.endswith((".tif", ".tiff"))
    with pytest.raises(AssetError, match="schema-calibration-vv"):
        find_assets("x", {"vv": "a.tiff", "schema-product-vv": "a.xml"}, sign=str)
    with pytest.raises(AssetError, match="none of the assets"):
        find_assets("x", {"thumbnail": "a.png"}, sign=str)


def test_real_dual_polarisation_zip_lists_its_files_and_says_what_is_missing(real_data):
    """The annotation of a real S1A product of 2020, shipped without its images."""
    path = next((real_data / "s1_safe" / "s1ard").rglob("*.zip"))
    with pytest.raises(AssetError, match="lacks the measurement file of VV"):
        find_safe(str(path))


def test_single_polarisation(safe):
    for path in [*safe.rglob("*-vh-*")]:
        path.unlink()
    assert set(computed(safe).data_vars) == {"vv", "local_incidence_angle", "layover_shadow"}
    assert set(computed(safe, polarisations=("vv",)).data_vars) == {"vv", "local_incidence_angle", "layover_shadow"}


def test_polarisation_that_is_not_there(safe):
    with pytest.raises(RasterError, match=r"holds VV, VH; asked for was HH"):
        open_grd(str(safe), CalibrateOptions(polarisations=("hh",)))


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("measurement/*-vh-*", "lacks the measurement"), ("annotation/s1*-vv-*", "lacks the annotation"), ("annotation/calibration/cal*-vv-*", "lacks the calibration")],
)  # fmt: skip
def test_missing_file_is_named(safe, pattern, message):
    one(safe, pattern).unlink()
    with pytest.raises(AssetError, match=message):
        open_grd(str(safe))


def test_missing_noise_file_is_an_error_unless_noise_is_to_stay(safe):
    one(safe, "annotation/calibration/noise*-vh-*").unlink()
    with pytest.raises(AssetError, match="no noise file for VH"):
        open_grd(str(safe))
    assert open_grd(str(safe), CalibrateOptions(remove_noise=False)).measurements["vh"].annotation.noise is None


def test_truncated_image_is_an_error_and_never_a_value(safe):
    path = one(safe, "measurement/*-vv-*")
    with rasterio.open(path) as image:
        offset, size = (int(image.get_tag_item(f"BLOCK_{what}_0_0", "TIFF", bidx=1)) for what in ("OFFSET", "SIZE"))
    os.truncate(path, offset + size // 2)
    with pytest.raises(AssetError, match=r"VV.* truncated"):
        open_grd(str(safe))


def test_image_damaged_inside_is_an_error_when_it_is_read(safe):
    path = one(safe, "measurement/*-vv-*")
    with rasterio.open(path) as image:
        offset, size = (int(image.get_tag_item(f"BLOCK_{what}_0_0", "TIFF", bidx=1)) for what in ("OFFSET", "SIZE"))
    content = bytearray(path.read_bytes())
    content[offset : offset + size] = b"\xff" * size
    path.write_bytes(content)
    scene = mapped(safe)
    with pytest.raises(AssetError, match="VV is damaged between lines"):
        scene.compute(scheduler="synchronous")


def test_image_that_is_no_tiff_or_of_another_size(safe):
    path = one(safe, "measurement/*-vv-*")
    path.write_bytes(b"not a tiff")
    with pytest.raises(AssetError, match="cannot be opened"):
        open_grd(str(safe))
    with rasterio.open(
        path, "w", driver="GTiff", width=7, height=9, count=1, dtype="uint16", transform=Affine(2, 0, 0, 0, 2, 0)
    ) as image:
        image.write(np.ones((9, 7), np.uint16), 1)
    with pytest.raises(AssetError, match="9 x 7"):
        open_grd(str(safe))


@pytest.mark.parametrize(
    "which",
    ["annotation/s1*-vv-*", "annotation/calibration/cal*-vv-*", "annotation/calibration/noise*-vv-*", "manifest.safe"],
)
def test_xml_that_is_not_well_formed(safe, which):
    path = one(safe, which)
    path.write_text(path.read_text()[:-200])
    with pytest.raises(AssetError, match="not well-formed"):
        open_grd(str(safe))


def test_entity_bomb_and_external_entity(safe):
    path = one(safe, "annotation/s1*-vv-*")
    bomb = (
        '<!DOCTYPE b [<!ENTITY a "ha">'
        + "".join(f'<!ENTITY {chr(98 + k)} "{f"&{chr(97 + k)};" * 10}">' for k in range(8))
        + "]>"
    )
    for text in (
        f"<?xml version='1.0'?>{bomb}<product>&i;</product>",
        '<!DOCTYPE p [<!ENTITY x SYSTEM "file:///etc/passwd">]><product>&x;</product>',
    ):
        path.write_text(text)
        with pytest.raises(AssetError, match="document type or entities"):
            open_grd(str(safe))


def test_oversized_xml():
    with pytest.raises(AssetError, match="at most"):
        Reader(b" " * (MAX_XML_BYTES + 1), "big.xml")


@pytest.mark.parametrize("bad", ["../../evil.xml", "/etc/evil.xml", "a/../../evil.xml", "..\\evil.xml"])
def test_zip_that_leaves_its_folder(safe, tmp_path, bad):
    path = zipped(safe, tmp_path / "bad.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(bad, "x")
    with pytest.raises(AssetError, match="leaves the archive"):
        open_grd(str(path))


def test_zip_that_is_none(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"PK but no zip")
    with pytest.raises(AssetError, match="not a readable zip"):
        find_safe(str(tmp_path / "a.zip"))


def test_nothing_there_and_something_else(tmp_path):
    with pytest.raises(AssetError, match="no SAFE product"):
        find_safe(str(tmp_path / "missing.SAFE"))
    (tmp_path / "readme.txt").write_text("x")
    with pytest.raises(AssetError, match="holds no GRD"):
        find_safe(str(tmp_path))


def changed(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_annotation_of_another_product_type_or_polarisation(safe):
    path = one(safe, "annotation/s1*-vv-*")
    changed(path, "<productType>GRD<", "<productType>SLC<")
    with pytest.raises(AssetError, match="SLC"):
        open_grd(str(safe))
    changed(path, "<productType>SLC<", "<productType>GRD<")
    changed(path, "<polarisation>VV<", "<polarisation>HH<")
    with pytest.raises(AssetError, match="mixed up"):
        open_grd(str(safe))


@pytest.mark.parametrize(
    ("old", "new"),
    [("<sr0>", "<sr0>nan "), ("<numberOfLines>", "<numberOfLines>many "), ("<betaNought count", "<other count")],
)
def test_values_that_are_no_numbers_or_missing(safe, old, new):
    changed(one(safe, "annotation/calibration/cal*-vv-*" if "beta" in old else "annotation/s1*-vv-*"), old, new)
    with pytest.raises(AssetError):
        open_grd(str(safe))


def test_noise_that_the_processor_removed_is_not_removed_twice(safe):
    before = computed(safe)
    for pol in ("vv", "vh"):
        changed(one(safe, f"annotation/s1*-{pol}-*"), "CorrectionPerformed>false", "CorrectionPerformed>true")
    after = computed(safe)
    assert np.nanmedian(after.vh) > np.nanmedian(before.vh) * 1.02


OLD = """<noise><noiseVectorList><noiseVector><line>0</line><pixel count="2">0 100</pixel><noiseLut count="2">2e-2 4e-2</noiseLut>
</noiseVector></noiseVectorList></noise>"""


@pytest.mark.parametrize(
    ("ipf", "scale"), [((2, 72), 1.0), ((2, 43), 75088.7 * 9.0), ((2, 31), 75088.7 * 3.0), (None, 1.0)]
)  # fmt: skip
def test_noise_of_old_processors(ipf, scale):
    """No azimuth vectors before IPF 2.90; before 2.50 the values are scaled by k_noise and the dn table."""
    lut = noise_of(Reader(OLD.encode(), "old"), mode="IW", ipf=ipf, digital_number=3.0)
    assert lut.azimuth_blocks == ()
    np.testing.assert_allclose(lut.range_vectors[0].values, np.array([0.02, 0.04]) * scale)


def test_border_noise_of_an_old_product_is_masked(safe):
    for path in safe.glob("measurement/*.tiff"):
        with rasterio.open(path, "r+") as image:
            numbers = image.read(1)
            noise = np.random.default_rng(1).integers(1, 12, numbers.shape).astype(np.uint16)
            column = numbers.shape[1] // 2
            numbers[:, :column] = noise[:, :column]
            image.write(numbers, 1)
    assert np.nanmin(computed(safe).vv) < 0.01
    changed(one(safe, "manifest.safe"), 'version="003.71"', 'version="002.72"')
    old = computed(safe)
    assert np.isfinite(old.vv).sum() > 1000
    assert np.nanmin(old.vv) > 0.01


@pytest.fixture
def dem(tmp_path):
    """A flat elevation model over the image, as a file."""
    path = tmp_path / "dem.tif"
    wrap_xr(np.full((SIZE, SIZE), 40, np.float32), BOX).odc.write_cog(str(path))
    return path


def test_command_writes_bands_that_say_what_they_are(safe, dem, tmp_path):
    out = tmp_path / "out" / "gamma0.tif"
    arguments = [
        "calibrate",
        str(safe),
        "--dem",
        str(dem),
        "--out",
        str(out),
        "--vertical",
        "ellipsoid",
        "--grid",
        str(dem),
    ]
    found = CliRunner().invoke(build_app(), arguments)
    assert found.exit_code == 0, found.output
    with rasterio.open(out) as raster:
        assert raster.descriptions == ("vv", "vh", "local_incidence_angle", "layover_shadow")
        assert raster.crs.to_epsg() == 32632
        vv = raster.read(1)
    np.testing.assert_array_equal(vv, computed(safe).vv)
    assert np.nanmedian(vv) == pytest.approx(0.1, rel=0.01)
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize(
    ("extra", "error", "message"),
    [(["--gamma0", "--sigma0"], InputError, "not both"), (["--vertical", "sea"], InputError, "vertical_datum"),
     (["--grid", "EPSG:999999"], InputError, "not a CRS"), (["--grid", "nowhere.tif"], RasterError, "neither"),
     (["--polarisations", "hh"], RasterError, "HH")],
)  # fmt: skip
def test_command_explains_what_cannot_be(safe, dem, tmp_path, extra, error, message):
    found = CliRunner().invoke(
        build_app(), ["calibrate", str(safe), "--dem", str(dem), "--out", str(tmp_path / "o.tif"), *extra]
    )
    assert isinstance(found.exception, error)
    assert message in str(found.exception)


def test_command_chooses_the_utm_grid_or_the_crs_asked_for(safe, dem, tmp_path):
    for grid, pixel, code in ((None, "20", 32632), ("EPSG:3035", "25", 3035)):
        out = tmp_path / f"{code}.tif"
        arguments = [
            "calibrate",
            str(safe),
            "--dem",
            str(dem),
            "--out",
            str(out),
            "--sigma0",
            "--pixel",
            pixel,
            "--vertical",
            "ellipsoid",
        ]
        found = CliRunner().invoke(build_app(), [*arguments, *(["--grid", grid] if grid else [])])
        assert found.exit_code == 0, found.exception
        with rasterio.open(out) as raster:
            assert (raster.crs.to_epsg(), raster.res) == (code, (float(pixel), float(pixel)))
            assert np.nanmedian(raster.read(1)) == pytest.approx(0.1 * np.cos(np.radians(40)), rel=0.02)
