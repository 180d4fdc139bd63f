"""Assets onto the grid, held against a literal twin, odc-stac and GDAL."""

from datetime import datetime, timezone
from http.server import HTTPServer, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import odc.stac
import pystac
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.transform import Affine, from_origin

from pipeline_lib.errors import AssetError, UnknownNameError
from pipeline_lib.load import mosaic
from pipeline_lib.load.asset import assets_of, opened
from pipeline_lib.load.mosaic import _strip, aligned, load_band
from pipeline_lib.load.resample import Kernel, Locator, kernel_named, resample
from pipeline_lib.model import CatalogItem, Grid

NOW = datetime(2024, 5, 11, tzinfo=timezone.utc)
ANYWHERE = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}  # footprints are not trusted


def write(path: Path, values: np.ndarray, *, crs="EPSG:32633", transform=None, nodata=None, tiled=True) -> Path:
    profile = {
        "driver": "GTiff",
        "count": 1,
        "dtype": values.dtype,
        "height": values.shape[0],
        "width": values.shape[1],
    }
    if tiled:
        profile |= {"tiled": True, "blockxsize": 64, "blockysize": 64}
    with rasterio.open(path, "w", crs=crs, transform=transform, nodata=nodata, **profile) as dataset:
        dataset.write(values, 1)
    return path


def item_of(path: Path, key: str = "vv") -> CatalogItem:
    return CatalogItem(
        item_id=path.stem, collection="c", start=NOW, end=NOW, footprint=ANYWHERE, assets={key: str(path)}
    )


def load(paths: list[Path], grid: Grid, **options) -> np.ndarray:
    invalid = options.pop("invalid", ())
    assets = assets_of(tuple(map(item_of, paths)), "vv", sign=str, invalid=invalid)
    return load_band(assets, grid, **options).compute().to_numpy()


def grid_at(x: float, y: float, shape=(60, 70), pixel=10.0, crs="EPSG:32633") -> Grid:
    return Grid(crs=crs, transform=(pixel, 0, x, 0, -pixel, y), shape=shape)


def twin(source: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """NaN-aware bilinear interpolation, one pixel after another, as the docstring of `resample` says."""
    out = np.full(rows.shape, np.nan, np.float32)
    for place in np.ndindex(rows.shape):
        y, x = rows[place], columns[place]
        ny, nx = int(np.floor(y + 0.5)), int(np.floor(x + 0.5))
        if not (0 <= ny < source.shape[0] and 0 <= nx < source.shape[1]) or np.isnan(source[ny, nx]):
            continue
        total = weights = 0.0
        for p in (int(np.floor(y)), int(np.floor(y)) + 1):
            for q in (int(np.floor(x)), int(np.floor(x)) + 1):
                if 0 <= p < source.shape[0] and 0 <= q < source.shape[1] and not np.isnan(source[p, q]):
                    w = (1 - abs(y - p)) * (1 - abs(x - q))
                    total, weights = total + w * source[p, q], weights + w
        out[place] = total / weights if weights > 1e-6 else source[ny, nx]
    return out


@pytest.fixture(scope="module")
def field() -> np.ndarray:
    return np.random.default_rng(1).gamma(4.4, 0.02, (100, 130)).astype("f4")


def test_grid_of_the_source_gives_its_very_pixels(tmp_path, field):
    path = write(tmp_path / "a.tif", field, transform=from_origin(500000, 5000000, 10, 10))
    for resampling in ("nearest", "bilinear", "cubic"):
        assert np.array_equal(load([path], grid_at(500100, 4999800), resampling=resampling), field[20:80, 10:80])


def test_bilinear_between_pixels_is_the_literal_twin(tmp_path, field):
    holed = field.copy()
    holed[30:40, 50:60] = np.nan
    holed[np.random.default_rng(2).random(field.shape) < 0.05] = np.nan
    path = write(tmp_path / "a.tif", holed, transform=from_origin(500000, 5000000, 10, 10))
    rows, columns = np.meshgrid(np.arange(60) + 20.3, np.arange(70) + 9.6, indexing="ij")
    expected = twin(holed, rows, columns)
    assert np.allclose(load([path], grid_at(500096, 4999797)), expected, rtol=1e-5, equal_nan=True)
    assert np.isnan(expected).any()


def test_reprojected_coordinates_are_those_of_proj(tmp_path):
    rows, columns = np.mgrid[:400, :400].astype("f4")
    transform = Affine(0.0001, 0, 15.0, 0, -0.0001, 45.2)
    grid = grid_at(500500, 5003000, shape=(150, 170))
    x, y = grid.geobox.affine * tuple(np.meshgrid(np.arange(170) + 0.5, np.arange(150) + 0.5))
    longitude, latitude = Transformer.from_crs("EPSG:32633", "EPSG:4326", always_xy=True).transform(x, y)
    for name, ramp, exact in (
        ("row", rows, (45.2 - latitude) / 0.0001 - 0.5),
        ("column", columns, (longitude - 15.0) / 0.0001 - 0.5),
    ):
        path = write(tmp_path / f"{name}.tif", ramp, crs="EPSG:4326", transform=transform)
        got = load([path], grid, chunk=64)
        assert np.nanmax(np.abs(got - exact)) < 1e-3
        assert np.isfinite(got).all()


def test_odc_stac_agrees_on_clean_data(tmp_path):
    y, x = np.mgrid[:300, :300]
    smooth = (np.sin(y / 17) * np.cos(x / 23) + 2).astype("f4")
    path = write(tmp_path / "a.tif", smooth, transform=from_origin(500000, 5000000, 10, 10))
    grid = grid_at(500504, 4999396, shape=(150, 160))
    item = pystac.Item("a", None, [14.9, 45.0, 15.2, 45.3], NOW, {})
    item.geometry = {
        "type": "Polygon",
        "coordinates": [[[14.9, 45], [15.2, 45], [15.2, 45.3], [14.9, 45.3], [14.9, 45]]],
    }
    item.add_asset("vv", pystac.Asset(str(path), roles=["data"], media_type=pystac.MediaType.COG))
    other = odc.stac.load([item], bands=["vv"], geobox=grid.geobox, resampling="bilinear")["vv"][0].to_numpy()
    assert np.abs(load([path], grid) - other).max() < 1e-4


@given(chunk=st.integers(17, 200), resampling=st.sampled_from(["nearest", "bilinear", "cubic"]), dx=st.floats(0, 10))
def test_any_chunking_gives_the_same_pixels(tmp_path_factory, field, chunk, resampling, dx):
    path = tmp_path_factory.getbasetemp() / "chunks.tif"
    if not path.exists():
        write(path, field, crs="EPSG:32632", transform=from_origin(978000, 5005000, 10, 10))
    grid = grid_at(501700 + dx, 5002000, shape=(150, 160))
    assets = assets_of((item_of(path),), "vv", sign=str)
    whole = load_band(assets, grid, chunk=512, resampling=resampling).compute()
    assert np.array_equal(load_band(assets, grid, chunk=chunk, resampling=resampling).compute(), whole, equal_nan=True)


def test_zeros_and_the_no_data_value_never_darken_their_neighbours(tmp_path, field):
    bordered = field + 1
    bordered[:, :30] = 0
    bordered[:20] = -32768
    path = write(tmp_path / "a.tif", bordered, transform=from_origin(500000, 5000000, 10, 10), nodata=-32768)
    got = load([path], grid_at(500005, 4999995, shape=(98, 128)), invalid=(0.0,))
    assert np.nanmin(got) >= bordered[bordered > 0].min()
    assert np.isnan(got[:, :28]).all()
    assert np.isfinite(got[21:, 31:]).all()


@pytest.mark.parametrize("resampling", ["bilinear", "cubic"])
def test_tiles_on_one_lattice_are_joined_without_a_seam(tmp_path, field, resampling):
    origin = from_origin(500000, 5000000, 10, 10)
    whole = write(tmp_path / "whole.tif", field, transform=origin)
    left = write(tmp_path / "left.tif", field[:, :64], transform=origin)
    right = write(tmp_path / "right.tif", field[:, 60:], transform=origin @ Affine.translation(60, 0))
    grid = grid_at(500003, 4999996, shape=(98, 128))
    assert np.array_equal(load([left, right], grid, resampling=resampling), load([whole], grid, resampling=resampling))


def test_where_assets_overlap_the_first_valid_pixel_wins(tmp_path):
    first = np.full((40, 40), 1.0, "f4")
    first[:10] = np.nan
    origin = from_origin(500000, 5000000, 10, 10)
    a = write(tmp_path / "a.tif", first, transform=origin)
    b = write(tmp_path / "b.tif", np.full((40, 40), 2.0, "f4"), transform=origin @ Affine.translation(0.5, 0.5))
    got = load([a, b], grid_at(500000, 5000000, shape=(45, 45)))
    assert (got[10:40, :40] == 1).all()
    assert (got[1:10, 1:40] == 2).all()
    assert np.isnan(got[42:, 42:]).all()


def test_a_coarser_grid_averages_instead_of_picking(tmp_path):
    speckle = np.random.default_rng(3).gamma(1.0, 1.0, (400, 400)).astype("f4")
    path = write(tmp_path / "a.tif", speckle, transform=from_origin(500000, 5000000, 10, 10))
    got = load([path], grid_at(500000, 5000000, shape=(50, 50), pixel=80.0))
    assert abs(got.mean() - 1) < 0.03
    assert got[2:-2, 2:-2].var() < 0.03  # a triangle over 8 x 8 pixels holds > 60 looks


def test_strips_that_bound_the_memory_change_nothing(tmp_path, field, monkeypatch):
    path = write(tmp_path / "a.tif", field, transform=from_origin(500000, 5000000, 10, 10))
    grid = grid_at(500000, 5000000, shape=(30, 40), pixel=33.0)
    whole = load([path], grid)
    read = []
    monkeypatch.setattr(mosaic, "MAX_SOURCE_PIXELS", 2_000)
    monkeypatch.setattr(mosaic, "_strip", lambda *given, **more: read.append(len(given[4])) or _strip(*given, **more))
    assert np.array_equal(load([path], grid), whole, equal_nan=True)
    assert len(read) > 4
    assert max(read) * 40 * 3.3**2 <= 2_000


def test_tiles_across_the_antimeridian_are_neighbours(tmp_path):
    columns = np.broadcast_to(np.arange(100, dtype="f4"), (100, 100))
    west = write(tmp_path / "w.tif", columns, crs="EPSG:4326", transform=from_origin(179.9, -16.9, 0.001, 0.001))
    east = write(tmp_path / "e.tif", columns + 100, crs="EPSG:4326", transform=from_origin(-180.0, -16.9, 0.001, 0.001))
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:32701", always_xy=True).transform(-180.0, -16.95)
    grid = grid_at(x - 3000, y + 1000, shape=(60, 60), pixel=100.0, crs="EPSG:32701")
    for paths in ([west, east], [east, west]):
        got = load(paths, grid)
        assert np.isfinite(got).all()
        assert np.allclose(np.diff(got, axis=1), 0.94, atol=0.1)  # 100 m is 0.94 thousandths of a degree here
    assert len(aligned(assets_of((item_of(west), item_of(east)), "vv", sign=str))) == 1


def test_a_constant_stays_that_constant_under_every_kernel():
    grid = grid_at(500000, 5000000).geobox
    locator = Locator(grid, "EPSG:32633", (7.3, 0, 499900, 0, -7.3, 5000100))
    nodes, first = locator.nodes(range(60), range(70))
    offset = (-first[0], -first[1])
    source = np.full((130, 140), 3.25, np.float32)
    for kernel in Kernel:
        assert np.allclose(resample(source, nodes, offset, (60, 70), kernel, locator.pixel_ratio((60, 70))), 3.25)


def test_nothing_over_the_grid_is_not_observed(tmp_path, field):
    path = write(tmp_path / "a.tif", field, transform=from_origin(700000, 5000000, 10, 10))
    assert np.isnan(load([path], grid_at(500000, 4000000))).all()
    assert np.isnan(load_band((), grid_at(500000, 4000000))).all()


class TestAssetsThatCannotBeUsed:
    origin = from_origin(500000, 5000000, 10, 10)

    def test_missing(self, tmp_path):
        with pytest.raises(AssetError, match="'vv' of item gone"):
            assets_of((item_of(tmp_path / "gone.tif"),), "vv", sign=str)

    def test_not_found_over_http(self):
        server = HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            item = CatalogItem(
                item_id="far",
                collection="c",
                start=NOW,
                end=NOW,
                footprint=ANYWHERE,
                assets={"vv": f"http://127.0.0.1:{server.server_port}/no-such-file.tif"},
            )
            with pytest.raises(AssetError, match=r"'vv' of item far cannot be read.*404"):
                assets_of((item,), "vv", sign=lambda href: f"{href}?token=SECRET")
        finally:
            server.shutdown()
            server.server_close()

    @pytest.mark.parametrize("code", [404, 500])
    def test_trying_again_asks_the_archive_again(self, tmp_path, field, code):
        write(tmp_path / "a.tif", field, transform=self.origin)

        class Flaky(SimpleHTTPRequestHandler):
            broken = True

            def __init__(self, *arguments):
                super().__init__(*arguments, directory=str(tmp_path))

            def send_head(self):
                return self.send_error(code) if Flaky.broken else super().send_head()

        server = ThreadingHTTPServer(("127.0.0.1", 0), Flaky)
        Thread(target=server.serve_forever, daemon=True).start()
        href = f"http://127.0.0.1:{server.server_port}/a.tif"
        item = CatalogItem(item_id="far", collection="c", start=NOW, end=NOW, footprint=ANYWHERE, assets={"vv": href})
        once = {"GDAL_HTTP_MAX_RETRY": "0"}
        try:
            for _ in range(2):
                with pytest.raises(AssetError, match=str(code)):
                    assets_of((item,), "vv", sign=lambda url: f"{url}?token=SECRET", gdal=once)
            Flaky.broken = False
            found = assets_of((item,), "vv", sign=lambda url: f"{url}?token=SECRET", gdal=once)
            assert np.array_equal(found[0].read(slice(0, 50), slice(0, 60)), field[:50, :60])
        finally:
            server.shutdown()
            server.server_close()

    @pytest.mark.parametrize(
        ("code", "kind", "body", "says"),
        [
            (403, "text/html", b"<html>Forbidden</html>", "HTTP 403 Forbidden: credentials or a signature are missing"),
            (429, "text/plain", b"", "HTTP 429 Too Many Requests; try again later"),
            (416, "text/plain", b"", "the file is empty"),
            (200, "text/html", b"<html>Log in</html>", "a web page and not with a raster"),
            (200, "image/tiff", b"II*nonsense", "not a raster"),
        ],
    )
    def test_what_a_server_says_in_place_of_a_raster(self, code, kind, body, says):
        class Refusing(SimpleHTTPRequestHandler):
            def do_GET(self):
                self.send_response(code)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            href = f"http://127.0.0.1:{server.server_port}/a.tif?sig=SECRET"
            with pytest.raises(AssetError) as caught, opened("far", "vv", href, {"GDAL_HTTP_MAX_RETRY": "0"}):
                pytest.fail("it was opened")
        finally:
            server.shutdown()
            server.server_close()
        assert says in str(caught.value)
        assert "SECRET" not in str(caught.value)
        assert ".." not in str(caught.value)

    def test_key_not_there(self, tmp_path, field):
        path = write(tmp_path / "a.tif", field, transform=self.origin)
        with pytest.raises(AssetError, match="no asset 'vh'; it has: vv"):
            assets_of((item_of(path),), "vh", sign=str)

    def test_no_crs(self, tmp_path, field):
        path = write(tmp_path / "a.tif", field, crs=None, transform=self.origin)
        with pytest.raises(AssetError, match="no coordinate reference system"):
            assets_of((item_of(path),), "vv", sign=str)

    @pytest.mark.parametrize("fill", [0.0, -32768.0, np.nan])
    def test_no_data_at_all(self, tmp_path, fill):
        path = write(tmp_path / "a.tif", np.full((100, 100), fill, "f4"), transform=self.origin, nodata=-32768)
        with pytest.raises(AssetError, match="no data at all"):
            assets_of((item_of(path),), "vv", sign=str, invalid=(0.0,))

    def test_one_valid_pixel_is_data(self, tmp_path):
        values = np.zeros((200, 200), "f4")
        values[199, 199] = 0.1
        path = write(tmp_path / "a.tif", values, transform=self.origin)
        assert len(assets_of((item_of(path),), "vv", sign=str, invalid=(0.0,))) == 1

    def test_truncated_file_is_an_error_and_not_no_data(self, tmp_path):
        values = np.random.default_rng(0).random((512, 512), "f4")
        path = write(tmp_path / "a.tif", values, transform=self.origin)
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
        with pytest.raises(AssetError, match="item a cannot be read"):
            load([path], grid_at(500000, 5000000, shape=(512, 512)), chunk=256)

    def test_a_signed_href_is_not_shown(self, tmp_path):
        item = item_of(tmp_path / "gone.tif")
        with pytest.raises(AssetError) as caught:
            assets_of((item,), "vv", sign=lambda href: f"{href}?sig=SECRET")
        assert "SECRET" not in str(caught.value)

    def test_unknown_resampling(self):
        with pytest.raises(UnknownNameError, match="nearest, bilinear, cubic"):
            kernel_named("lanczos")
