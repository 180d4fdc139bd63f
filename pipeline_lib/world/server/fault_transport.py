"""Faults of any HTTP server: refusals, delays, broken connections, redirects."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

from pipeline_lib.world.server.fault_call import ACTIONS, METADATA_SERVICE, Call, Fault, register

STALL_S = 60.0
"""How long a stalled answer stalls; longer than any sensible client waits."""
DRIP_S = 0.05
"""Pause between the pieces of a dripping answer."""


def _status(name: str, place: str, status: int, summary: str, headers: Callable[[], dict[str, str]] = dict) -> None:
    async def act(call: Call) -> None:
        """Answer with it."""
        body = b"<html><body>" + str(status).encode() + b"</body></html>"
        await call.reply(status, {"content-type": "text/html", **headers()}, body)

    ACTIONS[name] = Fault(name, place, summary, act)


def _redirect(name: str, place: str, target: str, summary: str) -> None:
    async def act(call: Call) -> None:
        """Answer with it."""
        await call.reply(302, {"location": target or str(call.scope["path"])})

    ACTIONS[name] = Fault(name, place, summary, act)


def _http_date() -> dict[str, str]:
    return {"retry-after": format_datetime(datetime.now(timezone.utc) + timedelta(seconds=1), usegmt=True)}


_status("busy-seconds", "any", 429, "429 with Retry-After in seconds", lambda: {"retry-after": "1"})
_status("busy-date", "any", 429, "429 with Retry-After as a date", _http_date)
_status("busy-silent", "any", 429, "429 without Retry-After")
_status("busy-long", "any", 429, "429 with a Retry-After of a day", lambda: {"retry-after": "86400"})
_status("server-error", "any", 500, "500 with an HTML page")
_status("bad-gateway", "any", 502, "502 with an HTML page")
_status("unavailable", "any", 503, "503 with Retry-After", lambda: {"retry-after": "1"})
_status("gateway-timeout", "any", 504, "504 with an HTML page")
_status("unauthorised", "any", 401, "401: credentials are wanted")
_status("forbidden", "any", 403, "403: credentials are refused")
_status("gone", "any", 404, "404 for what should be there")
_redirect("redirect-metadata", "any", METADATA_SERVICE, "redirect to the cloud provider's metadata service")
_redirect("redirect-file", "any", "file:///etc/passwd", "redirect to a local file")
_redirect("redirect-loop", "any", "", "redirect to itself")


@register("stall", "any", "no answer at all, connection kept open")
async def _stall(call: Call) -> None:
    await asyncio.sleep(STALL_S)
    call.cut()


@register("cut", "any", "connection closed without an answer")
async def _cut(call: Call) -> None:
    call.cut()


@register("broken-off", "any", "answer cut in the middle, shorter than its Content-Length")
async def _broken_off(call: Call) -> None:
    answer = await call.answer()
    await call.start(answer.status, answer.headers)
    await call.send({"type": "http.response.body", "body": answer.body[: len(answer.body) // 2], "more_body": True})
    await asyncio.sleep(0.05)
    call.cut()


@register("half-answer", "any", "half of the answer, with a Content-Length that fits the half")
async def _half_answer(call: Call) -> None:
    answer = await call.answer()
    half = answer.body[: len(answer.body) // 2]
    await call.reply(answer.status, {**answer.headers, "content-length": str(len(half))}, half)


@register("drip", "any", "answer a few bytes at a time, slower than a person types")
async def _drip(call: Call) -> None:
    answer = await call.answer()
    await call.start(answer.status, answer.headers)
    for start in range(0, len(answer.body), 16):
        await call.send({"type": "http.response.body", "body": answer.body[start : start + 16], "more_body": True})
        await asyncio.sleep(DRIP_S)
    await call.send({"type": "http.response.body", "body": b""})


@register("login-page", "any", "200 with an HTML page, as from a captive portal")
async def _login_page(call: Call) -> None:
    await call.reply(200, {"content-type": "text/html"}, b"<html><form>Please log in</form></html>")
