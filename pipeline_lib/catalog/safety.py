"""Hrefs and identifiers from a catalogue are hostile input until they have passed here.

Whoever can write an item could otherwise make this machine read its own files, its cloud provider's metadata service
or a neighbour on the private network, and could leave the workspace by a path in an identifier.
"""

import ipaddress
import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from pipeline_lib.errors import CatalogError
from pipeline_lib.model import CatalogReference

ALLOWED_HOSTS_VARIABLE = "OVERBANK_ALLOWED_HOSTS"
"""Comma-separated hosts (``host`` or ``host:port``) on private networks that assets may come from."""
FILE_ROOTS_VARIABLE = "OVERBANK_FILE_ROOTS"
"""Folders, separated as in PATH, from which file hrefs may be read. None unless set."""

MAX_HREF = 4096
MAX_ID = 200

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+=@-]*")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_NUMERIC_HOST = re.compile(r"(0x[0-9a-f]*|\d+)(\.(0x[0-9a-f]*|\d+))*\.?", re.IGNORECASE)
_LOCAL_SUFFIXES = (".localhost", ".local", ".internal", ".localdomain", ".home.arpa")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class UnsafeHrefError(CatalogError):
    """A catalogue gave an address or identifier that overbank refuses to follow."""


class HostLookupError(CatalogError):
    """A host has no address, now; it may have one later."""

    may_pass = True


@dataclass(frozen=True, kw_only=True)
class AccessPolicy:
    """From where assets of one catalogue may be read."""

    origin: tuple[str, int]
    """Host and port of the catalogue itself: named by the user, hence allowed wherever it is."""
    hosts: frozenset[str] = frozenset()
    """Further hosts (``host`` or ``host:port``) allowed on private networks."""
    file_roots: tuple[Path, ...] = ()
    """Folders that file hrefs may lie in."""

    def names(self, host: str, port: int) -> bool:
        """Whether the user named this host, so that its address is not questioned."""
        return (host, port) == self.origin or host in self.hosts or f"{host}:{port}" in self.hosts


def policy_of(catalog: CatalogReference) -> AccessPolicy:
    """The policy for a catalogue: its own origin, and what the environment allows beyond public hosts."""
    hosts = os.environ.get(ALLOWED_HOSTS_VARIABLE, "")
    roots = [root for root in os.environ.get(FILE_ROOTS_VARIABLE, "").split(os.pathsep) if root]
    if catalog.profile == "folder":  # a person named it
        roots.append(unquote(urlsplit(catalog.url).path))
    return AccessPolicy(
        origin=_origin(catalog.url),
        hosts=frozenset(host.strip().lower() for host in hosts.split(",") if host.strip()),
        file_roots=tuple(Path(root).resolve() for root in roots),
    )


def check_item_id(value: object) -> str:
    """An identifier that can be part of a file name and of a URL, returned unchanged.

    Raises:
        UnsafeHrefError: not a string, empty, too long, or with characters that could leave a folder.
    """
    if not isinstance(value, str) or not value:
        raise UnsafeHrefError(f"The catalogue gave an item without a usable id ({_short(value)}).")
    if len(value) > MAX_ID or not _ID.fullmatch(value) or ".." in value:
        raise UnsafeHrefError(
            f"The catalogue gave the item id {_short(value)}; expected at most {MAX_ID} letters, digits and ._:+=@-, "
            "without '..'."
        )
    return value


def check_href(href: object, policy: AccessPolicy) -> str:
    """An href that may be opened: public http(s), s3, or what the user allowed; returned unchanged.

    Only what the text says is checked; `check_addresses` looks the host up.

    Raises:
        UnsafeHrefError: anything else, with the reason.
    """
    if not isinstance(href, str) or not href or len(href) > MAX_HREF:
        raise UnsafeHrefError(
            f"The catalogue gave the address {_short(href)}; expected a URL of at most {MAX_HREF} characters."
        )
    if any(ord(letter) < 33 or ord(letter) == 127 for letter in href) or "\\" in href:
        raise UnsafeHrefError(f"The catalogue gave the address {_short(href)} with spaces or control characters in it.")
    if "/vsi" in unquote(href).lower():
        raise UnsafeHrefError(f"The catalogue gave the address {_short(href)}, a virtual file system path; refused.")
    try:
        parts = urlsplit(href)
        port = parts.port
    except ValueError as error:
        raise UnsafeHrefError(
            f"The catalogue gave the address {_short(href)}, which is not a URL ({error})."
        ) from error
    if parts.scheme in _DEFAULT_PORTS:
        _check_host(href, parts.hostname or "", port or _DEFAULT_PORTS[parts.scheme], parts.username, policy)
    elif parts.scheme == "s3":
        _check_bucket(href, parts.netloc, parts.path)
    elif parts.scheme in {"file", ""}:
        _check_file(href, parts.path, parts.netloc, policy)
    else:
        raise UnsafeHrefError(f"The catalogue gave the address {_short(href)}; only http, https and s3 are read.")
    return href


def check_addresses(url: str, policy: AccessPolicy) -> None:
    """Look the host of an http(s) URL up and refuse one that leads to a private or local address.

    Raises:
        UnsafeHrefError: it does.
        HostLookupError: the host has no address, and no proxy that would look it up.
    """
    parts = urlsplit(url)
    host, port = (parts.hostname or "").lower(), parts.port or _DEFAULT_PORTS.get(parts.scheme, 443)
    if policy.names(host, port):
        return
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except OSError as error:
        if getproxies().get(parts.scheme) and not proxy_bypass(host):
            return
        raise HostLookupError(f"The host {host} cannot be found ({error}); check the name and the network.") from error
    for address in found:
        if not _is_public(str(address)):
            raise UnsafeHrefError(f"The host {host} leads to {address}, which is not a public address; refused.")


def _check_host(href: str, host: str, port: int, user: str | None, policy: AccessPolicy) -> None:
    host = host.lower().rstrip(".")
    if user is not None:
        raise UnsafeHrefError("The catalogue gave an address with a user name in it; refused.")
    if not host:
        raise UnsafeHrefError(f"The catalogue gave the address {_short(href)} without a host.")
    if policy.names(host, port):
        return
    local = host == "localhost" or host.endswith(_LOCAL_SUFFIXES) or "." not in host.strip("[]").replace(":", ".")
    literal = ":" in host or _NUMERIC_HOST.fullmatch(host)
    if local or (literal and not _is_public(host)):
        raise UnsafeHrefError(
            f"The catalogue gave the address {_short(href)}, which is not a public one; refused. "
            f"If it is meant, name its host in {ALLOWED_HOSTS_VARIABLE}."
        )


def _check_bucket(href: str, bucket: str, path: str) -> None:
    if not _BUCKET.fullmatch(bucket) or ".." in unquote(path).split("/"):
        raise UnsafeHrefError(f"The catalogue gave the address {_short(href)}, which is not a plain s3://bucket/key.")


def _check_file(href: str, path: str, host: str, policy: AccessPolicy) -> None:
    place = Path(unquote(path))
    inside = place.is_absolute() and any(place.resolve().is_relative_to(root) for root in policy.file_roots)
    if host not in {"", "localhost"} or not inside:
        raise UnsafeHrefError(
            f"The catalogue gave the file address {_short(href)}; files are read only from folders named in "
            f"{FILE_ROOTS_VARIABLE}."
        )


def _is_public(host: str) -> bool:
    """Whether a literal address is a public one; spellings that libraries read differently (octal, hex) are not."""
    text = host.strip("[]").split("%")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    return _is_public(str(mapped)) if mapped else address.is_global and not address.is_multicast


def _origin(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return ((parts.hostname or "").lower(), parts.port or _DEFAULT_PORTS.get(parts.scheme, 443))


def _short(value: object) -> str:
    """A value as an error may show it: no query (it may hold a signature), no control characters, not long."""
    text = repr(value.split("?", 1)[0] if isinstance(value, str) else value)
    return text if len(text) <= 120 else text[:100] + "...'"
