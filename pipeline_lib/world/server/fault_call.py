"""One request on its way through a fault, and the register of faults."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Scope, Send

METADATA_SERVICE = "http://169.254.169.254/latest/meta-data/"


@dataclass
class Answer:
    """A whole answer of the undisturbed application."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Call:
    """One request on its way through a fault."""

    app: ASGIApp
    scope: Scope
    body: bytes
    send: Send
    delivered: bool = False

    async def forward(self) -> None:
        """Serve it well."""
        await self.app(self.scope, self._receive, self.send)

    async def answer(self) -> Answer:
        """What the application would have answered."""
        sent: list[Message] = []

        async def keep(message: Message) -> None:
            """Collect instead of send."""
            sent.append(message)

        await self.app(self.scope, self._receive, keep)
        start = sent[0]
        headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        return Answer(start["status"], headers, b"".join(message.get("body", b"") for message in sent[1:]))

    async def reply(self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        """Send a whole answer of one's own."""
        given = {"content-length": str(len(body)), **(headers or {})}
        await self.start(status, given)
        await self.send({"type": "http.response.body", "body": b"" if self.scope["method"] == "HEAD" else body})

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Send status and headers alone."""
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})

    def cut(self) -> None:
        """Close the connection at once, whatever was promised."""
        transport = getattr(getattr(self.send, "__self__", None), "transport", None)
        if transport is not None:
            transport.abort()

    async def _receive(self) -> Message:
        """The body once; then nothing more comes, which is how a client that listens looks."""
        if self.delivered:
            await asyncio.Event().wait()
        self.delivered = True
        return {"type": "http.request", "body": self.body, "more_body": False}


Action = Callable[[Call], Awaitable[None]]


@dataclass(frozen=True)
class Fault:
    """A named way in which an archive fails."""

    name: str
    place: str
    """``search``, ``asset`` or ``any``: the requests it is made for."""
    summary: str
    act: Action


ACTIONS: dict[str, Fault] = {}


def register(name: str, place: str, summary: str) -> Callable[[Action], Action]:
    """Decorator: make a function a fault under a name."""

    def add(act: Action) -> Action:
        """Put it into the register."""
        ACTIONS[name] = Fault(name, place, summary, act)
        return act

    return add
