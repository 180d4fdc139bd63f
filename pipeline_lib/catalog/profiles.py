"""What differs between catalogues: collections, asset keys, signing, access, the offset of reflectances."""

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import Field

from pipeline_lib.errors import InputError, UnknownNameError
from pipeline_lib.model import CatalogItem, CatalogReference, Record

SENTINEL2_BANDS = {
    "B01": "coastal",
    "B02": "blue",
    "B03": "green",
    "B04": "red",
    "B05": "rededge1",
    "B06": "rededge2",
    "B07": "rededge3",
    "B08": "nir",
    "B8A": "nir08",
    "B09": "nir09",
    "B11": "swir16",
    "B12": "swir22",
    "SCL": "scl",
}
"""Sentinel-2 band to the common name that Earth Search and stactools use as asset key."""

_NATIVE_M = {"B01": 60, "B09": 60} | dict.fromkeys(("B02", "B03", "B04", "B08"), 10)
"""Native pixel of a band where it is not 20 m."""


FOLDER = "folder"
"""Profile of a folder of scenes on this machine."""


class Signing(StrEnum):
    """How an href becomes readable."""

    NONE = "none"
    PLANETARY_COMPUTER = "planetary-computer"
    """A short-lived shared access signature, asked for just before reading."""
    EARTHDATA = "earthdata"
    """A login of NASA Earthdata, which redirects to a signed address."""


class ReflectanceOffset(StrEnum):
    """When 1000 must be subtracted from a Sentinel-2 digital number before dividing by 10000.

    Since processing baseline 04.00 (2022-01-25) the archive adds 1000. No declaration of a catalogue is trusted:
    Earth Search declares the offset wrongly in many items (element84/earth-search #9, #66, #71).
    """

    BASELINE = "baseline"
    """Where ``s2:processing_baseline`` is 04.00 or later."""
    UNLESS_APPLIED = "unless-applied"
    """As `BASELINE`, unless ``earthsearch:boa_offset_applied`` is true."""


class CatalogProfile(Record):
    """One catalogue, or one kind of catalogue. Collections are tried in order; the first that exists is used."""

    name: str
    title: str
    url: str
    """Root of the STAC API; empty for ``generic``."""
    rtc: tuple[str, ...] = ()
    grd: tuple[str, ...] = ()
    optical: tuple[str, ...] = ()
    dem: tuple[str, ...] = ()
    water_occurrence: tuple[str, ...] = ()
    asset_keys: dict[str, tuple[str, ...]]
    """Our key to the keys it may have in the catalogue, best first."""
    signing: Signing = Signing.NONE
    gdal: dict[str, str] = Field(default_factory=dict)
    """GDAL settings that reading its assets needs; never a secret."""
    dem_is_whole: bool = False
    """Whether its elevation is the whole of Copernicus GLO-30, so that a tile that is not there is open sea."""
    credentials: tuple[str, ...] = ()
    """Environment variables that reading its Sentinel-1 assets needs."""
    reflectance_offset: ReflectanceOffset = ReflectanceOffset.BASELINE
    trusted_hosts: tuple[str, ...] = ()
    """Host suffixes of its asset stores: known public hosts, not looked up again before reading."""

    def collections_of(self, role: str) -> tuple[str, ...]:
        """Collections for ``rtc``, ``grd``, ``optical``, ``dem`` or ``water_occurrence``."""
        names: tuple[str, ...] = getattr(self, role)
        return names


def _asset_keys() -> dict[str, tuple[str, ...]]:
    """Every spelling met so far, for all catalogues: keys of one never mean something else in another."""
    radar = {
        pol: (pol, f"{pol}-rtc", pol.upper(), f"gamma0_{pol}", f"iw-{pol}", f"0_{pol.upper()}")
        for pol in ("vv", "vh", "hh", "hv")
    }
    optical = {
        band: (band, f"{band}_{_NATIVE_M.get(band, 20)}m", common, f"{common}_{_NATIVE_M.get(band, 20)}m")
        for band, common in SENTINEL2_BANDS.items()
    }
    return {
        **radar,
        **optical,
        "data": ("data", "elevation", "dem"),
        "occurrence": ("occurrence",),
        "seasonality": ("seasonality",),
        "extent": ("extent",),
    }


_KEYS = _asset_keys()

PROFILES: dict[str, CatalogProfile] = {
    profile.name: profile
    for profile in (
        CatalogProfile(
            name="planetary-computer",
            title="Microsoft Planetary Computer",
            url="https://planetarycomputer.microsoft.com/api/stac/v1",
            rtc=("sentinel-1-rtc",),
            grd=("sentinel-1-grd",),
            optical=("sentinel-2-l2a",),
            dem=("cop-dem-glo-30",),
            water_occurrence=("jrc-gsw",),
            asset_keys=_KEYS,
            dem_is_whole=True,
            signing=Signing.PLANETARY_COMPUTER,
            credentials=("PC_SDK_SUBSCRIPTION_KEY",),
            trusted_hosts=(".blob.core.windows.net",),
        ),
        CatalogProfile(
            name="earth-search",
            title="Element 84 Earth Search",
            url="https://earth-search.aws.element84.com/v1",
            grd=("sentinel-1-grd",),
            optical=("sentinel-2-c1-l2a", "sentinel-2-l2a"),
            dem=("cop-dem-glo-30",),
            asset_keys=_KEYS,
            dem_is_whole=True,
            gdal={"AWS_REQUEST_PAYER": "requester", "AWS_REGION": "eu-central-1"},
            credentials=("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
            reflectance_offset=ReflectanceOffset.UNLESS_APPLIED,
            trusted_hosts=(".amazonaws.com",),
        ),
        CatalogProfile(
            name="cdse",
            title="Copernicus Data Space Ecosystem",
            url="https://stac.dataspace.copernicus.eu/v1",
            grd=("sentinel-1-grd",),
            optical=("sentinel-2-l2a",),
            dem=("cop-dem-glo-30-dged-cog",),
            asset_keys=_KEYS,
            dem_is_whole=True,
            gdal={
                "AWS_S3_ENDPOINT": "eodata.dataspace.copernicus.eu",
                "AWS_VIRTUAL_HOSTING": "FALSE",
                "AWS_HTTPS": "YES",
            },
            credentials=("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
            trusted_hosts=(".dataspace.copernicus.eu",),
        ),
        CatalogProfile(
            name="asf",
            title="Alaska Satellite Facility, OPERA RTC-S1",
            url="https://cmr.earthdata.nasa.gov/stac/ASF",
            rtc=("OPERA_L2_RTC-S1_V1_1", "OPERA_L2_RTC-S1_V1"),
            asset_keys=_KEYS,
            signing=Signing.EARTHDATA,
            credentials=("EARTHDATA_TOKEN",),
            trusted_hosts=(".earthdatacloud.nasa.gov", ".asf.alaska.edu"),
        ),
        CatalogProfile(
            name=FOLDER,
            title="a folder of scenes on this machine",
            url="",
            asset_keys=_KEYS,
        ),
        CatalogProfile(
            name="generic",
            title="any other STAC API",
            url="",
            rtc=("sentinel-1-rtc", "sentinel1-rtc"),
            grd=("sentinel-1-grd", "sentinel1-grd", "sentinel-1-l1-grd"),
            optical=("sentinel-2-l2a", "sentinel-2-c1-l2a", "sentinel2-l2a"),
            dem=("cop-dem-glo-30", "cop-dem-glo-30-dged-cog"),
            water_occurrence=("jrc-gsw",),
            asset_keys=_KEYS,
            reflectance_offset=ReflectanceOffset.UNLESS_APPLIED,
        ),
    )
}


def folder_reference(folder: Path) -> CatalogReference:
    """A folder on this machine as where items come from: its files, and no others, may be read."""
    return CatalogReference(profile=FOLDER, url=folder.resolve().as_uri())


def resolve_catalog(name_or_url: str) -> CatalogReference:
    """Name of a profile, the URL of a STAC API, or a folder of scenes, as a reference that a plan can record.

    Raises:
        UnknownNameError: neither a known name nor an http(s) URL.
        InputError: a URL that cannot be one of a STAC API (no host, credentials in it).
    """
    text = name_or_url.strip()
    if text.startswith("file:") or (text and Path(text).is_dir()):
        return folder_reference(Path(unquote(urlsplit(text).path) if text.startswith("file:") else text))
    if text in PROFILES and PROFILES[text].url:
        return CatalogReference(profile=text, url=PROFILES[text].url)
    if "@" in text.partition("://")[2].partition("/")[0] or "@" in text.partition("/")[0]:
        raise InputError(
            "The catalogue URL holds a user name or password, which would end up in plans and logs; "
            "give it without and put credentials in the environment."
        )
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"}:
        named = tuple(name for name, profile in PROFILES.items() if profile.url)
        raise UnknownNameError(
            "catalogue", name_or_url, (*named, "https://... (the root of any STAC API)", "a folder of scenes")
        )
    if not parts.hostname:
        raise InputError(f"The catalogue URL {text!r} has no host; expected the root of a STAC API, https://host/path.")
    if parts.query or parts.fragment:
        raise InputError(
            "The catalogue URL holds a query, which may be a key and would end up in plans and logs; give the root of "
            "the API alone, https://host/path."
        )
    url = text.rstrip("/")
    known = (profile for profile in PROFILES.values() if profile.url and url.startswith(profile.url))
    profile = next(known, PROFILES["generic"])
    return CatalogReference(profile=profile.name, url=url)


def is_whole_dem(tiles: Iterable[CatalogItem]) -> bool:
    """Whether tiles come from catalogues that hold the whole elevation model; False where there is no tile."""
    catalogs = {tile.catalog for tile in tiles}
    return bool(catalogs) and all(one is not None and profile_of(one).dem_is_whole for one in catalogs)


def catalogs_of(names: str) -> tuple[CatalogReference, ...]:
    """Catalogues in the order in which they are preferred, as people name them: separated by commas.

    Raises:
        UnknownNameError: one of them is neither a known name nor an http(s) URL.
        InputError: none is named, or a URL cannot be one of a STAC API.
    """
    found = [resolve_catalog(name) for name in names.split(",") if name.strip()]
    if not found:
        raise InputError(
            "No catalogue is named; expected a name or the URL of a STAC API, several separated by commas."
        )
    return tuple(dict.fromkeys(found))


def profile_of(catalog: CatalogReference) -> CatalogProfile:
    """The profile that a reference names.

    Raises:
        UnknownNameError: a plan of another version names a profile that this one does not know.
    """
    if catalog.profile not in PROFILES:
        raise UnknownNameError("catalogue profile", catalog.profile, tuple(PROFILES))
    return PROFILES[catalog.profile]
