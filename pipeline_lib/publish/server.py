"""Pages, files and map tiles of published events over HTTP, for events too large to look at whole."""

import io
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from PIL import Image
from rasterio.enums import Resampling
from rasterio.transform import from_bounds
from rasterio.vrt import WarpedVRT
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from pipeline_lib.publish.layers import EVENT_LAYERS, PASS_LAYERS

TILE_PX = 256
HALF_M = 20_037_508.342789244
"""Half the circumference of Web Mercator's square."""
MAX_ZOOM = 19
NOTHING_YET = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Flood maps</title>
<meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="60">
<body style="font-family:system-ui,sans-serif;margin:4rem auto;max-width:36rem;padding:0 1rem;color:#17202a">
<h1>No event is published yet</h1>
<p>Flood maps appear here when a watch finds a flood, or <code>overbank map</code> has mapped one.
<code>overbank status</code> says what is under way, <code>overbank events waiting</code> what awaits approval.</p>"""
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")


def make_app(out: Path) -> Starlette:
    """Application that serves the folder of all events.

    ``/`` and every file below it (with ranges; nothing whose name begins with a dot), and
    ``/tiles/{event}/{version}/{item}/{layer}/{z}/{x}/{y}.png`` with ``item`` = ``event`` or an acquisition.
    """
    root = out.resolve()

    async def files(request: Request) -> Response:
        """A file, or the index of a folder."""
        name = request.path_params["path"]
        if not name and not (root / "index.html").is_file():
            return HTMLResponse(NOTHING_YET)
        return _file(root, name, request.url.path)

    async def tiles(request: Request) -> Response:
        """A map tile."""
        given = request.path_params
        path = _raster(root, given)
        if path is None or not 0 <= given["z"] <= MAX_ZOOM:
            return PlainTextResponse("no such layer", 404)
        image = await run_in_threadpool(draw_tile, path, given["layer"], given["z"], given["x"], given["y"])
        return Response(image, media_type="image/png", headers={"Cache-Control": "public, max-age=31536000, immutable"})

    pattern = "/tiles/{event}/{version}/{item}/{layer}/{z:int}/{x:int}/{y:int}.png"
    return Starlette(routes=[Route(pattern, tiles), Route("/{path:path}", files)])


def _file(root: Path, name: str, url: str) -> Response:
    """A file below ``root``; hidden ones and ways out of it are not found."""
    if any(part.startswith(".") for part in Path(name).parts):
        return PlainTextResponse("not found", 404)
    path = (root / name).resolve()
    if not path.is_relative_to(root):
        return PlainTextResponse("not found", 404)
    if path.is_dir():
        if not url.endswith("/"):
            return RedirectResponse(f"{url}/")
        path = (path / "index.html").resolve()
    if not path.is_file() or not path.is_relative_to(root):
        return PlainTextResponse("not found", 404)
    return FileResponse(path, headers={"Access-Control-Allow-Origin": "*", "Cache-Control": "no-cache"})


def _raster(root: Path, given: dict[str, Any]) -> Path | None:
    """Path of a layer's COG; None where a name is not one."""
    names = [given[name] for name in ("event", "version", "item", "layer")]
    if not all(_NAME.match(name) for name in names) or given["layer"] not in _tables():
        return None
    folder = root / names[0] / "versions" / names[1]
    path = folder / ("event" if names[2] == "event" else f"passes/{names[2]}") / f"{names[3]}.tif"
    return path if path.is_file() else None


@lru_cache(maxsize=1)
def _tables() -> dict[str, np.ndarray]:
    """Colours (256, 4) of every class layer."""
    tables = {}
    for layer in (*PASS_LAYERS, *EVENT_LAYERS):
        if layer.codes:
            table = np.zeros((256, 4), np.uint8)
            for code in layer.codes:
                table[code.value] = code.colour
            tables[layer.name] = table
    return tables


@lru_cache(maxsize=512)
def draw_tile(path: Path, layer: str, z: int, x: int, y: int) -> bytes:
    """PNG of a Web Mercator tile (256 x 256, nearest neighbour) of a class layer; clear outside the raster.

    Args:
        path: of the COG; a published one never changes, so that tiles are kept.
        layer: whose colours.
        z: zoom.
        x: column from the west.
        y: row from the north.
    """
    size = 2 * HALF_M / 2**z
    west, north = x * size - HALF_M, HALF_M - y * size
    with (
        rasterio.open(path) as source,
        WarpedVRT(
            source,
            crs="EPSG:3857",
            transform=from_bounds(west, north - size, west + size, north, TILE_PX, TILE_PX),
            width=TILE_PX,
            height=TILE_PX,
            resampling=Resampling.nearest,
        ) as warped,
    ):
        values = warped.read(1)
    buffer = io.BytesIO()
    Image.fromarray(_tables()[layer][values], mode="RGBA").save(buffer, "PNG")
    return buffer.getvalue()
