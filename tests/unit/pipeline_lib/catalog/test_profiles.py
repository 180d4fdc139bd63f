"""Names, URLs, signing and GDAL settings."""

import pytest
import requests

from pipeline_lib.catalog import signing
from pipeline_lib.catalog.profiles import PROFILES, profile_of, resolve_catalog
from pipeline_lib.catalog.safety import UnsafeHrefError
from pipeline_lib.catalog.signing import gdal_environment, signed
from pipeline_lib.errors import AssetError, InputError, UnknownNameError
from pipeline_lib.model import CatalogReference
from pipeline_lib.world.server.faults import Rule

ASSET = "/assets/sentinel-1-rtc/shared/vv.tif"


def test_names_and_urls():
    assert resolve_catalog("cdse").url.startswith("https://stac.dataspace")
    assert resolve_catalog("https://planetarycomputer.microsoft.com/api/stac/v1/").profile == "planetary-computer"
    assert resolve_catalog("http://127.0.0.1:80/x/") == CatalogReference(profile="generic", url="http://127.0.0.1:80/x")


@pytest.mark.parametrize("name", ["planetary", "generic", "", "ftp://x", "ftp://example.org", "/tmp/world"])
def test_unknown_names_say_which_are_known(name):
    with pytest.raises(UnknownNameError, match="planetary-computer, earth-search, cdse"):
        resolve_catalog(name)


def test_no_password_enters_a_plan():
    with pytest.raises(InputError) as caught:
        resolve_catalog("https://me:SECRET@example.org/stac")
    assert "SECRET" not in str(caught.value)


def test_a_plan_with_an_unknown_profile():
    with pytest.raises(UnknownNameError):
        profile_of(CatalogReference(profile="next-year", url="https://example.org"))


def test_old_and_new_asset_keys_are_known_to_every_profile():
    for profile in PROFILES.values():
        assert {"vv", "vv-rtc"} <= set(profile.asset_keys["vv"])
        assert {"B03", "B03_10m", "green"} <= set(profile.asset_keys["B03"])
        assert {"SCL", "SCL_20m", "scl"} <= set(profile.asset_keys["SCL"])


def test_gdal_settings_hold_no_secret_and_bound_waiting(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SECRET")
    for name in PROFILES:
        settings = gdal_environment(CatalogReference(profile=name, url="https://example.org"))
        assert "SECRET" not in "".join(settings.values())
        assert {"GDAL_HTTP_TIMEOUT", "GDAL_HTTP_LOW_SPEED_TIME", "GDAL_DISABLE_READDIR_ON_OPEN"} <= set(settings)
    earth_search = gdal_environment(resolve_catalog("earth-search"))
    assert earth_search["AWS_REQUEST_PAYER"] == "requester"
    assert "AWS_NO_SIGN_REQUEST" not in earth_search
    assert gdal_environment(resolve_catalog("cdse"))["AWS_S3_ENDPOINT"] == "eodata.dataspace.copernicus.eu"


def test_the_planetary_computer_signs(monkeypatch):
    import planetary_computer

    href = "https://sentinel1euwestrtc.blob.core.windows.net/a/iw-vv.rtc.tiff"
    monkeypatch.setattr(planetary_computer, "sign_url", lambda url: url + "?sig=1")
    assert signed(href, resolve_catalog("planetary-computer")) == href + "?sig=1"

    def down(url):
        raise requests.ConnectionError(url)

    monkeypatch.setattr(planetary_computer, "sign_url", down)
    with pytest.raises(AssetError, match="did not sign"):
        signed(href, resolve_catalog("planetary-computer"))


def test_hrefs_of_others_stay_as_they_are(served):
    assert (
        signed("s3://sentinel-s1-l1c/GRD/a.tiff", resolve_catalog("earth-search")) == "s3://sentinel-s1-l1c/GRD/a.tiff"
    )
    href = served.url + ASSET
    assert signed(href, resolve_catalog(served.url)) == href


@pytest.mark.parametrize("name", ["redirect-metadata", "redirect-file"])
def test_an_asset_that_redirects_to_a_forbidden_address_is_refused(served, name):
    served.faults.set([Rule(name, times=None)])
    with pytest.raises(UnsafeHrefError):
        signed(served.url + ASSET, resolve_catalog(served.url))
    assert len(served.faults.log) == 1


def test_an_asset_that_redirects_for_ever(served):
    served.faults.set([Rule("redirect-loop", path="^/assets/", times=None)])
    with pytest.raises(UnsafeHrefError, match="redirects more than"):
        signed(served.url + ASSET, resolve_catalog(served.url))


def test_a_hostile_href_of_an_edited_plan_is_refused():
    for href in ("file:///etc/passwd", "/vsimem/x", "http://169.254.169.254/x"):
        with pytest.raises(UnsafeHrefError):
            signed(href, resolve_catalog("cdse"))


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch):
    monkeypatch.setattr(signing, "PAUSE_S", 0.0)


def test_a_connection_that_breaks_once(served):
    served.faults.set([Rule("cut", path="^/assets/")])
    assert signed(served.url + ASSET, resolve_catalog(served.url)) == served.url + ASSET
    assert len(served.faults.log) == 1


def test_a_store_that_is_down(served):
    served.faults.set([Rule("cut", path="^/assets/", times=None)])
    with pytest.raises(AssetError, match="cannot be reached"):
        signed(served.url + ASSET, resolve_catalog(served.url))
    assert signing.MAX_REDIRECTS < 10


@pytest.mark.parametrize("start", ["", '<?xml version="1.0"?>\n'])
def test_a_file_that_makes_gdal_open_others_is_refused(small_archive, start):
    from pipeline_lib.world.server import serve

    hostile = small_archive.folder / "assets" / "image.tif"
    hostile.write_text(f'{start}<VRTDataset rasterXSize="1" rasterYSize="1"><!-- /etc/passwd --></VRTDataset>')
    with serve(small_archive.folder) as url, pytest.raises(UnsafeHrefError, match="description of others"):
        signed(f"{url}/assets/image.tif", resolve_catalog(url))
