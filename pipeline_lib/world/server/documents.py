"""The documents of the API that are not items: landing page, collections, queryables."""

import html
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from pipeline_lib.world.server.archive import Entry

_OGC = "http://www.opengis.net/spec"
_STAC = "https://api.stacspec.org/v1.0.0"

CONFORMANCE = (
    f"{_STAC}/core",
    f"{_STAC}/collections",
    f"{_STAC}/ogcapi-features",
    f"{_STAC}/item-search",
    f"{_STAC}/item-search#query",
    f"{_STAC}/item-search#sort",
    f"{_STAC}/item-search#fields",
    f"{_STAC}/item-search#filter",
    f"{_OGC}/ogcapi-features-1/1.0/conf/core",
    f"{_OGC}/ogcapi-features-1/1.0/conf/geojson",
    f"{_OGC}/ogcapi-features-3/1.0/conf/filter",
    f"{_OGC}/cql2/1.0/conf/cql2-text",
    f"{_OGC}/cql2/1.0/conf/cql2-json",
    f"{_OGC}/cql2/1.0/conf/basic-cql2",
    f"{_OGC}/cql2/1.0/conf/advanced-comparison-operators",
    f"{_OGC}/cql2/1.0/conf/basic-spatial-functions",
)
"""What was built and is tested; a client may rely on each."""

OPENAPI = "application/vnd.oai.openapi+json;version=3.1"
_QUERYABLES_REL = "http://www.opengis.net/def/rel/ogc/1.0/queryables"


def landing(base: str, collections: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The landing page: a STAC catalogue with its conformance and links."""
    search = {"rel": "search", "type": "application/geo+json", "href": f"{base}/search", "title": "Item search"}
    children = [
        _link("child", f"{base}/collections/{quote(name)}", title=str(one.get("title", name)))
        for name, one in collections.items()
    ]
    return {
        "type": "Catalog",
        "stac_version": "1.0.0",
        "id": "overbank-world",
        "title": "overbank world",
        "description": "A simulated archive of Sentinel-1, Sentinel-2, elevation and water occurrence over a flood.",
        "conformsTo": list(CONFORMANCE),
        "links": [
            _link("self", base),
            _link("root", base),
            _link("data", f"{base}/collections"),
            _link("conformance", f"{base}/conformance"),
            {**search, "method": "GET"},
            {**search, "method": "POST"},
            _link("service-desc", f"{base}/api", OPENAPI),
            _link("service-doc", f"{base}/api.html", "text/html"),
            _link(_QUERYABLES_REL, f"{base}/queryables", "application/schema+json"),
            *children,
        ],
    }


def collection_document(base: str, collection: Mapping[str, Any]) -> dict[str, Any]:
    """A collection as served: links of this API, and those of its file that lead elsewhere."""
    name = quote(str(collection["id"]))
    structural = {"self", "root", "parent", "items", "item", "queryables", _QUERYABLES_REL}
    foreign = [
        link for link in collection.get("links", []) if isinstance(link, dict) and link.get("rel") not in structural
    ]
    links = [
        _link("self", f"{base}/collections/{name}", title="This collection"),
        _link("root", base, title="The catalogue"),
        _link("parent", base, title="The catalogue"),
        _link("items", f"{base}/collections/{name}/items", "application/geo+json", "Its items"),
        _link(_QUERYABLES_REL, f"{base}/collections/{name}/queryables", "application/schema+json", "What to filter by"),
    ]
    return {"type": "Collection", **collection, "links": [*links, *foreign]}


def queryables(identifier: str, entries: Iterable[Entry]) -> dict[str, Any]:
    """JSON schema of the properties that filters may name, with the types seen."""
    properties: dict[str, Any] = {
        "id": {"title": "Item id", "type": "string"},
        "collection": {"title": "Collection id", "type": "string"},
        "geometry": {"title": "Footprint", "$ref": "https://geojson.org/schema/Geometry.json"},
        "datetime": {"title": "Time of sensing", "type": "string", "format": "date-time"},
    }
    names = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    for entry in entries:
        for name, value in entry.properties.items():
            if value is not None:
                properties.setdefault(name, {"title": name, "type": names.get(type(value), "string")})
    return {
        "$schema": "https://json-schema.org/draft/2019-09/schema",
        "$id": identifier,
        "type": "object",
        "title": "Queryables",
        "properties": properties,
        "additionalProperties": True,
    }


def service_page(base: str) -> str:
    """A page for people: where to look, without a script from elsewhere."""
    paths = ("/", "/conformance", "/collections", "/search", "/queryables", "/api")
    rows = "".join(f'<li><a href="{html.escape(base + path)}">{html.escape(path)}</a></li>' for path in paths)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>overbank world</title>'
        f"<h1>overbank world</h1><p>A STAC API 1.0.0 over a simulated archive.</p><ul>{rows}</ul></html>"
    )


def _link(rel: str, href: str, media: str = "application/json", title: str | None = None) -> dict[str, Any]:
    return {"rel": rel, "type": media, "href": href, **({"title": title} if title else {})}
