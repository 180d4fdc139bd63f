"""Login of NASA Earthdata: the token goes to the archive and its login alone, and the signed address is what is read."""

import json
from datetime import datetime, timezone
from types import SimpleNamespace

import pytest
import requests
from shapely.geometry import box

from pipeline_lib.catalog import earthdata
from pipeline_lib.catalog.items import parse_item
from pipeline_lib.catalog.merge import acquisitions_of
from pipeline_lib.catalog.profiles import PROFILES, resolve_catalog
from pipeline_lib.catalog.safety import AccessPolicy, UnsafeHrefError
from pipeline_lib.catalog.sentinel import orbit_at
from pipeline_lib.catalog.signing import signed
from pipeline_lib.errors import AssetError
from pipeline_lib.model import OrbitDirection, ProductType

NAME = "OPERA_L2_RTC-S1_T035-073251-IW2_20240113T020816Z_20240113T113128Z_S1A_30_v1.0"
HREF = f"https://cumulus.asf.earthdatacloud.nasa.gov/OPERA/OPERA_L2_RTC-S1/{NAME}/{NAME}_VV.tif"
FINAL = f"https://d1.cloudfront.example.org/{NAME}_VV.tif?A-userid=me&Signature=SECRET"


@pytest.fixture
def web(monkeypatch):
    """The archive, as it answers: by way of the login to a signed address; what it was asked."""
    asked = []
    answers = {
        HREF: (303, "https://urs.earthdata.nasa.gov/oauth/authorize?client_id=x"),
        "https://urs.earthdata.nasa.gov/oauth/authorize?client_id=x": (
            302,
            "https://cumulus.asf.earthdatacloud.nasa.gov/login?code=1",
        ),
        "https://cumulus.asf.earthdatacloud.nasa.gov/login?code=1": (302, FINAL),
    }

    class Answer:
        def __init__(self, code, onward):
            self.status_code, self.is_redirect, self.headers = code, onward is not None, {"Location": onward}

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    def get(_session, url, headers, **_):
        asked.append((url, headers.get("Authorization")))
        code, onward = answers[url]
        return Answer(code, onward)

    monkeypatch.setattr(requests.Session, "get", get)
    monkeypatch.setattr(earthdata, "check_addresses", lambda *_: None)
    monkeypatch.setattr(earthdata, "_granted", {})
    monkeypatch.setenv(earthdata.TOKEN_VARIABLE, "TOKEN")
    return SimpleNamespace(asked=asked, answers=answers)


def test_the_signed_address_is_reached_once_and_only_the_archive_sees_the_token(web):
    catalog = resolve_catalog("asf")
    assert signed(HREF, catalog) == FINAL
    assert signed(HREF, catalog) == FINAL
    assert [token for _, token in web.asked] == ["Bearer TOKEN"] * 3
    assert not any("cloudfront" in url for url, _ in web.asked)


def test_another_host_is_never_told_the_token(web):
    href = "https://elsewhere.example.org/vv.tif"
    web.answers[href] = (200, None)
    assert signed(href, resolve_catalog("asf")) == href
    assert web.asked == [(href, None)]


def test_the_address_that_takes_passwords_alone_is_replaced(web):
    assert signed(f"https://datapool.asf.alaska.edu/RTC/OPERA-S1/{NAME}_VV.tif", resolve_catalog("asf")) == FINAL


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({HREF: (401, None)}, "refuses the login"),
        ({HREF: (404, None)}, "HTTP 404"),
        ({HREF: (302, HREF)}, "redirects more than"),
    ],
)
def test_a_refusal_is_said_without_the_token(web, change, match):
    web.answers.update(change)
    with pytest.raises(AssetError, match=match) as caught:
        signed(HREF, resolve_catalog("asf"))
    assert "TOKEN" not in str(caught.value).replace(earthdata.TOKEN_VARIABLE, "")


def test_a_redirect_to_the_inside_is_refused(web):
    web.answers[HREF] = (302, "http://169.254.169.254/latest/meta-data")
    with pytest.raises(UnsafeHrefError):
        signed(HREF, resolve_catalog("asf"))


def test_without_a_token_it_is_said_where_to_get_one(web, monkeypatch):
    monkeypatch.delenv(earthdata.TOKEN_VARIABLE)
    with pytest.raises(AssetError, match=r"urs\.earthdata\.nasa\.gov"):
        signed(HREF, resolve_catalog("asf"))


def burst(number, second, *, bounds, platform="S1A"):
    name = (
        f"OPERA_L2_RTC-S1_T035-07325{number}-IW{number}_20240113T0208{second:02d}Z_20240113T113128Z_{platform}_30_v1.0"
    )
    start, end = (f"2024-01-13T02:08:{value:02d}.000Z" for value in (second, second + 3))
    return {
        "type": "Feature",
        "id": name,
        "collection": "OPERA_L2_RTC-S1_V1_1",
        "geometry": json.loads(json.dumps(box(*bounds).__geo_interface__)),
        "bbox": list(bounds),
        "properties": {"datetime": start, "start_datetime": start, "end_datetime": end},
        "assets": {
            key: {"href": f"https://cumulus.asf.earthdatacloud.nasa.gov/{name}_{key}.tif"}
            for key in ("0_VV", "0_VH", "0_mask")
        },
    }


def test_bursts_of_opera_are_slices_of_one_pass():
    """Layout of CMR's STAC: assets 0_VV and 0_VH; platform and relative orbit in the name, direction nowhere."""
    raw = [burst(n, 16 + n, bounds=(-116 + n * 0.8, 33, -115.1 + n * 0.8, 33.3)) for n in (1, 2, 3)]
    policy = AccessPolicy(origin=("cmr.earthdata.nasa.gov", 443))
    items = [parse_item(one, "rtc", PROFILES["asf"], policy)[0] for one in raw]
    (one,), notes = acquisitions_of(items, ProductType.RTC, box(-115, 33.1, -114, 33.2))
    assert notes == []
    assert (one.platform, one.relative_orbit, one.orbit_direction) == ("S1A", 35, OrbitDirection.ASCENDING)
    assert (one.polarisations, len(one.slices)) == (("vv", "vh"), 3)
    assert one.make == "RTC of OPERA_L2_RTC-S1_V1_1"


@pytest.mark.parametrize(
    ("platform", "moment", "expected"),
    [
        # Real products, as their annotations say: S1A and S1B; the absolute orbit in the names of S1C and S1D.
        ("S1A", "2020-07-08T18:26:43", (45, "ascending")),
        ("S1A", "2022-01-04T17:05:58", (117, "ascending")),
        ("S1B", "2021-12-23T05:11:22", (22, "descending")),
        ("S1C", "2025-12-01T04:09:56", ((5253 - 172) % 175 + 1, "ascending")),
        ("S1C", "2025-04-12T08:31:59", ((1857 - 172) % 175 + 1, "ascending")),
        ("S1C", "2025-11-18T05:26:05", ((5064 - 172) % 175 + 1, "descending")),
        ("S1D", "2026-07-17T05:23:24", ((3709 - 42) % 175 + 1, "descending")),
        ("S1D", "2026-08-16T12:21:41", ((4151 - 42) % 175 + 1, "ascending")),
    ],
)
def test_the_orbit_of_a_moment(platform, moment, expected):
    orbit, direction = orbit_at(platform, datetime.fromisoformat(moment).replace(tzinfo=timezone.utc))
    assert (orbit, direction.value) == expected


def test_the_orbit_of_a_moment_is_not_made_up():
    moment = datetime(2026, 7, 1, 5, tzinfo=timezone.utc)
    assert orbit_at("S1C", moment) is None
    assert orbit_at("S2A", moment) is None
