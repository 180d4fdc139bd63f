"""Hostile hrefs and identifiers."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.catalog.safety import (
    AccessPolicy,
    UnsafeHrefError,
    check_addresses,
    check_href,
    check_item_id,
    policy_of,
)
from pipeline_lib.errors import CatalogError
from pipeline_lib.model import CatalogReference

PUBLIC = AccessPolicy(origin=("stac.example.org", 443))
LOCAL = AccessPolicy(origin=("127.0.0.1", 8080))


@pytest.mark.parametrize(
    "href",
    [
        "https://example.org/a/b.tif",
        "https://example.org:8443/a.tif?sig=x%2By",
        "http://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/06/V/VN/B01.tif",
        "s3://sentinel-s1-l1c/GRD/2025/7/31/iw-hh.tiff",
        "https://8.8.8.8/a.tif",
        "https://[2606:4700::1111]/a.tif",
    ],
)
def test_public_addresses_pass_unchanged(href):
    assert check_href(href, PUBLIC) == href


@pytest.mark.parametrize(
    "href",
    [
        "file:///etc/passwd",
        "/etc/passwd",
        "../../etc/passwd",
        "/vsizip//tmp/a.zip/b.tif",
        "/vsicurl/https://example.org/a.tif",
        "https://example.org/vsizip/../vsi/x?/vsimem/y",
        "https://example.org/%2fvsizip%2fa",
        "zip+https://example.org/a.zip!b.tif",
        "ftp://example.org/a.tif",
        "gopher://example.org/",
        "GDAL:vrt",
        "<VRTDataset></VRTDataset>",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/latest/",
        "http://[::ffff:169.254.169.254]/",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://0251.0376.0251.0376/",
        "http://169.254.43518/",
        "http://127.0.0.1:9000/a.tif",
        "http://127.1/",
        "http://0/",
        "http://0.0.0.0/",
        "http://10.1.2.3/a.tif",
        "http://172.16.0.1/a.tif",
        "http://192.168.1.1/a.tif",
        "http://100.64.0.1/a.tif",
        "http://[::1]/a.tif",
        "http://[fe80::1]/a.tif",
        "http://localhost/a.tif",
        "http://LOCALHOST./a.tif",
        "http://redis:6379/",
        "http://metadata.google.internal/computeMetadata/v1/",
        "http://printer.local/",
        "http://user:pw@example.org/a.tif",
        "http:///a.tif",
        "http://example.org:99999/a.tif",
        "s3://bucket/../../etc",
        "s3://Bucket_/a",
        "s3:///a",
        "https://example.org/a b.tif",
        "https://example.org/a\nHost: x",
        "https://example.org\\@169.254.169.254/",
        "https://example.org/" + "a" * 5000,
        "",
        None,
        7,
        {"href": "x"},
    ],
)
def test_everything_else_is_refused_with_a_sentence(href):
    with pytest.raises(UnsafeHrefError) as caught:
        check_href(href, PUBLIC)
    assert len(str(caught.value)) < 400


def test_a_catalogue_on_a_private_network_may_serve_its_own_assets_and_no_neighbours():
    assert check_href("http://127.0.0.1:8080/assets/a.tif", LOCAL)
    for neighbour in ("http://127.0.0.1:4200/api", "http://127.0.0.2:8080/a", "http://localhost:8080/a"):
        with pytest.raises(UnsafeHrefError):
            check_href(neighbour, LOCAL)


def test_the_environment_allows_hosts_and_folders(monkeypatch, tmp_path):
    inside, outside = tmp_path / "archive" / "a.tif", tmp_path / "a.tif"
    inside.parent.mkdir()
    inside.write_text("x")
    outside.write_text("x")
    (inside.parent / "link.tif").symlink_to(outside)
    monkeypatch.setenv("OVERBANK_ALLOWED_HOSTS", "minio:9000, 10.0.0.5")
    monkeypatch.setenv("OVERBANK_FILE_ROOTS", str(inside.parent))
    policy = policy_of(CatalogReference(profile="generic", url="https://stac.example.org/v1"))
    for href in ("http://minio:9000/b/a.tif", "http://10.0.0.5/a.tif", str(inside), inside.as_uri()):
        assert check_href(href, policy) == href
    for href in ("http://minio:9001/a", str(outside), f"{inside.parent}/../a.tif", f"{inside.parent}/link.tif"):
        with pytest.raises(UnsafeHrefError):
            check_href(href, policy)


def test_a_public_name_that_leads_to_a_private_address_is_refused(monkeypatch):
    def answer(address):
        return lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443))]

    monkeypatch.setattr(socket, "getaddrinfo", answer("93.184.216.34"))
    check_addresses("https://example.org/a", PUBLIC)
    monkeypatch.setattr(socket, "getaddrinfo", answer("169.254.169.254"))
    with pytest.raises(UnsafeHrefError, match="not a public address"):
        check_addresses("https://rebind.example.org/a", PUBLIC)
    check_addresses("https://stac.example.org/a", PUBLIC)


def test_a_name_without_address(monkeypatch):
    def fail(*_, **__):
        raise OSError("no such host")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(CatalogError, match="cannot be found"):
        check_addresses("https://nowhere.example.org/a", PUBLIC)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.org:3128")
    monkeypatch.setenv("NO_PROXY", "localhost")
    check_addresses("https://nowhere.example.org/a", PUBLIC)


def test_signatures_do_not_reach_error_messages():
    with pytest.raises(UnsafeHrefError) as caught:
        check_href("ftp://example.org/a.tif?sig=SECRET", PUBLIC)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    "item_id", ["S1A_IW_GRDH_1SDV_20191215T003835", "0000360000-0000480000", "a", "x:y@z=1+2.json"]
)
def test_usual_ids_pass(item_id):
    assert check_item_id(item_id) == item_id


@pytest.mark.parametrize(
    "item_id", ["../x", "a/b", "a\\b", ".hidden", "", "a..b", "a b", "a\n", "x" * 201, None, 5, "-rf", "a%2fb"]
)
def test_ids_that_could_leave_a_folder_are_refused(item_id):
    with pytest.raises(UnsafeHrefError):
        check_item_id(item_id)


@given(st.text(max_size=60))
def test_an_accepted_id_is_one_name_of_a_folder(text):
    try:
        accepted = check_item_id(text)
    except UnsafeHrefError:
        return
    assert accepted == text
    assert not set(text) & set("/\\\0%?# \n")
    assert text not in {".", ".."}


@given(st.ip_addresses(v=4))
def test_an_address_passes_in_its_usual_spelling_and_if_public(address):
    number = int(address)
    spellings = [
        str(address),
        str(number),
        hex(number),
        ".".join(f"0{int(part):o}" for part in str(address).split(".")),
    ]

    def allowed(spelling: str) -> bool:
        try:
            check_href(f"http://{spelling}/a", PUBLIC)
        except UnsafeHrefError:
            return False
        return True

    expected = address.is_global and not address.is_multicast
    assert allowed(str(address)) == expected
    assert not any(allowed(spelling) for spelling in spellings[1:] if spelling != str(address))
