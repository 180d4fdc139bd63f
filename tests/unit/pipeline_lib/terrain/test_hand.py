"""HAND against valleys with a known answer, a slow literal twin and pyflwdir."""

import heapq
from threading import get_ident
from time import sleep

import dask.array as da
import numpy as np
import pyflwdir
import pytest
import rasterio
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from skimage.morphology import reconstruction

from pipeline_lib.terrain import height_above_nearest_drainage, terrain_of
from pipeline_lib.terrain.flow import OUTLET, STEP_X, STEP_Y, UNKNOWN, _flood, flow_directions, upstream_area
from pipeline_lib.terrain.hand import TILES_AT_A_TIME, _tiled, hand


def raster(values: np.ndarray, pixel=10.0) -> xr.DataArray:
    y = 5_000_000 - pixel * (np.arange(values.shape[0]) + 0.5)
    x = 500_000 + pixel * (np.arange(values.shape[1]) + 0.5)
    return xr.DataArray(values.astype("f4"), dims=("y", "x"), coords={"y": y, "x": x})


def fractal(shape, seed, beta=2.2, relief=120.0) -> np.ndarray:
    spectrum = np.fft.rfft2(np.random.default_rng(seed).normal(size=shape))
    ky, kx = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None]
    k = np.hypot(ky, kx)
    k[0, 0] = 1
    field = np.fft.irfft2(spectrum * k**-beta, shape)
    return (relief * (field - field.min()) / np.ptp(field)).astype("f4")


def twin(z: np.ndarray, pixel: float, channel_pixels: float) -> tuple[np.ndarray, np.ndarray]:
    """Fill by a plain priority queue, follow each pixel's own path step by step: filled elevation and HAND."""
    rows, columns = z.shape
    neighbours = [(p, q) for p in (-1, 0, 1) for q in (-1, 0, 1) if p or q]
    inside = lambda i, j: 0 <= i < rows and 0 <= j < columns  # noqa: E731
    outlet = np.zeros(z.shape, bool)
    for i, j in np.argwhere(~np.isnan(z)):
        outlet[i, j] = any(not inside(i + p, j + q) or np.isnan(z[i + p, j + q]) for p, q in neighbours)
    filled, seen = z.copy(), outlet.copy()
    queue = [(z[i, j], i, j) for i, j in np.argwhere(outlet)]
    heapq.heapify(queue)
    while queue:
        level, i, j = heapq.heappop(queue)
        for p, q in neighbours:
            a, b = i + p, j + q
            if inside(a, b) and not seen[a, b] and not np.isnan(z[a, b]):
                seen[a, b] = True
                filled[a, b] = max(level, z[a, b])
                heapq.heappush(queue, (filled[a, b], a, b))
    directions, _ = flow_directions(z, pixel, pixel)  # the way across a flat is a matter of convention
    area, reference = np.zeros(z.shape), np.full(z.shape, np.nan)
    paths = {}
    for start in map(tuple, np.argwhere(~np.isnan(z))):
        path, (i, j) = [start], start
        while directions[i, j] >= 0:
            drops = {(p, q): (filled[i, j] - filled[i + p, j + q]) / np.hypot(p, q) / pixel for p, q in neighbours}
            step = STEP_Y[directions[i, j]], STEP_X[directions[i, j]]
            assert drops[step] >= max(*drops.values(), 0) - 1e-6  # steepest descent, wherever there is any
            i, j = i + step[0], j + step[1]
            path.append((i, j))
            assert len(path) <= z.size
        paths[start] = path
        for place in path:
            area[place] += 1
    for start, path in paths.items():
        drain = next((place for place in path if area[place] >= channel_pixels), path[-1])
        reference[start] = z[drain]
    return area, np.maximum(z - reference, 0)


@given(seed=st.integers(0, 500), holes=st.integers(0, 12), step=st.sampled_from([0.0, 5.0]))
def test_the_slow_twin_agrees(seed, holes, step):
    z = fractal((18, 23), seed)
    if step:
        z = np.floor(z / step) * step  # flats and plateaus
    generator = np.random.default_rng(seed)
    z[generator.integers(0, 18, holes), generator.integers(0, 23, holes)] = np.nan
    directions, order = flow_directions(z, 10, 10)
    area, expected = twin(z, 10, 12)
    assert np.array_equal(upstream_area(directions, order), area)
    assert np.allclose(hand(z, 10, 10, 12), expected, equal_nan=True)


def test_v_valley_has_its_side_slope_times_distance():
    rows, columns, side, fall = 200, 101, 0.05, 0.01
    i, j = np.indices((rows, columns))
    distance = 10.0 * np.abs(j - 50)
    z = side * distance - fall * 10.0 * i + 100
    got = height_above_nearest_drainage(raster(z), drainage_area_km2=0.05).to_numpy()
    inner = np.s_[60:190, 10:91]
    assert np.allclose(got[inner], (side * distance)[inner], atol=1e-3)  # D8: straight down the side, the steepest way


def test_a_depression_spills_and_below_its_drainage_is_zero():
    z = np.add.outer(np.linspace(50, 30, 60), np.abs(np.arange(41) - 20) * 0.5).astype("f4")
    z[25:32, 18:23] = 5
    got = hand(z, 10, 10, 50)
    assert got[28, 20] == 0
    assert (got >= 0).all()


def test_beside_the_sea_height_is_above_the_shore():
    z = np.add.outer(np.zeros(40), np.arange(60) * 0.2).astype("f4")
    z[:, :10] = np.nan
    got = hand(z, 10, 10, 1e9)
    assert np.isnan(got[:, :10]).all()
    assert np.allclose(got[5:-5, 15], z[5:-5, 15] - z[5:-5, 10], atol=1e-4)


def without_depressions(z):
    """Fill every depression to its spill level, so that no way down leads up again."""
    lid = np.full_like(z, z.max())
    lid[[0, -1], :], lid[:, [0, -1]] = z[[0, -1], :], z[:, [0, -1]]
    return reconstruction(lid, z, method="erosion").astype(z.dtype)


@given(seed=st.integers(0, 99), lift=st.floats(-300, 3000, width=32))
def test_lifting_the_land_changes_nothing_and_a_lower_threshold_only_lowers(seed, lift):
    z = without_depressions(np.round(fractal((40, 50), seed) * 4) / 4)
    lift = np.round(lift * 4) / 4
    first = hand(z, 10, 10, 60)
    assert np.array_equal(first, hand(z + np.float32(lift), 10, 10, 60))
    assert (hand(z, 10, 10, 20) <= first + 1e-5).all()  # nearer channels lie higher: water only runs down
    assert (first >= 0).all()


@given(seed=st.integers(0, 99))
def test_every_known_pixel_drains_and_the_area_is_conserved(seed):
    z = fractal((30, 37), seed)
    z[np.random.default_rng(seed).random(z.shape) < 0.1] = np.nan
    directions, order = flow_directions(z, 10, 10)
    assert np.array_equal(directions == UNKNOWN, np.isnan(z))
    assert upstream_area(directions, order)[directions == OUTLET].sum() == np.isfinite(z).sum()
    assert sorted(order) == list(np.flatnonzero(np.isfinite(z)))


@pytest.mark.parametrize("chunks", [(37, 41), (200, 30), (128, 128)])
def test_chunks_do_not_matter(chunks):
    z = fractal((200, 220), 4)
    lazy = raster(z).copy(data=da.from_array(z, chunks=chunks))
    got = height_above_nearest_drainage(lazy, drainage_area_km2=0.02)
    assert got.chunks == lazy.chunks
    assert np.array_equal(got, height_above_nearest_drainage(raster(z), drainage_area_km2=0.02))
    tiled = height_above_nearest_drainage(lazy, drainage_area_km2=0.02, tile=64, margin=16)
    again = height_above_nearest_drainage(lazy.chunk(y=50, x=200), drainage_area_km2=0.02, tile=64, margin=16)
    assert np.array_equal(tiled, again)
    assert np.array_equal(tiled, height_above_nearest_drainage(raster(z), drainage_area_km2=0.02, tile=64, margin=16))


def test_tiles_are_those_of_an_overlap_and_hold_nothing_for_each_other():
    z = fractal((200, 220), 4)
    z[30:60, 90:130] = np.nan
    lazy = raster(z).copy(data=da.from_array(z, chunks=(50, 70)))
    tiled = height_above_nearest_drainage(lazy, drainage_area_km2=0.02, tile=64, margin=16)
    cuts = ((50,) * 4, (55,) * 4)
    sizes = {"height": 10, "width": 10, "channel_pixels": 200}
    overlapping = da.from_array(z, chunks=cuts).map_overlap(hand, depth=16, boundary="none", dtype="f4", **sizes)
    assert np.array_equal(tiled, overlapping.compute(), equal_nan=True)
    alone = _tiled(lazy.data, single=False, tile=64, margin=16, sizes=tuple(sizes.values()))
    assert alone.chunks == cuts
    assert len(alone.dask) == alone.npartitions  # one task a tile: no task hands a part of its elevation to another
    assert alone.blocks[1, 1].compute().base is None  # a view would hold the margin


def test_so_many_tiles_at_a_time_whatever_the_threads(monkeypatch):
    running, most = set(), []

    def watched(elevation, *_):
        running.add(get_ident())
        most.append(len(running))
        sleep(0.01)
        running.discard(get_ident())
        return elevation

    monkeypatch.setattr("pipeline_lib.terrain.hand.hand", watched)
    lazy = raster(fractal((200, 220), 4)).chunk(y=50, x=70)
    tiled = height_above_nearest_drainage(lazy, tile=32, margin=8)
    assert np.array_equal(tiled.compute(scheduler="threads", num_workers=16), lazy)
    assert 1 <= max(most) <= TILES_AT_A_TIME


def test_tiles_agree_with_the_whole_where_the_margin_holds_the_channels():
    z = fractal((500, 520), 9, relief=200)
    whole = height_above_nearest_drainage(raster(z), drainage_area_km2=0.004)
    tiled = height_above_nearest_drainage(raster(z), drainage_area_km2=0.004, tile=260, margin=64)
    assert (np.abs(tiled - whole) > 1).mean() < 0.01
    assert ((tiled < 10) == (whole < 10)).mean() > 0.99


ESRI = np.array([32, 64, 128, 16, 1, 8, 4, 2], np.uint8)  # codes of pyflwdir's "d8" in the order of STEP_Y, STEP_X


def against_pyflwdir(z: np.ndarray, channel_pixels: float) -> None:
    """Same depressions filled, and from the same directions the same upstream area and the same HAND."""
    directions, order = flow_directions(z, 1, 1)
    filled, _ = pyflwdir.dem.fill_depressions(np.where(np.isnan(z), -9999, z), nodata=-9999.0, outlets="edge")
    ours = z.copy()
    _flood(ours, np.full(z.shape, UNKNOWN, np.int8), np.empty(np.isfinite(z).sum(), np.int32))
    assert np.allclose(ours, np.where(np.isnan(z), np.nan, filled), atol=1e-5, equal_nan=True)
    codes = np.where(directions >= 0, ESRI[directions], np.where(directions == OUTLET, 0, 247)).astype(np.uint8)
    flow = pyflwdir.from_array(codes, ftype="d8")
    area = flow.upstream_area("cell")
    assert np.array_equal(upstream_area(directions, order), np.maximum(area, 0))
    drains = (area >= channel_pixels) | (directions == OUTLET)
    expected = np.maximum(flow.hand(drains, np.where(np.isnan(z), -9999, z)), 0)
    assert np.allclose(hand(z, 1, 1, channel_pixels), np.where(np.isnan(z), np.nan, expected), equal_nan=True)


@pytest.mark.parametrize("holes", [0, 300])
def test_pyflwdir_agrees_on_fractal_terrain(holes):
    z = fractal((200, 220), 11)
    generator = np.random.default_rng(3)
    z[generator.integers(0, 200, holes), generator.integers(0, 220, holes)] = np.nan
    against_pyflwdir(z, 200)


@pytest.mark.slow
def test_pyflwdir_agrees_on_real_elevation_and_terrain_is_plausible(real_data):
    files = sorted((real_data / "terramind_examples" / "examples" / "DEM").glob("*.tif"))
    assert files
    for file in files:
        with rasterio.open(file) as dataset:
            z = dataset.read(1).astype("f4")  # whole metres: half of the pixels lie on flats
        against_pyflwdir(z, 1000)
        terrain = terrain_of(raster(ndimage.gaussian_filter(z, 1.0)), drainage_area_km2=0.1)
        assert set(terrain) == {"elevation_m", "slope_deg", "hand_m"}
        assert all(terrain[name].dtype == "float32" for name in terrain)
        assert np.isfinite(terrain["hand_m"]).all()
        assert float(terrain["hand_m"].max()) <= np.ptp(z)
        assert float(terrain["slope_deg"].max()) < 75
