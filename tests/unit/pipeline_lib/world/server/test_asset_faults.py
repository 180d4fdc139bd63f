"""Each fault of an asset store does what its name says, and GDAL notices or reads wrong bytes as it would in life."""

import httpx
import numpy as np
import pytest
import rasterio
from rasterio.errors import RasterioIOError

from pipeline_lib.errors import UnknownNameError
from pipeline_lib.world.server.faults import Rule, fault_names

http = httpx.Client(timeout=300, trust_env=False)
VV = "/assets/sentinel-1-rtc/shared/vv.tif"
SETTINGS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "CPL_VSIL_CURL_NON_CACHED": "/vsicurl/",
    "GDAL_HTTP_TIMEOUT": "300",
    "GDAL_HTTP_MAX_RETRY": "2",
    "GDAL_HTTP_RETRY_DELAY": "0.05",
}


@pytest.fixture
def truth(served) -> np.ndarray:
    with rasterio.open(served.archive.folder / VV.removeprefix("/")) as local:
        return local.read(1)


def read(served) -> np.ndarray:
    with rasterio.Env(**SETTINGS), rasterio.open(served.url + VV) as remote:
        return remote.read(1)


def test_every_asset_fault_is_tried_here():
    assert set(fault_names("asset")) == {"truncated", "corrupted", "empty-file", "changed", "no-ranges", "wrong-range"}


@pytest.mark.parametrize(
    "name", ["truncated", "empty-file", "gone", "forbidden", "login-page", "wrong-range", "corrupted"]
)
def test_gdal_does_not_read_what_is_damaged_as_if_it_were_whole(served, truth, name):
    served.faults.set([Rule(name, path="^/assets/", times=None)])
    try:
        values = read(served)
    except RasterioIOError:
        return
    assert name == "corrupted"
    assert not np.array_equal(values, truth)


def test_another_version_in_mid_read_changes_etag_and_bytes(served):
    original = http.get(served.url + VV)
    served.faults.set([Rule("changed", skip=1)])
    first, second = (http.get(served.url + VV, headers={"Range": "bytes=0-63"}) for _ in range(2))
    assert first.content == original.content[:64]
    assert second.content != first.content
    assert second.headers["ETag"] != original.headers["ETag"]
    assert second.headers["Content-Range"] == first.headers["Content-Range"]


def test_a_store_without_ranges_sends_the_whole(served):
    served.faults.set([Rule("no-ranges", times=None)])
    answer = http.get(served.url + VV, headers={"Range": "bytes=0-63"})
    assert answer.status_code == 200
    assert len(answer.content) > 64


@pytest.mark.parametrize("name", ["unavailable", "cut", "bad-gateway"])
def test_gdal_tries_again_and_reads_right(served, truth, name):
    served.faults.set([Rule(name, path="^/assets/", method="GET", times=1, skip=1)])
    assert np.array_equal(read(served), truth)
    assert [entry[0] for entry in served.faults.log] == [name]


def test_rules_count_skip_and_choose(served):
    rule = Rule("gone", path="vv", method="GET", times=2, skip=1)
    served.faults.set([rule])
    statuses = [http.get(served.url + VV).status_code for _ in range(5)]
    assert statuses == [200, 404, 404, 200, 200]
    assert (rule.seen, rule.done) == (5, 2)
    assert http.get(served.url + VV.replace("vv", "vh")).status_code == 200
    assert [entry[0] for entry in served.faults.log] == ["gone", "gone"]


def test_an_unknown_fault_is_refused_at_once():
    with pytest.raises(UnknownNameError, match="unknown"):
        Rule("unknown")
