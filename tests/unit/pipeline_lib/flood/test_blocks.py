"""No layer of a flood map or an event depends on the size of the windows: many small ones against one that holds all."""

from datetime import datetime, timedelta, timezone
from functools import cache

import numpy as np
import pytest
import shapely
import xarray as xr
from rasterio.transform import Affine

from pipeline_lib.flood import derive_flood, mosaic, reference_water
from pipeline_lib.flood.archive import archive_statistics
from pipeline_lib.flood.area import inside_area
from pipeline_lib.flood.depth import UNKNOWN_CM, water_depth
from pipeline_lib.flood.polygons import flood_polygons
from pipeline_lib.model import Grid
from pipeline_lib.options.derive import BrighteningOptions, DeriveOptions, ReferenceOptions

SHAPE = (270, 330)
WHOLE_PX = 1024
SIZES = pytest.mark.parametrize("block_px", [64, 128])
GRID = Grid(crs="EPSG:32632", transform=(10.0, 0.0, 500_000.0, 0.0, -10.0, 4_900_000.0), shape=SHAPE)
OPTIONS = {
    name: DeriveOptions(
        advisory_cell_m=320.0,
        brightening=BrighteningOptions(reach_m=reach_m, window_m=window_m),
        min_mapping_unit_m2=min_m2,
    )
    # One after the other looks farthest over the edge of a window.
    for name, reach_m, window_m, min_m2 in (("all", 150, 50, 1500), ("reach", 150, 50, 0), ("box", 50, 200, 0))
}
START = datetime(2024, 5, 1, 6, tzinfo=timezone.utc)


def layer(values, dtype=None) -> xr.DataArray:
    axes = GRID.geobox.coordinates
    coords = {"y": axes["y"].values, "x": axes["x"].values}
    return xr.DataArray(np.asarray(values, dtype), dims=("y", "x"), coords=coords, attrs={"units": "1"})


def speckled(mean, seed, passes=None):
    shape = SHAPE if passes is None else (passes, *SHAPE)
    power = np.broadcast_to(mean, shape) * np.random.default_rng(seed).gamma(4.4, 1 / 4.4, shape)
    power[..., np.random.default_rng(seed + 1).random(SHAPE) < 0.02] = np.nan
    power[..., 120:135, :40] = np.nan
    return power.astype(np.float32)


@cache
def places():
    """A river, a flood about it, a wood and a town of which a part is flooded, dark land far from water, and a pond."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    off = np.abs(y - 135 - 30 * np.sin(x / 40))
    return {
        "river": off < 8,
        "flood": off < 40,
        "wood": (off >= 40) & (off < 60) & (x % 110 < 50),
        "town": (off >= 40) & (off < 70) & (x % 110 > 80),
        "dark": (y > 240) & (x < 120),
        "pond": (y >= 120) & (y < 137) & (x > 290) & (x < 326),
    }


@cache
def history() -> xr.Dataset:
    at = places()
    kinds = [at["river"] | at["dark"] | at["pond"], at["wood"], at["town"]]
    power = {"vv": np.select(kinds, [0.012, 0.1, 0.4], 0.08), "vh": np.select(kinds, [0.002, 0.03, 0.03], 0.016)}
    axes = layer(np.zeros(SHAPE)).coords
    stack = {name: (("time", "y", "x"), speckled(mean, 10, passes=5)) for name, mean in power.items()}
    return xr.Dataset(stack, coords=axes)


@cache
def occurrence() -> xr.DataArray:
    """The river, and of the pond what lies below a window's edge: the archive sees the shore above it."""
    lower = places()["pond"] & (np.arange(SHAPE[0]) >= 128)[:, None]
    percent = np.where(places()["river"] | lower, 90.0, 0.0)
    percent[:, 150:160] = np.nan
    return layer(percent, np.float32)


@cache
def terrain() -> xr.Dataset:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    off = np.abs(y - 135 - 30 * np.sin(x / 40))
    ground = 0.05 * off + 0.01 * x + np.random.default_rng(5).normal(0, 0.2, SHAPE)
    ground[60:63] = np.nan
    slope = np.where(np.random.default_rng(6).random(SHAPE) < 0.03, 20.0, 1.0)
    layers = {"elevation_m": ground, "hand_m": 0.05 * off, "slope_deg": slope}
    return xr.Dataset({name: layer(values, np.float32) for name, values in layers.items()})


@cache
def observed(number: int) -> tuple[xr.Dataset, xr.Dataset]:
    """WaterExtent and Scene of a pass: the flood falls from pass to pass; in the west one pixel in forty is wrong."""
    at, rng = places(), np.random.default_rng(20 + number)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    off = np.abs(y - 135 - 30 * np.sin(x / 40))
    wet = at["river"] | (off < 40 - 12 * number) | ((off > 80) & (x % 60 < 8) & (y % 50 < 8))
    dry_soil = (x < 100) & (y < 60)
    lit = (at["wood"] | at["town"]) & (x < 280)
    power = {
        "vv": np.select([wet, lit, dry_soil], [0.012, 0.7, 0.02], 0.08),
        "vh": np.select([wet, lit], [0.002, 0.035], 0.016),
    }
    scene = xr.Dataset({name: layer(speckled(mean, 30 + number)) for name, mean in power.items()})
    scene.attrs = {"backscatter": "gamma0", "acquisition_id": f"pass-{number}"}
    lost = np.isnan(scene["vv"].values)
    found = wet ^ ((rng.random(SHAPE) < 0.025) & (x < 120))
    likelihood = np.clip(np.where(found, 0.9, 0.1) + rng.normal(0, 0.03, SHAPE), 0, 1)
    water = xr.Dataset(
        {
            "water": layer(np.where(lost, 255, found), np.uint8),
            "likelihood": layer(np.where(lost, np.nan, likelihood), np.float32),
            "excluded": layer(np.where((x > 300) & ~lost, 1, 0), np.uint16),
        }
    )
    return water, scene


@cache
def reference(block_px: int = WHOLE_PX) -> xr.DataArray:
    return reference_water(occurrence(), history(), block_px=block_px).compute()


@cache
def derived(number: int, block_px: int = WHOLE_PX, options: str = "all") -> xr.Dataset:
    water, scene = observed(number)
    flood = derive_flood(water, reference(), terrain(), scene, OPTIONS[options], history(), block_px=block_px)
    return flood.compute()


@SIZES
def test_statistics_of_the_archive(block_px):
    whole = archive_statistics(history(), ReferenceOptions(), block_px=WHOLE_PX).compute()
    assert float(whole["dark_share"].max()) == 1
    xr.testing.assert_identical(archive_statistics(history(), ReferenceOptions(), block_px=block_px).compute(), whole)


@SIZES
def test_reference_water(block_px):
    assert set(np.unique(reference())) >= {0, 1}
    dark = places()["dark"]
    assert (reference().values[dark] == 0).mean() > 0.5, "dark land far from water is no water"
    xr.testing.assert_identical(reference(block_px), reference())


@SIZES
@pytest.mark.parametrize("options", list(OPTIONS))
def test_flood(options, block_px):
    whole = derived(0, WHOLE_PX, options)
    assert set(np.unique(whole["flood_class"])) == {0, 1, 2, 3, 4, 254, 255}
    assert (whole["advisory"] > 0).any()
    xr.testing.assert_identical(derived(0, block_px, options), whole)


@SIZES
def test_small_objects_without_an_archive(block_px):
    """Nothing but the size of objects looks over the edge: winding ones, some of them just large enough."""
    found = np.random.default_rng(8).random(SHAPE) < 0.36
    water = xr.Dataset(
        {
            "water": layer(found, np.uint8),
            "likelihood": layer(np.where(found, 0.9, 0.1), np.float32),
            "excluded": layer(np.zeros(SHAPE), np.uint16),
        }
    )
    options = OPTIONS["all"].model_copy(update={"min_mapping_unit_m2": 4000.0})
    none, scene = layer(np.zeros(SHAPE), np.uint8), observed(0)[1]
    whole, pieces = (
        derive_flood(water, none, None, scene, options, block_px=size).compute() for size in (WHOLE_PX, block_px)
    )
    assert 0.02 < (whole["flood_extent"] == 1).mean() < 0.9 * found.mean()
    xr.testing.assert_identical(pieces, whole)


@SIZES
def test_depth(block_px):
    flood = derived(0)
    layers = flood["flood_extent"], flood["water_extent"], terrain()["elevation_m"]
    whole = water_depth(*layers, reach_px=12, block_px=WHOLE_PX).values.astype(int)
    found = water_depth(*layers, reach_px=12, block_px=block_px).values.astype(int)
    assert (whole != UNKNOWN_CM).mean() > 0.05
    np.testing.assert_array_equal(found == UNKNOWN_CM, whole == UNKNOWN_CM)
    # The mean surface is a running sum: a half centimetre may be rounded the other way.
    assert np.abs(found - whole).max() <= 1
    assert (found != whole).mean() < 1e-3


@SIZES
@pytest.mark.parametrize("rule", ["latest", "maximum", "count"])
def test_event(rule, block_px):
    passes = [(START + timedelta(hours=36 * number), derived(number)) for number in range(3)]
    ring = {"type": "Polygon", "coordinates": [[[9.005, 44.23], [9.03, 44.23], [9.03, 44.25], [9.005, 44.23]]]}
    inside = inside_area(ring, passes[0][1]["flood_extent"], GRID, block_px=WHOLE_PX)
    assert 0.05 < inside.values.mean() < 0.95
    xr.testing.assert_equal(inside_area(ring, passes[0][1]["flood_extent"], GRID, block_px=block_px), inside)
    whole = mosaic(passes, rule, inside, block_px=WHOLE_PX).compute()
    found = mosaic(passes, rule, inside, block_px=block_px).compute()
    xr.testing.assert_identical(found.drop_vars("area_m2"), whole.drop_vars("area_m2"))
    # Windows are summed one after the other, in float64.
    np.testing.assert_allclose(found["area_m2"], whole["area_m2"], rtol=1e-12)
    assert (whole["area_m2"].values[:, 0] > 0).all()


@SIZES
def test_polygons(block_px):
    passes = [(START + timedelta(hours=36 * number), derived(number)) for number in range(2)]
    event = mosaic(passes).compute()
    transform = Affine(*GRID.transform)
    whole, found = (flood_polygons(event, transform, block_px=size) for size in (WHOLE_PX, block_px))
    order = ["area_km2", "likelihood", "observations"]
    whole, found = (table.sort_values(order, ignore_index=True) for table in (whole, found))
    assert len(whole) > 5
    names = [name for name in whole.columns if name != "geometry"]
    np.testing.assert_allclose(found[names].to_numpy(float), whole[names].to_numpy(float), rtol=1e-12)
    assert shapely.union_all(found.geometry).equals(shapely.union_all(whole.geometry))
