"""Two maps against each other: same grid, other grid, polygons, folders; against direct counts."""

import geopandas
import numpy as np
import pytest
import rasterio
from rasterio.features import shapes
from rasterio.transform import from_origin
from rasterio.warp import Resampling, reproject
from shapely.geometry import box, shape
from typer import Typer
from typer.testing import CliRunner

from pipeline_lib.errors import ContractError, InputError, RasterError
from pipeline_lib.evaluate import confusion, score
from pipeline_lib.options.evaluate import ScoreOptions
from pipeline_lib.steps.score import score_maps
from pipeline_lib.steps.segment import segment_raster

UTM = {"crs": "EPSG:32632", "transform": from_origin(500_000, 5_000_000, 10, 10)}
QUICK = {"resamples": 20}


def write(path, codes, nodata=255, **place):
    path.parent.mkdir(parents=True, exist_ok=True)
    place = UTM | place
    with rasterio.open(
        path,
        "w",
        "GTiff",
        width=codes.shape[1],
        height=codes.shape[0],
        count=1,
        dtype=codes.dtype,
        nodata=nodata,
        **place,
    ) as raster:
        raster.write(codes, 1)
    return path


def maps(size=300, seed=0):
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:size, :size]
    truth = ((row - size / 2) ** 2 + (column - size / 2) ** 2 < (size / 3) ** 2).astype(np.uint8)
    ours = np.roll(truth, 4, axis=1)
    ours[rng.uniform(size=truth.shape) < 0.02] = 255
    ours[:10] = 254
    truth[-10:] = 255
    return ours, truth


def test_same_grid_counts_as_numpy_does(tmp_path):
    ours, truth = maps()
    got = score_maps(write(tmp_path / "a.tif", ours), write(tmp_path / "b.tif", truth), ScoreOptions(**QUICK))
    assert got.scores.pooled == score(confusion(ours, truth))
    assert got.ignored_pixels == ((ours > 1) | (truth > 1)).sum()
    assert got.scores.pooled.confusion.ignored == got.ignored_pixels


def test_blocks_add_up(tmp_path, monkeypatch):
    from pipeline_lib.steps import score as module

    ours, truth = maps()
    monkeypatch.setattr(module, "BLOCK", 64)
    got = score_maps(write(tmp_path / "a.tif", ours), write(tmp_path / "b.tif", truth), ScoreOptions(**QUICK))
    assert got.scores.pooled == score(confusion(ours, truth))
    assert len(got.chips) == 25


@pytest.mark.parametrize("grid", ["predicted", "reference"])
def test_a_map_in_degrees_is_laid_over(tmp_path, grid):
    ours, truth = maps()
    degrees = np.full((180, 190), 255, np.uint8)
    place = {"crs": "EPSG:4326", "transform": from_origin(8.9995, 45.1540, 0.0002, 0.00018)}
    reproject(
        truth, degrees, src_crs=UTM["crs"], src_transform=UTM["transform"], dst_crs=place["crs"],
        dst_transform=place["transform"], src_nodata=255, dst_nodata=255, resampling=Resampling.nearest,
    )  # fmt: skip
    paths = write(tmp_path / "a.tif", ours), write(tmp_path / "gfm.tif", degrees, **place)
    got = score_maps(*paths, ScoreOptions(reference_format="gfm", grid=grid, **QUICK))
    direct = score(confusion(ours, truth))
    assert got.scores.pooled.water_iou == pytest.approx(direct.water_iou, abs=0.02)
    assert got.scores.pooled.area_bias == pytest.approx(direct.area_bias, abs=0.02)


def test_dswx_codes(tmp_path):
    truth = np.array([[0, 1, 3, 250, 251, 255]], np.uint8)
    ours = np.array([[0, 1, 1, 1, 1, 1]], np.uint8)
    paths = write(tmp_path / "a.tif", ours), write(tmp_path / "b.tif", truth)
    counts = score_maps(*paths, ScoreOptions(reference_format="dswx-s1", **QUICK)).scores.pooled.confusion
    assert (counts.true_positive, counts.true_negative, counts.false_positive, counts.ignored) == (2, 1, 0, 3)


def test_polygons_in_one_command(tmp_path):
    ours, truth = maps()
    truth[-10:] = 0
    outlines = [shape(s) for s, value in shapes(truth, transform=UTM["transform"]) if value == 1]
    frame = geopandas.GeoDataFrame(geometry=outlines, crs=UTM["crs"]).to_crs("EPSG:4326")
    frame.to_file(tmp_path / "ems.geojson")
    event = tmp_path / "event"
    write(event / "current" / "event" / "flood_extent.tif", ours)
    from flows.commands.evaluate import register

    app = Typer()
    register(app)
    done = CliRunner().invoke(
        app, ["score", str(event), str(tmp_path / "ems.geojson"), "--out", str(tmp_path / "s.json")]
    )
    assert done.exit_code == 0, done.output
    got = score_maps(event, tmp_path / "ems.geojson", ScoreOptions(**QUICK))
    assert got.scores.pooled.water_iou == pytest.approx(score(confusion(ours, truth)).water_iou, abs=0.002)
    assert "water IoU, pooled" in done.output


def test_dry_ends_where_the_reference_was_not_mapped(tmp_path):
    ours = np.ones((50, 50), np.uint8)
    west, north = 500_000, 5_000_000
    water = geopandas.GeoDataFrame(geometry=[box(west, north - 250, west + 250, north)], crs=UTM["crs"])
    area = geopandas.GeoDataFrame(geometry=[box(west, north - 500, west + 250, north)], crs=UTM["crs"])
    water.to_file(tmp_path / "water.gpkg")
    area.to_file(tmp_path / "area.gpkg")
    got = score_maps(
        write(tmp_path / "a.tif", ours), tmp_path / "water.gpkg", ScoreOptions(area=tmp_path / "area.gpkg", **QUICK)
    )
    counts = got.scores.pooled.confusion
    assert (counts.true_positive, counts.false_positive, counts.ignored) == (625, 625, 1250)


def test_pixel_area_is_the_grids(tmp_path):
    ours, truth = np.ones((20, 20), np.uint8), np.zeros((20, 20), np.uint8)
    got = score_maps(write(tmp_path / "a.tif", ours), write(tmp_path / "b.tif", truth), ScoreOptions(**QUICK))
    assert got.scores.dry_chips.false_alarm_km2 == pytest.approx(400 * 1e-4)


def test_mistakes_are_named(tmp_path):
    ours, truth = maps(40)
    path = write(tmp_path / "a.tif", ours)
    with pytest.raises(InputError, match="neither a raster"):
        score_maps(tmp_path / "nothing", path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no layer 'flood_extent'"):
        score_maps(tmp_path / "empty", path)
    (tmp_path / "bad.tif").write_text("no raster")
    with pytest.raises(RasterError, match=r"bad\.tif"):
        score_maps(path, tmp_path / "bad.tif")
    far = write(tmp_path / "far.tif", truth, transform=from_origin(900_000, 5_000_000, 10, 10))
    with pytest.raises(ContractError, match="valid in both"):
        score_maps(path, far)
    with pytest.raises(RasterError, match="coordinate reference system"):
        score_maps(path, write(tmp_path / "none.tif", truth, crs=None))


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("split-merge", {}),
        ("hysteresis", {"seed": -18, "tolerance": -14}),
        ("region-growing", {"seed": -15}),
        ("kmeans", {"sample": 2000}),
    ],
)
def test_segments_of_a_radar_raster(tmp_path, recipes, method, parameters):
    rng = np.random.default_rng(0)
    water = recipes.lake(80, 20)
    sar = np.stack([recipes.decibel(water, "vv", rng), recipes.decibel(water, "vh", rng)])
    recipes.raster(tmp_path / "s1.tif", sar, ("VV", "VH"))
    count = segment_raster(tmp_path / "s1.tif", tmp_path / "out" / "labels.tif", method=method, parameters=parameters)
    with rasterio.open(tmp_path / "out" / "labels.tif") as raster:
        labels = raster.read(1)
        assert raster.crs == "EPSG:4326"
    assert count == len(np.unique(labels[labels > 0])) >= 1
    inside = labels[35:45, 35:45]
    assert (inside == np.bincount(inside.ravel()).argmax()).mean() > 0.6
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["labels.tif"]


def test_segments_of_an_optical_raster(tmp_path, recipes):
    kind = recipes.lake(60, 15).astype(np.float32)
    image = np.stack([0.05 + 0.3 * (1 - kind), 0.1 + 0.2 * (1 - kind)]).astype(np.float32)
    recipes.raster(tmp_path / "s2.tif", image)
    assert segment_raster(tmp_path / "s2.tif", tmp_path / "l.tif", optical=True) == 2
    with pytest.raises(InputError, match="max_spred"):
        segment_raster(tmp_path / "s2.tif", tmp_path / "l.tif", optical=True, parameters={"max_spred": 1})
    with pytest.raises(InputError, match="quadtree"):
        segment_raster(tmp_path / "s2.tif", tmp_path / "l.tif", method="quadtree")
