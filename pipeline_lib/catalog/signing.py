"""From an href in a plan to one that GDAL can open: checked, its redirects followed under the same rules, signed."""

import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

import requests
import urllib3

from pipeline_lib.catalog.certificates import untrusted
from pipeline_lib.catalog.earthdata import granted
from pipeline_lib.catalog.profiles import Signing, profile_of
from pipeline_lib.catalog.safety import AccessPolicy, UnsafeHrefError, check_addresses, check_href, policy_of
from pipeline_lib.errors import AssetError, UnreachableAssetError, may_pass
from pipeline_lib.model import CatalogItem, CatalogReference

MAX_REDIRECTS = 5
ATTEMPTS = 3
PAUSE_S = 0.5
_HEAD = 1024
_DESCRIPTIONS = (
    b"<VRTDataset",
    b"<GDAL_WMS",
    b"<WCS_GDAL",
    b"<GDALWMTS",
    b"<OGRVRT",
    b"<GDALTileIndexDataset",
    b'"STACIT"',
)
"""How files begin that make GDAL open other files or addresses, which nobody has checked."""
_TIMEOUT_S = (10.0, 30.0)


def signed(href: str, catalog: CatalogReference) -> str:
    """An unsigned href as it must be opened now; signatures are short-lived, so sign just before reading.

    Raises:
        UnsafeHrefError: the href, or where it redirects to, is not allowed.
        AssetError: the store that should sign it does not answer.
    """
    policy, profile = policy_of(catalog), profile_of(catalog)
    check_href(href, policy)
    if not href.startswith(("http://", "https://")):
        return local_path(href) if href.startswith("file:") else href
    if profile.signing is Signing.PLANETARY_COMPUTER:
        return _signed_by_planetary_computer(href)
    if profile.signing is Signing.EARTHDATA:
        return granted(href, policy)
    host = (urlsplit(href).hostname or "").lower()
    return href if host.endswith(profile.trusted_hosts) else _final_href(href, policy)


def local_path(href: str) -> str:
    """A ``file://`` address as GDAL opens it; what lies behind the name of a zip is a member of it."""
    path = unquote(urlsplit(href).path)
    archive, found, member = path.partition(".zip/")
    return f"/vsizip/{{{archive}.zip}}/{member}" if found and Path(f"{archive}.zip").is_file() else path


def access_of(
    item: CatalogItem, sign: Callable[[str], str], gdal: Mapping[str, str | int] | None
) -> tuple[Callable[[str], str], Mapping[str, str | int]]:
    """How the assets of an item are opened: as the catalogue that it names wants, else by what is given.

    Args:
        item: slices of one pass, and tiles of one layer, may come from several catalogues.
        sign: makes an href readable, of an item that names no catalogue.
        gdal: access settings of an item that names no catalogue.
    """
    if item.catalog is None:
        return sign, gdal or {}
    return partial(signed, catalog=item.catalog), gdal_environment(item.catalog)


def gdal_environment(catalog: CatalogReference) -> dict[str, str]:
    """GDAL settings for reading assets of a catalogue, for `rasterio.Env`; holds no secret.

    Time limits and retries bound a store that drips or stalls; directory listings and side-car files are never asked
    for; a netrc file is not read.
    """
    settings = {
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "GDAL_HTTP_CONNECTTIMEOUT": "10",
        "GDAL_HTTP_TIMEOUT": "120",
        "GDAL_HTTP_LOW_SPEED_LIMIT": "1000",
        "GDAL_HTTP_LOW_SPEED_TIME": "30",
        "GDAL_HTTP_MAX_RETRY": "4",
        "GDAL_HTTP_RETRY_DELAY": "1",
        "GDAL_HTTP_NETRC": "NO",
        "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
        "GDAL_HTTP_MULTIPLEX": "YES",
        "VSI_CACHE": "TRUE",
    } | profile_of(catalog).gdal
    if settings.get("AWS_REQUEST_PAYER") is None and not os.environ.get("AWS_ACCESS_KEY_ID"):
        settings["AWS_NO_SIGN_REQUEST"] = "YES"
    return settings


def _signed_by_planetary_computer(href: str) -> str:
    import planetary_computer  # noqa: PLC0415 - reads its settings when imported

    try:
        return str(planetary_computer.sign_url(href))
    except (requests.RequestException, OSError, ValueError, KeyError) as error:
        if (reason := untrusted(error, "the Planetary Computer")) is not None:
            raise AssetError(f"The Planetary Computer did not sign {_shown(href)}: {reason}.") from None
        kind = UnreachableAssetError if _busy(error) else AssetError
        raise kind(
            f"The Planetary Computer did not sign {_shown(href)}: {type(error).__name__}. Check the network, or set "
            "PC_SDK_SUBSCRIPTION_KEY if it limits requests without a key."
        ) from None


def _final_href(href: str, policy: AccessPolicy) -> str:
    """Where an http(s) href ends after its redirects, each hop checked, and what it begins with checked as well.

    GDAL follows redirects without asking, so they are followed here first and GDAL is given the last address.
    """
    here = href
    with requests.Session() as session:
        for _ in range(MAX_REDIRECTS):
            check_addresses(check_href(here, policy), policy)
            onward, head = _asked(session, here)
            if onward is None:
                _check_kind(here, head)
                return here
            here = urljoin(here, onward)
    raise UnsafeHrefError(f"The asset {_shown(href)} redirects more than {MAX_REDIRECTS} times; refused.")


def _asked(session: requests.Session, href: str) -> tuple[str | None, bytes]:
    """Where an href redirects to, if it does, and else its first bytes; a broken connection is tried again."""
    for attempt in range(ATTEMPTS):
        try:
            with session.get(
                href,
                headers={"Range": f"bytes=0-{_HEAD - 1}", "Accept-Encoding": "identity"},
                timeout=_TIMEOUT_S,
                allow_redirects=False,
                stream=True,
            ) as answer:
                onward = answer.headers["Location"] if answer.is_redirect else None
                return onward, b"" if onward else answer.raw.read(_HEAD)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            if (reason := untrusted(error, urlsplit(href).netloc)) is not None:
                raise AssetError(f"The asset {_shown(href)} cannot be reached: {reason}.") from None
            if attempt + 1 == ATTEMPTS:
                raise UnreachableAssetError(
                    f"The asset {_shown(href)} cannot be reached ({type(error).__name__}, {ATTEMPTS} attempts); "
                    "try again later."
                ) from None
            time.sleep(PAUSE_S * 2**attempt)
    return None, b""


class Refusal(NamedTuple):
    """What a server says in place of a raster."""

    words: str
    may_pass: bool = False
    """Whether it says "later" and not "no"."""


def refusal(href: str) -> Refusal | None:
    """What the server of an http(s) address says in place of a raster.

    None where it gives a raster, or does not answer. GDAL calls an error page "not a supported file format": who has
    no valid credentials looks for a fault in the file.
    """
    if not href.startswith(("http://", "https://")):
        return None
    try:
        with requests.get(
            href, headers={"Range": "bytes=0-0"}, timeout=_TIMEOUT_S, allow_redirects=False, stream=True
        ) as answer:
            code, kind = answer.status_code, answer.headers.get("Content-Type", "")
            said = f"its server answers HTTP {code} {answer.reason or ''}".rstrip()
    except (requests.RequestException, OSError) as error:
        words = untrusted(error, urlsplit(href).netloc)
        return None if words is None else Refusal(words)
    if code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return Refusal(f"{said}: credentials or a signature are missing, or have run out (overbank doctor)")
    if code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return Refusal(f"the file is empty (HTTP {code})")
    if code >= HTTPStatus.BAD_REQUEST:
        return Refusal(said, _passing(code))
    page = Refusal("its server answers with a web page and not with a raster")
    return page if kind.startswith("text/html") else None


def _passing(code: int) -> bool:
    """Whether a status says "later" and not "no"."""
    return (
        code in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS} or code >= HTTPStatus.INTERNAL_SERVER_ERROR
    )


def _busy(error: Exception) -> bool:
    """Whether a request failed by the network or by a server that is busy or down."""
    answer = getattr(error, "response", None)
    return may_pass(error) if answer is None else _passing(answer.status_code)


def _check_kind(href: str, head: bytes) -> None:
    """Refuse a file that is a description of others, whatever its name says."""
    found = next((mark for mark in _DESCRIPTIONS if mark in head), None)
    if found is not None:
        raise UnsafeHrefError(
            f"The asset {_shown(href)} is no image but a description of others ({found.decode()}); refused, because "
            "what it names has not been checked."
        )


def _shown(href: str) -> str:
    """An href as a message may show it: a query may hold a signature."""
    return href.split("?", 1)[0]
