"""A signature in an address, or a key in a catalogue's URL, is in no message, no traceback and no written plan."""

import json
import logging
import traceback
from datetime import datetime, timezone

import pytest
import requests

from pipeline_lib.catalog import signing
from pipeline_lib.catalog.profiles import resolve_catalog
from pipeline_lib.catalog.safety import policy_of
from pipeline_lib.errors import AssetError, InputError, shown
from pipeline_lib.load.asset import Asset, assets_of
from pipeline_lib.model import CatalogItem, CatalogReference
from pipeline_lib.model.area import area_of_bbox

PLANTED = "pl4ntedS1gnature"
SIGNED = f"http://127.0.0.1:9/assets/vv.tif?se=2030&sig={PLANTED}"


def item(href=SIGNED):
    moment = datetime(2024, 5, 20, tzinfo=timezone.utc)
    return CatalogItem(
        item_id="one",
        collection="rtc",
        start=moment,
        end=moment,
        footprint=area_of_bbox(9, 45, 10, 46),
        assets={"vv": href},
    )


def everything_said(error, caplog):
    return "".join(traceback.format_exception(error)) + caplog.text


def test_an_asset_that_cannot_be_opened(caplog, tmp_path):
    caplog.set_level(logging.WARNING)
    damaged = tmp_path / f"vv.tif?sig={PLANTED}"
    damaged.write_bytes(b"no raster")
    with pytest.raises(AssetError, match=r"vv\.tif\?\.\.\.") as caught:
        assets_of((item(str(damaged)),), "vv", sign=str)
    assert PLANTED not in everything_said(caught.value, caplog)


def test_an_asset_store_that_cannot_be_reached(caplog, monkeypatch):
    monkeypatch.setattr(signing, "PAUSE_S", 0.0)
    catalog = CatalogReference(profile="generic", url="http://127.0.0.1:9")
    policy_of(catalog)
    with pytest.raises(AssetError, match="cannot be reached") as caught:
        signing.signed(SIGNED, catalog)
    assert PLANTED not in everything_said(caught.value, caplog)


def test_a_store_of_signatures_that_does_not_answer(caplog, monkeypatch):
    import planetary_computer

    def refused(_):
        raise requests.ConnectionError(f"cannot reach https://pc.example/token?subscription-key={PLANTED}")

    monkeypatch.setattr(planetary_computer, "sign_url", refused)
    catalog = resolve_catalog("planetary-computer")
    with pytest.raises(AssetError, match="did not sign") as caught:
        signing.signed("https://sentinel1euwestrtc.blob.core.windows.net/a/vv.tif", catalog)
    assert PLANTED not in everything_said(caught.value, caplog)


def test_what_a_cluster_prints_of_an_asset():
    asset = Asset(
        item_id="one",
        key="vv",
        href=SIGNED,
        crs="",
        transform=(1.0,),
        shape=(1, 1),
        nodata=None,
        sign=lambda href: href,
    )
    assert PLANTED not in repr(asset)


def test_records_that_are_written_hold_no_query_and_identities_do_not_depend_on_it():
    assert PLANTED not in json.dumps(item().document)
    assert item().document["assets"]["vv"] == "http://127.0.0.1:9/assets/vv.tif"
    assert item().digest == item(SIGNED.replace(PLANTED, "another")).digest


def test_words_keep_everything_but_the_query():
    assert shown(f"HTTP 403 at '{SIGNED}', twice?") == "HTTP 403 at 'http://127.0.0.1:9/assets/vv.tif?...', twice?"


@pytest.mark.parametrize(
    ("said", "repeated"), [("No space.", "No space"), ("and so on ...", "and so on ..."), ("", "")]
)
def test_a_message_that_repeats_words_sets_the_full_stop(said, repeated):
    assert shown(OSError(said)) == repeated


@pytest.mark.parametrize("url", [f"https://u:{PLANTED}@stac.example", f"https://stac.example/v1?api_key={PLANTED}"])
def test_a_catalogue_url_with_a_secret_is_refused_unsaid(url):
    with pytest.raises(InputError, match="end up in plans and logs") as caught:
        resolve_catalog(url)
    assert PLANTED not in str(caught.value)
