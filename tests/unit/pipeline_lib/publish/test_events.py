"""Events after they are published: catalogue, commands, retraction, export, push, server."""

import asyncio
import json
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import numpy as np
import pystac
import pytest
import rasterio
from typer.testing import CliRunner

from flows.cli import build_app
from pipeline_lib.errors import CatalogError, InputError, StoreError, SupersededError, UnknownNameError
from pipeline_lib.publish.publication import publish
from pipeline_lib.publish.server import make_app
from pipeline_lib.steps.events import diff_events, export_event, list_events, push_event, retract_event, show_event


@pytest.fixture(scope="module")
def out(published):
    return published.parent


def test_catalogue_of_all_events(out, published):
    catalog = pystac.Catalog.from_file(str(out / "catalog.json"))
    children = list(catalog.get_children())
    assert [child.id for child in children] == ["river-2024"]
    assert len(list(children[0].get_items())) == 4
    page = (out / "index.html").read_text(encoding="utf-8")
    assert 'href="river-2024/index.html"' in page
    assert "River &amp; town &lt;flood&gt;" in page
    assert "1 event, 1 under way" in page


def test_list_show_and_diff(out):
    rows = list_events(out)
    assert [row["event"] for row in rows] == ["river-2024"]
    assert show_event(out, "river-2024").versions == (1, 2)
    assert show_event(out, "river-2024", 1).version == 1
    assert diff_events(out, "river-2024")[0].startswith("New: S1A_20240516")
    with pytest.raises(UnknownNameError, match="river-2024"):
        show_event(out, "no-such-event")
    with pytest.raises(UnknownNameError, match="known are: 1, 2"):
        show_event(out, "river-2024", 9)
    with pytest.raises(InputError, match="no folder"):
        list_events(out / "nowhere")


def test_the_command_line(out):
    run = CliRunner().invoke
    app = build_app()
    assert "river-2024" in run(app, ["events", "list", "--out", str(out)]).stdout
    assert json.loads(run(app, ["events", "list", "--out", str(out), "--json"]).stdout)[0]["version"] == 2
    shown = run(app, ["events", "show", "river-2024", "--out", str(out)]).stdout
    assert "flooded" in shown
    assert "New: S1A_20240516" in shown
    assert "New:" in run(app, ["events", "diff", "river-2024", "--out", str(out)]).stdout
    assert isinstance(run(app, ["events", "export", "river-2024", "--out", str(out)]).exception, InputError)


def test_export_to_folder_zip_and_url(out, tmp_path):
    folder = export_event(out, "river-2024", str(tmp_path / "copy"))
    assert len(list(pystac.Collection.from_file(f"{folder}/collection.json").get_items())) == 4
    with pytest.raises(StoreError, match="there already"):
        export_event(out, "river-2024", str(tmp_path / "copy"))
    with zipfile.ZipFile(export_event(out, "river-2024", str(tmp_path / "copy.zip"))) as archive:
        assert {"collection.json", "index.html", "event/flood_extent.tif"} <= set(archive.namelist())
    import fsspec

    export_event(out, "river-2024", "memory://bucket/floods/river")
    memory = fsspec.filesystem("memory")
    assert json.loads(memory.cat("/bucket/floods/river/collection.json"))["id"] == "river-2024"
    assert not memory.exists("/bucket/floods/river/top/collection.json")
    with pytest.raises(StoreError, match="Cannot export"):
        export_event(out, "river-2024", "nosuchprotocol://bucket/x")


class _Api(BaseHTTPRequestHandler):
    """A STAC API that only knows transactions, and remembers them."""

    def do_POST(self):
        self._take(self.path, 409 if (self.path, "id") in self.server.kept else 201)

    def do_PUT(self):
        self._take(self.path, 200)

    def _take(self, path, code):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = (self.command, path, body["id"])
        if self.command == "POST" and any(known[1:] == name[1:] for known in self.server.kept):
            code = 409
        else:
            self.server.kept[name] = body
        self.send_response(code)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.mark.enable_socket
def test_push_creates_then_replaces(out):
    server = HTTPServer(("127.0.0.1", 0), _Api)
    server.kept = {}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        api = f"http://127.0.0.1:{server.server_port}"
        done = push_event(out, "river-2024", api, "https://data.example.org/river")
        assert done[0] == "created river-2024"
        assert len(done) == 5
        item = next(body for (_, path, name), body in server.kept.items() if name == "river-2024-event")
        assert item["assets"]["flood_extent"]["href"] == "https://data.example.org/river/event/flood_extent.tif"
        assert all(
            word.startswith("replaced") for word in push_event(out, "river-2024", api, "https://data.example.org/river")
        )
    finally:
        server.shutdown()
        server.server_close()
    with pytest.raises(CatalogError, match="cannot be reached"):
        push_event(out, "river-2024", api, "https://data.example.org/river")
    with pytest.raises(InputError, match="no address"):
        push_event(out, "river-2024", "file:///etc", "https://data.example.org/river")


def test_retraction_is_a_version_that_says_so_everywhere(flood, tmp_path):
    publish(flood.publication(1), tmp_path)
    with pytest.raises(InputError, match="reason"):
        retract_event(tmp_path, "river-2024", " ")
    assert retract_event(tmp_path, "river-2024", "Wet <snow>, not water") == 2
    folder = tmp_path / "river-2024"
    with pytest.warns(pystac.errors.DeprecatedWarning, match="is deprecated"):  # noqa: PT031 - one warning an item
        collection = pystac.Collection.from_file(str(folder / "collection.json"))
        marked = [item.properties["deprecated"] for item in collection.get_items()]
    assert collection.extra_fields["deprecated"] is True
    assert marked == [True, True]
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "Retracted: Wet &lt;snow&gt;, not water" in page
    assert list_events(tmp_path)[0]["state"] == "retracted"
    assert "Retracted" in (tmp_path / "index.html").read_text(encoding="utf-8")
    old = json.loads((folder / "versions/0001/collection.json").read_text())
    assert old["deprecated"] is False
    with pytest.raises(InputError, match="already"):
        retract_event(tmp_path, "river-2024", "again")
    assert publish(flood.publication(2), tmp_path).version == 3


class Client:
    """Asks the application itself, without a socket."""

    def __init__(self, app):
        self.transport = httpx.ASGITransport(app=app)

    def get(self, path, headers=None):
        async def ask():
            async with httpx.AsyncClient(
                transport=self.transport, base_url="http://test", follow_redirects=True
            ) as client:
                return await client.get(path, headers=headers)

        return asyncio.run(ask())


class TestServer:
    @pytest.fixture(scope="class")
    def client(self, out):
        return Client(make_app(out))

    def test_a_folder_where_nothing_is_published_yet_says_so(self, tmp_path):
        assert "No event is published yet" in Client(make_app(tmp_path)).get("/").text

    def test_pages_and_files_with_ranges(self, client):
        assert "Flood events" in client.get("/").text
        assert client.get("/river-2024").url.path == "/river-2024/"
        assert client.get("/river-2024/").text.startswith("<!doctype html>")
        part = client.get("/river-2024/versions/0002/event/flood_extent.tif", headers={"Range": "bytes=0-3"})
        assert part.status_code == 206
        assert part.content[:2] in {b"II", b"MM"}

    @pytest.mark.parametrize(
        "path", ["/.catalog.lock", "/river-2024/.lock", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/no-such"]
    )
    def test_nothing_hidden_or_outside(self, client, path):
        assert client.get(path).status_code == 404

    def test_unknown_tiles_are_not_found(self, client):
        for path in (
            "nope/0002/event/flood_class",
            "river-2024/0009/event/flood_class",
            "river-2024/0002/event/likelihood",
            "river-2024/0002/../flood_class",
        ):
            assert client.get(f"/tiles/{path}/10/1/1.png").status_code == 404


def test_a_tile_has_the_colours_of_the_pixels_below_it(flood, published):
    from pyproj import Transformer

    from pipeline_lib.publish.server import HALF_M, draw_tile

    path = (published / "versions/0002/event/flood_class.tif").resolve()
    zoom = 15
    with rasterio.open(path) as raster:
        codes = raster.read(1)
        rows, columns = np.nonzero(codes == 2)
        x, y = raster.xy(rows[len(rows) // 2], columns[len(rows) // 2])
        mx, my = Transformer.from_crs(raster.crs, 3857, always_xy=True).transform(x, y)
    size = 2 * HALF_M / 2**zoom
    column, row = int((mx + HALF_M) // size), int((HALF_M - my) // size)
    import io

    from PIL import Image

    tile = np.asarray(Image.open(io.BytesIO(draw_tile(path, "flood_class", zoom, column, row))))
    at = tile[int((HALF_M - my) % size / size * 256), int((mx + HALF_M) % size / size * 256)]
    assert tuple(at) == (215, 48, 39, 255)
    assert not np.asarray(Image.open(io.BytesIO(draw_tile(path, "flood_class", 4, 0, 0))))[..., 3].any()


def test_a_run_that_was_overtaken_takes_nothing_back(flood, tmp_path):
    """Two runs that both began when nothing was published, the one that knew more ends first; then a retraction."""
    assert publish(flood.publication(3), tmp_path, since=0).version == 1
    with pytest.raises(SupersededError, match="by another run since, with 3 passes instead of 2; version 1 stays"):
        publish(flood.publication(2), tmp_path, since=0)
    assert publish(flood.publication(3), tmp_path, since=0).version == 1, "the same is published already"
    assert publish(flood.publication(2), tmp_path, since=1).version == 2, "who saw version 1 means to replace it"
    assert retract_event(tmp_path, "river-2024", "Wet snow.") == 3
    with pytest.raises(SupersededError, match=r"was retracted while this run mapped it \(Wet snow.\); version 3 stays"):
        publish(flood.publication(3), tmp_path, since=2)
    assert list_events(tmp_path)[0]["state"] == "retracted"
    assert publish(flood.publication(3), tmp_path, since=3).version == 4
