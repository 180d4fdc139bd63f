"""Reading behind a login of NASA Earthdata: an address that redirects, by way of the login, to a signed one.

References:
    https://urs.earthdata.nasa.gov/documentation/for_users/user_token (tokens, 60 days)
"""

import os
import time
from urllib.parse import urljoin, urlsplit

import requests

from pipeline_lib.catalog.safety import AccessPolicy, check_addresses, check_href
from pipeline_lib.errors import AssetError, UnreachableAssetError

TOKEN_VARIABLE = "EARTHDATA_TOKEN"  # noqa: S105 - the name of a variable
MAX_REDIRECTS = 8
KEPT_S = 600.0
"""How long a granted address is used again; the archive's are valid for an hour."""
_TIMEOUT_S = (10.0, 30.0)
_LOGIN_HOSTS = ("urs.earthdata.nasa.gov", ".earthdatacloud.nasa.gov", ".asf.alaska.edu")
"""Hosts, or endings of them, that are told the token; nobody else is."""
_DATAPOOL = "https://datapool.asf.alaska.edu/RTC/OPERA-S1/"
_CUMULUS = "https://cumulus.asf.earthdatacloud.nasa.gov/OPERA/OPERA_L2_RTC-S1/"
_granted: dict[str, tuple[float, str]] = {}


def granted(href: str, policy: AccessPolicy) -> str:
    """The signed address of an asset, which GDAL reads without a login.

    Raises:
        UnsafeHrefError: a redirect leads where nothing may be read.
        AssetError: no token, the login refuses it, or the archive does not answer.
    """
    known = _granted.get(href)
    if known and time.monotonic() - known[0] < KEPT_S:
        return known[1]
    token = os.environ.get(TOKEN_VARIABLE, "")
    if not token:
        raise AssetError(
            f"{href} needs a login of NASA Earthdata: put a token of https://urs.earthdata.nasa.gov into "
            f"{TOKEN_VARIABLE}."
        )
    found = _followed(_by_cumulus(href), token, policy)
    _granted[href] = (time.monotonic(), found)
    return found


def _by_cumulus(href: str) -> str:
    """The same file at the address that takes tokens: the older one, in items of before 2025, takes passwords alone."""
    if not href.startswith(_DATAPOOL):
        return href
    name = href.removeprefix(_DATAPOOL)
    return f"{_CUMULUS}{name.rpartition('_')[0]}/{name}"


def _followed(href: str, token: str, policy: AccessPolicy) -> str:
    """Where an address ends, each hop checked; the token goes to the archive and its login alone."""
    here = href
    with requests.Session() as session:
        session.trust_env = True
        for _ in range(MAX_REDIRECTS):
            check_addresses(check_href(here, policy), policy)
            host = (urlsplit(here).hostname or "").lower()
            own = urlsplit(here).scheme == "https" and host.endswith(_LOGIN_HOSTS)
            if not own and here != href:
                return here
            try:
                headers = {"Range": "bytes=0-0"} | ({"Authorization": f"Bearer {token}"} if own else {})
                with session.get(
                    here, headers=headers, timeout=_TIMEOUT_S, allow_redirects=False, stream=True
                ) as answer:
                    if answer.is_redirect:
                        here = urljoin(here, answer.headers["Location"])
                        continue
                    code = answer.status_code
            except requests.RequestException as error:
                raise UnreachableAssetError(
                    f"{href} cannot be reached ({type(error).__name__}); try again later."
                ) from None
            if code in {401, 403}:
                raise AssetError(
                    f"{href}: NASA Earthdata refuses the login (HTTP {code}). The token in {TOKEN_VARIABLE} may have "
                    "run out, or its owner has not accepted the archive's terms once in a browser."
                )
            if code >= 400:
                kind = UnreachableAssetError if code == 429 or code >= 500 else AssetError
                raise kind(f"{href}: its server answers HTTP {code}.")
            return here
    raise AssetError(f"{href} redirects more than {MAX_REDIRECTS} times.")
