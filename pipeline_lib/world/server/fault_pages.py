"""Faults of a STAC API: pages, counts, tokens, and items that lack something or are hostile."""

import json
from collections.abc import Callable
from typing import Any

from pipeline_lib.world.server.fault_call import ACTIONS, METADATA_SERVICE, Call, Fault, register

FIRST_PAGE = "0"


def _edit(name: str, summary: str, change: Callable[[dict[str, Any]], None]) -> None:
    """A fault that changes the page of a search before it is sent."""

    async def act(call: Call) -> None:
        """Change the page."""
        answer = await call.answer()
        page = json.loads(answer.body)
        change(page)
        body = json.dumps(page).encode()
        await call.reply(answer.status, {**answer.headers, "content-length": str(len(body))}, body)

    ACTIONS[name] = Fault(name, "search", summary, act)


@register("not-stac", "search", "200 with JSON that is not STAC")
async def _not_stac(call: Call) -> None:
    await call.reply(200, {"content-type": "application/json"}, b'["not", "a", "page"]')


@register("endless-pages", "search", "empty pages with ever new tokens")
async def _endless_pages(call: Call) -> None:
    answer = await call.answer()
    page = json.loads(answer.body)
    asked = json.loads(call.body or b"{}")
    count = int(str(asked.get("token", "x0")).lstrip("x").split("~")[0] or 0) + 1
    href = f"http://{dict(call.scope['headers'])[b'host'].decode()}/search"
    following = {"rel": "next", "href": href, "method": "POST", "body": {**asked, "token": f"x{count}"}}
    page |= {"features": [], "numberReturned": 0, "links": [following]}
    await call.reply(200, {"content-type": "application/geo+json"}, json.dumps(page).encode())


def _drop_last(page: dict[str, Any]) -> None:
    page["features"] = page["features"][: len(page["features"]) // 2]


def _drop_and_agree(page: dict[str, Any]) -> None:
    _drop_last(page)
    page["numberReturned"] = len(page["features"])


def _lose_next(page: dict[str, Any]) -> None:
    page["links"] = [link for link in page["links"] if link["rel"] != "next"]


def _same_token(page: dict[str, Any]) -> None:
    for link in page["links"]:
        if link["rel"] == "next" and "body" in link:
            link["body"]["token"] = FIRST_PAGE


def _empty_first(page: dict[str, Any]) -> None:
    """The page without its items, and a next link that leads to the same question again."""
    self_link = next(link for link in page["links"] if link["rel"] == "self")
    following = {
        "rel": "next",
        "href": self_link["href"],
        "method": "POST",
        "body": {"token": FIRST_PAGE},
        "merge": True,
    }
    page |= {"features": [], "numberReturned": 0, "links": [self_link, following]}


def _foreign_next(page: dict[str, Any]) -> None:
    page["links"] = [{"rel": "next", "href": METADATA_SERVICE, "method": "GET"}]


def _twice(page: dict[str, Any]) -> None:
    page["features"] += page["features"][:1]
    page["numberReturned"] = len(page["features"])


def _promise_more(page: dict[str, Any]) -> None:
    page["numberMatched"] = page["numberMatched"] + 7


def _first(page: dict[str, Any], **changes: Any) -> None:
    """Change the first item of a page; None removes."""
    for feature in page["features"][:1]:
        for name, value in changes.items():
            if value is None:
                feature.pop(name, None)
            else:
                feature[name] = value


def _first_properties(page: dict[str, Any], *prefixes: str) -> None:
    for feature in page["features"][:1]:
        kept = {name: value for name, value in feature["properties"].items() if not name.startswith(prefixes)}
        feature["properties"] = kept


def _first_assets(page: dict[str, Any], href: str) -> None:
    for feature in page["features"][:1]:
        for asset in feature["assets"].values():
            asset["href"] = href


_edit("half-page", "half of a page's items, the counts unchanged", _drop_last)
_edit("short-page", "half of a page's items, the page's count fitting", _drop_and_agree)
_edit("lost-next", "no link to the next page", _lose_next)
_edit("repeated-token", "a next link that leads to the same page for ever", _same_token)
_edit("empty-page", "a legal empty page before the full ones", _empty_first)
_edit("foreign-next", "a next link to the metadata service", _foreign_next)
_edit("doubled-item", "an item twice on a page", _twice)
_edit("promise-more", "numberMatched larger than what exists", _promise_more)
_edit("no-id", "an item without id", lambda page: _first(page, id=None))
_edit("no-footprint", "an item without geometry", lambda page: _first(page, geometry=None))
_edit("no-footprint-no-bbox", "an item without geometry and bbox", lambda page: _first(page, geometry=None, bbox=None))
_edit("no-assets", "an item without assets", lambda page: _first(page, assets=None))
_edit("no-properties", "an item whose properties are a text", lambda page: _first(page, properties="none"))
_edit("no-time", "an item without any time", lambda page: _first_properties(page, "datetime", "start_", "end_"))
_edit("no-orbit", "an item without sat: properties", lambda page: _first_properties(page, "sat:"))
_edit("evil-id", "an item id that climbs out of a folder", lambda page: _first(page, id="../../etc/cron.d/x"))
_edit("evil-file", "asset hrefs to a local file", lambda page: _first_assets(page, "file:///etc/passwd"))
_edit(
    "evil-vsi",
    "asset hrefs into GDAL's virtual file systems",
    lambda page: _first_assets(page, "/vsizip//etc/x.zip/a.tif"),
)
_edit("evil-metadata", "asset hrefs to the metadata service", lambda page: _first_assets(page, METADATA_SERVICE))
