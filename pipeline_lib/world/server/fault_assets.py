"""Faults of an asset store: files that are cut, changed, or served by the wrong bytes."""

import contextlib
from collections.abc import Callable

from pipeline_lib.world.server.fault_call import Answer, Call, register


@register("truncated", "asset", "the file ends at its half, as after a broken upload")
async def _truncated(call: Call) -> None:
    await _altered(call, lambda content: content[: len(content) // 2])


@register("corrupted", "asset", "bytes of the pixel data flipped")
async def _corrupted(call: Call) -> None:
    await _altered(call, lambda content: content[:1024] + bytes(byte ^ 0x5A for byte in content[1024:]))


@register("empty-file", "asset", "a file of no bytes")
async def _empty_file(call: Call) -> None:
    await _altered(call, lambda _: b"")


@register("changed", "asset", "another version of the file: new ETag, shifted content")
async def _changed(call: Call) -> None:
    await _altered(call, lambda content: content[:16] + content[32:] + content[16:32], etag='"changed"')


@register("no-ranges", "asset", "Range ignored: the whole file with 200")
async def _no_ranges(call: Call) -> None:
    answer = await _whole(call)
    headers = {name: value for name, value in answer.headers.items() if name != "accept-ranges"}
    await call.reply(200, headers, answer.body)


@register("wrong-range", "asset", "206 with other bytes than asked for")
async def _wrong_range(call: Call) -> None:
    answer = await call.answer()
    await call.reply(answer.status, answer.headers, answer.body[::-1])


async def _whole(call: Call) -> Answer:
    """The undisturbed file, whatever range was asked for."""
    kept = [(name, value) for name, value in call.scope["headers"] if name not in {b"range", b"if-range"}]
    scope = {**call.scope, "headers": kept, "method": "GET"}
    return await Call(call.app, scope, call.body, call.send).answer()


async def _altered(call: Call, change: Callable[[bytes], bytes], etag: str | None = None) -> None:
    """Serve a changed copy of a file with correct ranges, so that only its content is wrong."""
    answer = await _whole(call)
    if answer.status != 200:
        await call.reply(answer.status, answer.headers, answer.body)
        return
    content = change(answer.body)
    headers = answer.headers | ({"etag": etag} if etag else {})
    asked = dict(call.scope["headers"]).get(b"range", b"").decode().removeprefix("bytes=")
    first, _, last = asked.partition("-")
    if not first.isdigit() or call.scope["method"] == "HEAD":
        await call.reply(200, {**headers, "content-length": str(len(content))}, content)
        return
    start, end = int(first), min(int(last) + 1 if last.isdigit() else len(content), len(content))
    if start >= len(content):
        await call.reply(416, {"content-range": f"bytes */{len(content)}"})
        return
    piece = content[start:end]
    span = {"content-range": f"bytes {start}-{end - 1}/{len(content)}", "content-length": str(len(piece))}
    with contextlib.suppress(ConnectionError):
        await call.reply(206, {**headers, **span}, piece)
