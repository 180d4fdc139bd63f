"""The STAC API: routes, links and pages; what it can do is in its conformance list, and nothing else is."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urljoin

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pipeline_lib.world.server.archive import Archive, Entry
from pipeline_lib.world.server.assets import asset_path, asset_response
from pipeline_lib.world.server.documents import OPENAPI, collection_document, landing, queryables, service_page
from pipeline_lib.world.server.query import Fields, RequestError, Search, read_parameters, read_search
from pipeline_lib.world.server.selection import page_of, select

GEOJSON = "application/geo+json"
_ITEMS_PARAMETERS = frozenset({"bbox", "datetime", "limit", "token"})
IDENTITY = ("type", "stac_version", "id", "collection")
DEFAULT_FIELDS = (
    *("geometry", "bbox", "links", "assets"),
    *("properties.datetime", "properties.start_datetime", "properties.end_datetime"),
)
"""What an empty ``fields`` stands for."""
_MAX_BODY = 8 << 20


def create_app(archive: Archive) -> FastAPI:
    """The application over an archive: STAC API under ``/``, files under ``/assets``."""
    app = FastAPI(title="overbank world", openapi_url=None, docs_url=None, redoc_url=None)
    app.add_exception_handler(RequestError, _bad_request)
    app.add_exception_handler(HTTPException, _not_found)
    _add_documents(app, archive)
    _add_items(app, archive)
    _add_search(app, archive)

    @app.head("/assets/{path:path}", include_in_schema=False)
    @app.get("/assets/{path:path}")
    def asset(path: str, request: Request) -> Response:
        """A file of the archive, with ranges."""
        found = asset_path(archive.folder / "assets", path)
        if found is None:
            raise HTTPException(404, "no such asset")
        return asset_response(found, request)

    return app


def _add_documents(app: FastAPI, archive: Archive) -> None:
    @app.get("/")
    def root(request: Request) -> Response:
        """Landing page."""
        return JSONResponse(landing(_base(request), archive.collections()))

    @app.get("/conformance")
    def conformance(request: Request) -> Response:
        """What this API can do."""
        return JSONResponse({"conformsTo": landing(_base(request), {})["conformsTo"]})

    @app.get("/api")
    def service_description() -> Response:
        """What this API offers, as OpenAPI."""
        return JSONResponse(app.openapi(), media_type=OPENAPI)

    @app.get("/api.html")
    def service(request: Request) -> Response:
        """What this API offers, for people."""
        return Response(service_page(_base(request)), media_type="text/html")

    _add_collections(app, archive)


def _add_collections(app: FastAPI, archive: Archive) -> None:
    @app.get("/queryables")
    def all_queryables(request: Request) -> Response:
        """Properties to filter by."""
        content = queryables(f"{_base(request)}/queryables", archive.entries())
        return JSONResponse(content, media_type="application/schema+json")

    @app.get("/collections")
    def collections(request: Request) -> Response:
        """Collections."""
        base = _base(request)
        documents = [collection_document(base, one) for one in archive.collections().values()]
        links = [_link("self", f"{base}/collections"), _link("root", base)]
        return JSONResponse(
            {
                "collections": documents,
                "links": links,
                "numberMatched": len(documents),
                "numberReturned": len(documents),
            }
        )

    @app.get("/collections/{collection}")
    def one_collection(collection: str, request: Request) -> Response:
        """One collection."""
        return JSONResponse(collection_document(_base(request), _known(archive, collection)))

    @app.get("/collections/{collection}/queryables")
    def collection_queryables(collection: str, request: Request) -> Response:
        """Properties of a collection to filter by."""
        _known(archive, collection)
        entries = [entry for entry in archive.entries() if entry.collection == collection]
        content = queryables(f"{_base(request)}/collections/{quote(collection)}/queryables", entries)
        return JSONResponse(content, media_type="application/schema+json")


def _add_items(app: FastAPI, archive: Archive) -> None:
    @app.get("/collections/{collection}/items")
    def items(collection: str, request: Request) -> Response:
        """Items of a collection."""
        _known(archive, collection)
        given = dict(request.query_params)
        unknown = set(given) - _ITEMS_PARAMETERS
        if unknown:
            raise RequestError(f"unknown parameter {min(unknown)}")
        search = read_parameters(given).model_copy(update={"collections": [collection]})
        return _page(request, archive, search, None)

    @app.get("/collections/{collection}/items/{item_id}")
    def item(collection: str, item_id: str, request: Request) -> Response:
        """One item."""
        found = archive.entry(collection, item_id)
        if found is None:
            raise HTTPException(404, "no such item")
        return JSONResponse(_item_document(_base(request), found), media_type=GEOJSON)


def _add_search(app: FastAPI, archive: Archive) -> None:
    @app.get("/search")
    def get_search(request: Request) -> Response:
        """Search items."""
        return _page(request, archive, read_parameters(dict(request.query_params)), None)

    @app.post("/search")
    async def post_search(request: Request) -> Response:
        """Search items."""
        raw = await request.body()
        if len(raw) > _MAX_BODY:
            raise RequestError("the body is too large")
        try:
            body = json.loads(raw or b"{}")
        except ValueError as error:
            raise RequestError("the body is not JSON") from error
        if not isinstance(body, dict):
            raise RequestError("the body is not a JSON object")
        return _page(request, archive, read_search(body), body)


def _page(request: Request, archive: Archive, search: Search, body: dict[str, Any] | None) -> Response:
    """One page of a search, with the link to the next."""
    base = _base(request)
    found = select(search, archive.entries())
    page, token = page_of(found, search)
    links: list[dict[str, Any]] = [_link("root", base), _link("self", str(request.url), GEOJSON)]
    if token is not None and body is not None:
        links.append({**_link("next", f"{base}/search", GEOJSON), "method": "POST", "body": {**body, "token": token}})
    elif token is not None:
        parameters = urlencode({**dict(request.query_params), "token": token})
        links.append({**_link("next", f"{base}{request.url.path}?{parameters}", GEOJSON), "method": "GET"})
    features = [_chosen(_item_document(base, entry), search.fields) for entry in page]
    content = {
        "type": "FeatureCollection",
        "features": features,
        "links": links,
        "numberMatched": len(found),
        "numberReturned": len(features),
    }
    return JSONResponse(content, media_type=GEOJSON)


def _item_document(base: str, entry: Entry) -> dict[str, Any]:
    """An item as served: hrefs absolute, links of this API."""
    collection, item_id = quote(entry.collection, safe=""), quote(entry.item_id, safe="")
    assets = {
        key: {**asset, "href": _absolute(base, str(asset.get("href", "")))}
        for key, asset in entry.item.get("assets", {}).items()
    }
    links = [
        _link("self", f"{base}/collections/{collection}/items/{item_id}", GEOJSON),
        _link("parent", f"{base}/collections/{collection}"),
        _link("collection", f"{base}/collections/{collection}"),
        _link("root", base),
    ]
    return {**entry.item, "collection": entry.collection, "assets": assets, "links": links}


def _absolute(base: str, href: str) -> str:
    """A relative href below the API's root; one with a scheme or an absolute path stays as it is."""
    return href if "://" in href or href.startswith("/") else urljoin(f"{base}/", quote(href, safe="/%"))


def _chosen(document: dict[str, Any], fields: Fields | None) -> dict[str, Any]:
    """The fields asked for, by the rules of the fields extension; what identifies an item is always sent."""
    if fields is None:
        return document
    exclude_alone = bool(fields.exclude) and "include" not in fields.model_fields_set
    include = fields.include or ([] if exclude_alone else list(DEFAULT_FIELDS))
    kept: dict[str, Any] = document if exclude_alone else {}
    for name in () if exclude_alone else (*IDENTITY, *include):
        _copy(document, kept, name.split("."))
    for name in fields.exclude or []:
        wanted = fields.include or []
        if name not in IDENTITY and not any(one == name or one.startswith(f"{name}.") for one in wanted):
            kept = _without(kept, name.split("."))
    return kept


def _copy(source: Mapping[str, Any], target: dict[str, Any], path: list[str]) -> None:
    if path[0] not in source:
        return
    if len(path) == 1 or not isinstance(source[path[0]], Mapping):
        target[path[0]] = source[path[0]]
    else:
        _copy(source[path[0]], target.setdefault(path[0], {}), path[1:])


def _without(source: Mapping[str, Any], path: list[str]) -> dict[str, Any]:
    kept = dict(source)
    if len(path) == 1:
        kept.pop(path[0], None)
    elif isinstance(kept.get(path[0]), Mapping):
        kept[path[0]] = _without(kept[path[0]], path[1:])
    return kept


def _known(archive: Archive, collection: str) -> dict[str, Any]:
    found = archive.collections().get(collection)
    if found is None:
        raise HTTPException(404, f"no collection {collection!r}")
    return found


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def _link(rel: str, href: str, media: str = "application/json") -> dict[str, Any]:
    return {"rel": rel, "type": media, "href": href}


def _bad_request(_: Request, error: Exception) -> Response:
    return JSONResponse({"code": "InvalidParameterValue", "description": str(error)}, status_code=400)


def _not_found(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else "failed"
    return JSONResponse(
        {"code": "NotFound" if status == 404 else str(status), "description": detail}, status_code=status
    )
