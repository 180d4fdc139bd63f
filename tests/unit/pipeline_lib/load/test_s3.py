"""Products in object stores: a store on loopback that speaks as much of S3 as GDAL and fsspec ask of it."""

import http.server
import threading
from contextlib import contextmanager
from datetime import datetime, timezone
from email.utils import formatdate
from pathlib import Path

import numpy as np
import pytest
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr
from rasterio.transform import Affine

from pipeline_lib.catalog.profiles import PROFILES
from pipeline_lib.catalog.signing import gdal_environment
from pipeline_lib.errors import AssetError
from pipeline_lib.load.asset import opened
from pipeline_lib.load.sentinel1_grd import open_grd, scene_of
from pipeline_lib.model import CatalogReference, Grid, OrbitDirection
from pipeline_lib.options.calibrate import CalibrateOptions
from pipeline_lib.world.safe import Pass, write_safe

BOX = GeoBox((96, 96), Affine(10.0, 0, 500_000, 0, -10.0, 5_000_000), "EPSG:32632")
BUCKET = "sentinel-data"
OPTIONS = CalibrateOptions(vertical_datum="ellipsoid")


class Store(http.server.ThreadingHTTPServer):
    """A bucket over a folder; remembers what was asked and may insist on a paying requester."""

    daemon_threads = True

    def __init__(self, root: Path, *, requester_pays: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.root, self.requester_pays, self.asked = root, requester_pays, []


class _Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self._answer(body=True)

    def do_HEAD(self):
        self._answer(body=False)

    def _answer(self, *, body):
        path, _, query = self.path.partition("?")
        self.server.asked.append((self.headers["Host"], path, query, dict(self.headers)))
        if self.server.requester_pays and self.headers["x-amz-request-payer"] != "requester":
            return self._send(403, b"<Error><Code>AccessDenied</Code></Error>", body=body)
        if not self.headers["Authorization"]:
            return self._send(403, b"<Error><Code>AccessDenied</Code></Error>", body=body)
        file = self.server.root / path.removeprefix(f"/{BUCKET}/")
        if not path.startswith(f"/{BUCKET}/") or not file.is_file():
            return self._send(404, b"<Error><Code>NoSuchKey</Code></Error>", body=body)
        content, span = file.read_bytes(), self.headers["Range"]
        if not span:
            return self._send(200, content, body=body)
        first, _, last = span.removeprefix("bytes=").partition("-")
        start, stop = int(first), min(int(last or len(content) - 1), len(content) - 1) + 1
        more = {"Content-Range": f"bytes {start}-{stop - 1}/{len(content)}"}
        return self._send(206, content[start:stop], body=body, more=more)

    def _send(self, status, content, *, body, more=None):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), "ETag": '"1"', **(more or {})}.items():
            self.send_header(name, value)
        self.send_header("Last-Modified", formatdate(0, usegmt=True))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    """A GRD product and a terrain-corrected raster."""
    root = tmp_path_factory.mktemp("bucket")
    flown = Pass(
        platform="S1C", direction=OrbitDirection.ASCENDING, incidence_deg=40.0,
        abeam=datetime(2025, 3, 1, 5, tzinfo=timezone.utc), absolute_orbit=58000, relative_orbit=15, datatake=0x5F00,
    )  # fmt: skip
    level = {"vv": np.full((96, 96), 0.1, np.float32)}
    write_safe(root / "GRD" / "S1C_IW_GRDH_1SSV_X.SAFE", flown, level, np.full((96, 96), 40, np.float32), BOX)
    wrap_xr(np.full((96, 96), 0.25, np.float32), BOX).odc.write_cog(str(root / "rtc.tif"))
    return root


@contextmanager
def store(root, *, requester_pays):
    server = Store(root, requester_pays=requester_pays)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def credentials(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKTEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))


def access_of(profile, server):
    """The settings of a catalogue, with the store on loopback in the place of its own."""
    catalog = CatalogReference(profile=profile, url=PROFILES[profile].url)
    settings = gdal_environment(catalog) | {"GDAL_HTTP_MAX_RETRY": "0"}
    return settings | {
        "AWS_S3_ENDPOINT": f"127.0.0.1:{server.server_port}",
        "AWS_HTTPS": "NO",
        "AWS_VIRTUAL_HOSTING": "FALSE",
    }


@pytest.mark.parametrize(("profile", "pays"), [("earth-search", True), ("cdse", False)])
def test_a_product_in_the_store_of_each_catalogue(bucket, credentials, profile, pays):
    """Annotation by fsspec, image by GDAL, a raster by its s3 href: all signed, path-style, paid for where they must be."""
    with store(bucket, requester_pays=pays) as server:
        access = access_of(profile, server)
        product = open_grd(f"s3://{BUCKET}/GRD/S1C_IW_GRDH_1SSV_X.SAFE", OPTIONS, gdal=access)
        dem = wrap_xr(np.full((96, 96), 40, np.float32), BOX)
        scene = scene_of((product,), Grid.of_geobox(BOX), dem, OPTIONS).compute(scheduler="synchronous")
        assert np.nanmedian(scene.vv) == pytest.approx(0.1, rel=0.01)
        with opened("item", "vv", f"s3://{BUCKET}/rtc.tif", access) as dataset:
            assert dataset.read(1).mean() == pytest.approx(0.25)
        asked = server.asked
    assert {Path(path).suffix for _, path, _, _ in asked} >= {".safe", ".xml", ".tiff", ".tif"}
    for host, path, _, headers in asked:
        assert host == f"127.0.0.1:{server.server_port}"
        assert path.startswith(f"/{BUCKET}/")
        assert "Credential=AKTEST/" in headers["Authorization"]
        names = {name.lower(): value for name, value in headers.items()}
        assert names.get("x-amz-request-payer") == ("requester" if pays else None)
        if profile == "earth-search":
            assert "/eu-central-1/s3/" in headers["Authorization"]


def test_a_store_that_wants_a_paying_requester_says_so(bucket, credentials):
    with store(bucket, requester_pays=True) as server:
        access = access_of("cdse", server)
        with pytest.raises(AssetError, match=r"manifest\.safe cannot be read"):
            open_grd(f"s3://{BUCKET}/GRD/S1C_IW_GRDH_1SSV_X.SAFE", OPTIONS, gdal=access)
        with pytest.raises(AssetError, match="'vv' of item"), opened("item", "vv", f"s3://{BUCKET}/rtc.tif", access):
            pass


def test_settings_of_the_catalogues_themselves():
    """What was proven above with a store on loopback is what the profiles say."""
    cdse, search = PROFILES["cdse"].gdal, PROFILES["earth-search"].gdal
    assert (cdse["AWS_S3_ENDPOINT"], cdse["AWS_VIRTUAL_HOSTING"]) == ("eodata.dataspace.copernicus.eu", "FALSE")
    assert search["AWS_REQUEST_PAYER"] == "requester"
