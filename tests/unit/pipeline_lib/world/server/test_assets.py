"""Asset files over HTTP: ranges, validators, and nothing outside the folder."""

import socket

import httpx
import pytest
import rasterio

http = httpx.Client(timeout=300, trust_env=False)
VV = "/assets/sentinel-1-rtc/shared/vv.tif"


@pytest.fixture
def content(served) -> bytes:
    return (served.archive.folder / VV.removeprefix("/")).read_bytes()


def test_whole_file_and_head(served, content):
    whole, head = http.get(served.url + VV), http.head(served.url + VV)
    assert (whole.status_code, whole.content) == (200, content)
    assert whole.headers["Accept-Ranges"] == "bytes"
    assert whole.headers["Content-Type"].startswith("image/tiff")
    assert (head.status_code, head.content, head.headers["Content-Length"]) == (200, b"", str(len(content)))
    assert head.headers["ETag"] == whole.headers["ETag"]


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [("bytes=0-15", 0, 16), ("bytes=100-", 100, None), ("bytes=-64", -64, None), ("bytes=5-99999999", 5, None)],
)
def test_ranges(served, content, header, start, end):
    answer = http.get(served.url + VV, headers={"Range": header})
    expected = content[start:end]
    first = start if start >= 0 else len(content) + start
    assert (answer.status_code, answer.content) == (206, expected)
    assert answer.headers["Content-Range"] == f"bytes {first}-{first + len(expected) - 1}/{len(content)}"
    assert answer.headers["Content-Length"] == str(len(expected))


@pytest.mark.parametrize("header", ["bytes=99999999-", "bytes=-0"])
def test_a_range_beyond_the_file_is_416(served, content, header):
    answer = http.get(served.url + VV, headers={"Range": header})
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(content)}"


@pytest.mark.parametrize("header", ["bytes=9-3", "bytes=a-b", "lines=0-3", "bytes=0-3,8-9", "bytes=-"])
def test_a_range_that_makes_no_sense_is_ignored(served, content, header):
    answer = http.get(served.url + VV, headers={"Range": header})
    assert (answer.status_code, answer.content) == (200, content)


def test_if_range_sends_the_part_only_of_the_same_version(served, content):
    etag = http.head(served.url + VV).headers["ETag"]
    same = http.get(served.url + VV, headers={"Range": "bytes=0-3", "If-Range": etag})
    other = http.get(served.url + VV, headers={"Range": "bytes=0-3", "If-Range": '"old"'})
    assert (same.status_code, other.status_code) == (206, 200)
    assert other.content == content


def test_conditions(served):
    etag = http.head(served.url + VV).headers["ETag"]
    assert http.get(served.url + VV, headers={"If-None-Match": etag}).status_code == 304
    assert http.get(served.url + VV, headers={"If-Match": '"old"'}).status_code == 412


def test_etag_changes_with_the_file(small_archive):
    from pipeline_lib.world.server import serve

    path = small_archive.folder / VV.removeprefix("/")
    with serve(small_archive.folder) as url:
        before = http.head(url + VV).headers["ETag"]
        path.write_bytes(path.read_bytes()[:-10])
        assert http.head(url + VV).headers["ETag"] != before


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../items/sentinel-1-rtc/slice-1.json",
        "/assets/%2e%2e/items/sentinel-1-rtc/slice-1.json",
        "/assets/..%2f..%2f..%2f..%2fetc/passwd",
        "/assets//etc/passwd",
        "/assets/%2fetc%2fpasswd",
        "/assets/sentinel-1-rtc/shared/vv.tif%00.png",
        "/assets/..%5c..%5cetc%5cpasswd",
        "/assets/",
        "/assets/sentinel-1-rtc",
    ],
)
def test_nothing_outside_the_folder(served, path):
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=300) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    assert b" 404 " in answer.split(b"\r\n", 1)[0]
    assert b"root:" not in answer
    assert b"Feature" not in answer


def test_a_link_that_leads_out_is_not_followed(small_archive, tmp_path):
    from pipeline_lib.world.server import serve

    (tmp_path / "secret.txt").write_text("secret")
    (small_archive.folder / "assets" / "link.txt").symlink_to(tmp_path / "secret.txt")
    with serve(small_archive.folder) as url:
        assert http.get(url + "/assets/link.txt").status_code == 404


def test_gdal_reads_a_window_through_ranges(served):
    served.faults.set([])
    settings = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "CPL_VSIL_CURL_NON_CACHED": "/vsicurl/"}
    with rasterio.Env(**settings), rasterio.open(served.url + VV) as remote:
        window = remote.read(1, window=((0, 32), (32, 64)))
    with rasterio.open(served.archive.folder / VV.removeprefix("/")) as local:
        assert (window == local.read(1)[0:32, 32:64]).all()
    assert {path for _, path in served.faults.requests} == {VV}
