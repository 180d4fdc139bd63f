"""Faults of real archives on demand: by name, on chosen requests, so often as asked.

A `Faults` is a list of `Rule`s in front of the server. The first rule that fits a request breaks it; what was broken
is kept in `Faults.log`. What each fault does is in the `fault_*` modules beside this one.
"""

import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Receive, Scope, Send

from pipeline_lib.errors import UnknownNameError
from pipeline_lib.world.server import fault_assets, fault_pages, fault_transport
from pipeline_lib.world.server.fault_call import ACTIONS, Call, Fault

SEARCH = r"^/search$"
ASSETS = r"^/assets/"
MODULES = (fault_transport, fault_pages, fault_assets)
"""Importing them fills the register."""
_PLACES = {"search": SEARCH, "asset": ASSETS, "any": r""}


def fault_names(place: str | None = None) -> tuple[str, ...]:
    """Names of all faults, or of those made for ``search`` or ``asset`` requests, or for ``any``."""
    return tuple(name for name, fault in ACTIONS.items() if place in {None, fault.place})


def fault(name: str) -> Fault:
    """A fault by name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in ACTIONS:
        raise UnknownNameError("fault", name, tuple(ACTIONS))
    return ACTIONS[name]


@dataclass
class Rule:
    """One fault on some requests."""

    name: str
    """Name of the fault."""
    path: str | None = None
    """Regular expression that the URL path must contain; what the fault is made for where None."""
    times: int | None = 1
    """How many requests it breaks; None breaks all."""
    skip: int = 0
    """How many fitting requests pass unharmed first."""
    method: str | None = None
    """``GET``, ``POST`` or ``HEAD``; any where None."""
    body: str | None = None
    """Regular expression that the body of the request must contain, such as a collection's name."""
    seen: int = 0
    """Fitting requests so far."""
    done: int = 0
    """Requests broken so far."""

    def __post_init__(self) -> None:
        """Refuse an unknown name at once."""
        fault(self.name)

    def takes(self, method: str, path: str, body: bytes) -> bool:
        """Whether this request is to be broken; counts it."""
        pattern = self.path if self.path is not None else _PLACES[fault(self.name).place]
        fits = (
            (self.method is None or self.method == method)
            and re.search(pattern, path) is not None
            and (self.body is None or re.search(self.body.encode(), body) is not None)
        )
        if not fits:
            return False
        self.seen += 1
        if self.seen <= self.skip or (self.times is not None and self.done >= self.times):
            return False
        self.done += 1
        return True


@dataclass
class Faults:
    """Rules in order, and what they did. Thread-safe."""

    rules: list[Rule] = field(default_factory=list)
    log: list[tuple[str, str, str]] = field(default_factory=list)
    """Fault, method and path of each broken request."""
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of every request."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def set(self, rules: Iterable[Rule]) -> None:
        """Replace the rules and forget the log."""
        with self._lock:
            self.rules = list(rules)
            self.log.clear()
            self.requests.clear()

    def pick(self, method: str, path: str, body: bytes) -> Fault | None:
        """The fault for a request, or None to serve it well."""
        with self._lock:
            self.requests.append((method, path))
            rule = next((rule for rule in self.rules if rule.takes(method, path, body)), None)
            if rule is None:
                return None
            self.log.append((rule.name, method, path))
            return fault(rule.name)


class FaultInjector:
    """ASGI middleware that breaks what `Faults` picks."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        """Stand in front of ``app``."""
        self._app, self._faults = app, faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, well or broken."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = await _body_of(receive)
        picked = self._faults.pick(scope["method"], scope["path"], body)
        call = Call(self._app, scope, body, send)
        if picked is None:
            await call.forward()
        else:
            await picked.act(call)


async def _body_of(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body", False):
            return body
