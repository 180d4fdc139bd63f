"""HTTP to a catalogue: bounded in time and size, patient with a busy server, deaf to unsafe redirects."""

import json
import logging
import random
import time
from collections.abc import Callable
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from pystac_client.stac_api_io import StacApiIO

from pipeline_lib.catalog.certificates import untrusted
from pipeline_lib.catalog.safety import AccessPolicy, HostLookupError, check_addresses, check_href
from pipeline_lib.errors import CatalogError
from pipeline_lib.model.instant import as_utc
from pipeline_lib.options.search import SearchOptions

logger = logging.getLogger(__name__)

MAX_ANSWER_BYTES = 128 * 1024 * 1024
MAX_REDIRECTS = 5
_PATIENCE = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that a later attempt may turn into a good one."""


class NotFoundError(CatalogError):
    """The catalogue answers that there is no such thing."""


class _TryAgainError(Exception):
    """An attempt that failed in a way that may pass; ``wait_s`` where the server named a time."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.wait_s = reason, wait_s


class CatalogIO(StacApiIO):
    """pystac-client's transport with retries that honour Retry-After, a total time limit and checked redirects."""

    def __init__(
        self,
        policy: AccessPolicy,
        options: SearchOptions,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the total time limit now.

        Args:
            policy: which addresses may be followed.
            options: time limits and attempts.
            sleep: waits so many seconds; tests replace it.
            clock: monotonic seconds; tests replace it.
        """
        super().__init__(max_retries=None)
        self._limits_s = (min(10.0, options.request_timeout_s), options.request_timeout_s)
        """Not `self.timeout`: pystac-client sets that to None when a catalogue is opened."""
        self._policy, self._options, self._sleep, self._clock = policy, options, sleep, clock
        self._deadline = clock() + options.total_time_s
        self.retries: list[str] = []
        """Why attempts had to be repeated, in order."""

    def request(
        self,
        href: str,
        method: str | None = None,
        headers: dict[str, str] | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> str:
        """Send a request and return the JSON text of the answer.

        Raises:
            NotFoundError: 404.
            CatalogError: the catalogue refuses, stays down, or the total time is over.
        """
        verb, reason = (method or "GET").upper(), ""
        for attempt in range(self._options.attempts):
            try:
                return self._attempt(href, verb, headers, parameters)
            except _TryAgainError as failed:
                reason = failed.reason
                self.retries.append(reason)
                logger.info("Catalogue attempt %d failed: %s", attempt + 1, reason)
                if attempt + 1 < self._options.attempts:
                    self._wait(attempt, failed.reason, failed.wait_s)
        raise CatalogError(
            f"The catalogue {_host(href)} does not answer properly: {reason}, {self._options.attempts} attempts. "
            "Try again later, or choose another catalogue."
        )

    def pause(self, attempt: int, reason: str) -> None:
        """Note that a whole search is repeated, and wait as between two attempts.

        Raises:
            CatalogError: the total time is over.
        """
        self.retries.append(reason)
        self._wait(attempt, reason, None)

    def _wait(self, attempt: int, reason: str, asked_s: float | None) -> None:
        """Sleep as long as the server asks, else exponentially longer with full jitter; never beyond the limit."""
        ceiling = min(self._options.max_backoff_s, self._options.backoff_s * 2**attempt)
        wait = random.uniform(ceiling / 2, ceiling) if asked_s is None else asked_s  # noqa: S311 - no secret
        if self._clock() + wait > self._deadline:
            raise CatalogError(
                f"The catalogue is not ready ({reason}) and a further wait of {wait:.0f} s would exceed the "
                f"total time of {self._options.total_time_s:.0f} s. Try again later, or give more time (total_time_s)."
            )
        self._sleep(wait)

    def _attempt(self, href: str, verb: str, headers: dict[str, str] | None, parameters: dict[str, Any] | None) -> str:
        """One attempt, redirects followed and checked one by one.

        Method and body are kept whatever the redirect's status: a search that turned into a GET without parameters
        would answer with everything the catalogue has.
        """
        here = href
        for _ in range(MAX_REDIRECTS + 1):
            check_href(here, self._policy)
            try:
                check_addresses(here, self._policy)
                with self._send(here, verb, headers, parameters) as answer:
                    if answer.is_redirect:
                        here = urljoin(here, answer.headers["Location"])
                        continue
                    return self._read(answer)
            except HostLookupError as error:
                raise _TryAgainError("its host cannot be found") from error
            except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError, OSError) as error:
                reason = untrusted(error, _host(here))
                if reason is not None:
                    raise CatalogError(f"The catalogue {_host(here)} cannot be asked: {reason}.") from None
                if not isinstance(error, (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError)):
                    raise
                raise _TryAgainError(_reason_of(error)) from None
            except requests.RequestException as error:
                raise CatalogError(f"The catalogue {_host(here)} cannot be asked ({type(error).__name__}).") from None
        raise CatalogError(f"The catalogue {_host(href)} redirects more than {MAX_REDIRECTS} times.")

    def _send(
        self, href: str, verb: str, headers: dict[str, str] | None, parameters: dict[str, Any] | None
    ) -> requests.Response:
        body = {"json": parameters} if verb in {"POST", "PUT", "PATCH"} else {"params": parameters or {}}
        request = requests.Request(verb, href, headers={"Accept": "application/json", **(headers or {})}, **body)
        prepared = self.session.prepare_request(request)
        settings = self.session.merge_environment_settings(prepared.url or href, {}, True, True, None)  # noqa: FBT003
        self._check_time()
        return self.session.send(prepared, timeout=self._limits_s, allow_redirects=False, **settings)

    def _read(self, answer: requests.Response) -> str:
        """Status, size, time and JSON of an answer, checked."""
        status = answer.status_code
        if status in _PATIENCE:
            raise _TryAgainError(f"HTTP {status} {answer.reason or ''}".strip(), _retry_after(answer))
        if status == 404:
            raise NotFoundError(f"The catalogue {_host(answer.url)} has nothing at {urlsplit(answer.url).path}.")
        if not 200 <= status < 300:
            detail = " ".join(answer.raw.read(300, decode_content=True).decode("utf-8", "replace").split())
            raise CatalogError(f"The catalogue {_host(answer.url)} refuses: HTTP {status} {detail[:200]}".rstrip())
        content = bytearray()
        while piece := answer.raw.read1(65536, decode_content=True):  # what is there, so that a drip is noticed
            content += piece
            self._check_time()
            if len(content) > MAX_ANSWER_BYTES:
                raise CatalogError(
                    f"The catalogue {_host(answer.url)} sent more than {MAX_ANSWER_BYTES >> 20} MiB at once."
                )
        try:
            text = content.decode("utf-8")
            json.loads(text)
        except ValueError as error:
            raise _TryAgainError(f"an answer of {len(content)} bytes that is not JSON") from error
        return text

    def _check_time(self) -> None:
        if self._clock() > self._deadline:
            raise CatalogError(
                f"The catalogue did not finish within {self._options.total_time_s:.0f} s (total_time_s). "
                "Try again later, give more time, or search a smaller area or period."
            )


def _retry_after(answer: requests.Response) -> float | None:
    """Seconds of a Retry-After header, given as a number or as a date; None without a usable one."""
    given = answer.headers.get("Retry-After", "").strip()
    if given.isdigit():
        return float(given)
    try:
        until = parsedate_to_datetime(given)
    except ValueError:
        return None
    return max(0.0, (as_utc(until) - datetime.now(timezone.utc)).total_seconds())


def _reason_of(error: Exception) -> str:
    if isinstance(error, (requests.Timeout, urllib3.exceptions.TimeoutError)):
        return "no answer in time"
    return "the answer broke off" if isinstance(error, urllib3.exceptions.HTTPError) else "no connection"


def _host(url: str) -> str:
    return urlsplit(url).netloc or url
