"""From an href in a plan to one that GDAL can open: checked, its redirects followed under the same rules, signed."""

import os
from urllib.parse import urljoin, urlsplit

import requests

from pipeline_lib.catalog.profiles import Signing, profile_of
from pipeline_lib.catalog.safety import AccessPolicy, UnsafeHrefError, check_addresses, check_href, policy_of
from pipeline_lib.errors import AssetError
from pipeline_lib.model import CatalogReference

MAX_REDIRECTS = 5
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
        return href
    if profile.signing is Signing.PLANETARY_COMPUTER:
        return _signed_by_planetary_computer(href)
    host = (urlsplit(href).hostname or "").lower()
    return href if host.endswith(profile.trusted_hosts) else _final_href(href, policy)


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
    except (requests.RequestException, ValueError, KeyError) as error:
        raise AssetError(
            f"The Planetary Computer did not sign {href}: {type(error).__name__}. Check the network, or set "
            "PC_SDK_SUBSCRIPTION_KEY if it limits requests without a key."
        ) from error


def _final_href(href: str, policy: AccessPolicy) -> str:
    """Where an http(s) href ends after its redirects, each hop checked.

    GDAL follows redirects without asking, so they are followed here first and GDAL is given the last address.
    """
    here = href
    with requests.Session() as session:
        for _ in range(MAX_REDIRECTS):
            check_addresses(check_href(here, policy), policy)
            try:
                answer = session.get(
                    here, headers={"Range": "bytes=0-0"}, timeout=_TIMEOUT_S, allow_redirects=False, stream=True
                )
                answer.close()
            except requests.RequestException as error:
                raise AssetError(f"The asset {href} cannot be reached ({type(error).__name__}).") from error
            if not answer.is_redirect:
                return here
            here = urljoin(here, answer.headers["Location"])
    raise UnsafeHrefError(f"The asset {href} redirects more than {MAX_REDIRECTS} times; refused.")
