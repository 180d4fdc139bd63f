"""Which errors may pass by themselves."""

import errno
import pickle
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import aiohttp
import botocore.exceptions
import pytest
import requests

from pipeline_lib import errors
from pipeline_lib.catalog.safety import HostLookupError
from pipeline_lib.errors import AssetError, OverbankError, StoreError, UnknownNameError, may_pass
from pipeline_lib.load.asset import opened
from pipeline_lib.load.safe_files import SafeFiles
from pipeline_lib.remote import said


def family(kind):
    return {kind}.union(*(family(child) for child in kind.__subclasses__()))


def test_of_our_own_errors_only_those_of_the_network_may_pass():
    passing = {kind for kind in family(OverbankError) if kind.may_pass}
    assert passing == {errors.UnreachableAssetError, errors.UnreachableStoreError, HostLookupError}


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), True),
        (TimeoutError("no answer"), True),
        (OSError(errno.ENETUNREACH, "unreachable"), True),
        (requests.ConnectionError("reset"), True),
        (aiohttp.ClientPayloadError("broke off"), True),
        (botocore.exceptions.EndpointConnectionError(endpoint_url="https://bucket"), True),
        (botocore.exceptions.NoCredentialsError(), False),
        (OSError(errno.ENOSPC, "full"), False),
        (PermissionError(errno.EACCES, "denied"), False),
        (FileNotFoundError(errno.ENOENT, "gone"), False),
        (requests.exceptions.InvalidURL("no host"), False),
        (KeyError("vv"), False),
        (None, False),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, bool) else str(value),
)
def test_of_the_errors_of_others_connections_may_pass(error, passing):
    assert may_pass(error) is passing


class _Server(BaseHTTPRequestHandler):
    """Answers with the status in the path, in place of a raster; 200 is an answer that breaks off."""

    def do_GET(self):
        code = int(self.path.split("/")[1])
        self.send_response(code)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"II*\0" if code == 200 else b" " * 1000)

    def do_HEAD(self):
        self.do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def served():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("code", "passing"), [(503, True), (429, True), (200, True), (404, False), (401, False), (410, False)]
)
def test_an_asset_is_asked_for_again_where_its_server_does_not_say_no(served, code, passing):
    quick = {"GDAL_HTTP_MAX_RETRY": 0, "GDAL_HTTP_TIMEOUT": 5}
    with pytest.raises(AssetError) as caught, opened("item", "vv", f"{served}/{code}/vv.tif", quick):
        pass
    assert may_pass(caught.value) is passing


def test_a_damaged_file_on_a_disk_stays_damaged(tmp_path):
    (tmp_path / "vv.tif").write_bytes(b"no raster")
    with pytest.raises(AssetError) as caught, opened("item", "vv", str(tmp_path / "vv.tif"), {}):
        pass
    assert not may_pass(caught.value)


@pytest.mark.parametrize(("code", "passing"), [(200, True), (404, False)])
def test_an_annotation_that_broke_off_is_asked_for_again(served, code, passing):
    with pytest.raises(AssetError, match="cannot be read") as caught:
        SafeFiles(name="S1A", polarisations={}).read(f"{served}/{code}/s1a.xml")
    assert may_pass(caught.value) is passing


@pytest.mark.parametrize(
    ("near", "error", "passing"),
    [
        ("s3://bucket/store", OSError(errno.EIO, "SlowDown"), True),
        ("s3://bucket/store", PermissionError("AccessDenied"), False),
        ("/", OSError(errno.EIO, "a disk that breaks"), False),
    ],
)
def test_a_bucket_is_asked_again_and_a_disk_is_not(near, error, passing):
    with pytest.raises(StoreError) as caught, said("Cannot write", near=near):
        raise error
    assert may_pass(caught.value) is passing


def test_an_unknown_name_travels_from_a_worker():
    error = UnknownNameError("detector", "ots", ("otsu",))
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 - our own bytes
