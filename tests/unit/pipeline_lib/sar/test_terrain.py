"""Lattice, heights, flattening and viewing geometry on synthetic relief under a simulated orbit."""

from datetime import datetime, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from rasterio.transform import Affine

from pipeline_lib.load.geoid import no_geoid
from pipeline_lib.model.acquisition import OrbitDirection
from pipeline_lib.sar.elevation import Relief, guess_beside_voids, heights_on, margin_m
from pipeline_lib.sar.lattice import MapFrame, build_lattice, positions
from pipeline_lib.sar.range_doppler import ecef, to_radar
from pipeline_lib.sar.terrain_flattening import LIT, UNKNOWN, flatten, gamma_area
from pipeline_lib.sar.viewing import LAYOVER, SHADOW, layover_shadow, viewing_of
from pipeline_lib.world.safe import Pass, _flight, _frame
from pipeline_lib.world.safe_image import Ground

SIZE, PIXEL = 200, 10.0
TRANSFORM = Affine(PIXEL, 0, 500_000, 0, -PIXEL, 5_000_000)
BOX = GeoBox((SIZE, SIZE), TRANSFORM, "EPSG:32632")
FRAME = MapFrame("EPSG:32632", TRANSFORM, "EPSG:32632", TRANSFORM, no_geoid, PIXEL)


def geometry_over(height, incidence=38.0, direction=OrbitDirection.ASCENDING):
    flown = Pass(
        platform="S1A",
        direction=direction,
        incidence_deg=incidence,
        abeam=datetime(2025, 1, 1, tzinfo=timezone.utc),
        absolute_orbit=1,
        relative_orbit=1,
        datatake=1,
    )
    return _frame(_flight(flown, BOX), Ground.of(BOX, height), np.ones(height.shape, bool))[0]


def exact(height, geometry):
    """Range-Doppler of every pixel, without a lattice."""
    column, row = np.meshgrid(np.arange(SIZE) + 0.5, np.arange(SIZE) + 0.5)
    lon, lat = Transformer.from_crs("EPSG:32632", "EPSG:4326", always_xy=True).transform(*(TRANSFORM * (column, row)))
    return to_radar(geometry, ecef(lon, lat, height.astype(float)))


def hill(height_m, width_px):
    y, x = np.indices((SIZE, SIZE)) - SIZE / 2
    return (height_m * np.exp(-(x**2 + y**2) / (2 * width_px**2)) + 60).astype(np.float32)


@pytest.fixture(scope="module")
def rough():
    rng = np.random.default_rng(4)
    y, x = np.indices((SIZE, SIZE))
    waves = sum(
        rng.normal(0, 25) * np.sin(x * rng.uniform(0.01, 0.12) + y * rng.uniform(0.01, 0.12) + k) for k in range(12)
    )
    return (waves + 700).astype(np.float32)


@pytest.fixture(scope="module")
def rough_geometry(rough):
    return geometry_over(rough)


def lattice_of(geometry, rows=(0, SIZE), columns=(0, SIZE)):
    return build_lattice(geometry, FRAME, rows=rows, columns=columns)


@pytest.mark.parametrize("level", [-300.0, 0.0, 700.0, 4000.0, 8500.0])
def test_lattice_meets_range_doppler_within_a_hundredth_of_a_pixel(rough_geometry, rough, level):
    height = (rough - 700 + level).astype(np.float32)
    line, pixel = positions(lattice_of(rough_geometry), height, 0, 0)
    wanted_line, wanted_pixel, *_ = exact(height, rough_geometry)
    assert np.abs(line - wanted_line).max() < 0.01
    assert np.abs(pixel - wanted_pixel).max() < 0.01


@given(top=st.integers(0, 150), left=st.integers(0, 150), rows=st.integers(1, 50), columns=st.integers(1, 50))
def test_lattice_is_the_same_for_any_window(rough_geometry, rough, top, left, rows, columns):
    part = np.ascontiguousarray(rough[top : top + rows, left : left + columns])
    windowed = positions(lattice_of(rough_geometry, (top, top + rows), (left, left + columns)), part, top, left)
    whole = positions(lattice_of(rough_geometry), rough, 0, 0)
    for a, b in zip(windowed, whole, strict=True):
        np.testing.assert_array_equal(a, b[top : top + rows, left : left + columns])


def test_unknown_height_has_no_position(rough_geometry, rough):
    height = rough.copy()
    height[5, 6] = np.nan
    line, pixel = positions(lattice_of(rough_geometry), height, 0, 0)
    assert np.isnan([line[5, 6], pixel[5, 6]]).all()
    assert np.isfinite(line).sum() == SIZE * SIZE - 1


def test_heights_on_the_same_grid_are_taken_over_exactly(rough_geometry, rough):
    found = heights_on(lattice_of(rough_geometry), rough, origin=(0, 0), window=(0, 0, SIZE, SIZE))
    np.testing.assert_array_equal(found, rough)
    beyond = heights_on(lattice_of(rough_geometry), rough, origin=(0, 0), window=(-2, -1, 4, 4))
    assert np.isnan(beyond[:2]).all()
    assert np.isnan(beyond[:, :1]).all()
    assert np.isfinite(beyond[2:, 1:]).all()


def test_bilinear_heights_of_a_plane_are_the_plane():
    """A DEM in degrees under a UTM grid: the plane is in degrees, so the answer is known everywhere."""
    coarse = Affine(1 / 3600, 0, 8.99, 0, -1 / 3600, 45.2)
    row, column = np.indices((400, 400))
    lon, lat = 8.99 + (column + 0.5) / 3600, 45.2 - (row + 0.5) / 3600
    dem = (1000 * (lon - 9) + 3000 * (lat - 45)).astype(np.float32)
    frame = MapFrame("EPSG:32632", TRANSFORM, "EPSG:4326", coarse, no_geoid, PIXEL)
    geometry = geometry_over(np.zeros((SIZE, SIZE), np.float32))
    lattice = build_lattice(geometry, frame, rows=(0, SIZE), columns=(0, SIZE))
    found = heights_on(lattice, dem, origin=(0, 0), window=(0, 0, SIZE, SIZE))
    columns, rows = np.meshgrid(np.arange(SIZE) + 0.5, np.arange(SIZE) + 0.5)
    x, y = Transformer.from_crs("EPSG:32632", "EPSG:4326", always_xy=True).transform(*(TRANSFORM * (columns, rows)))
    wanted = 1000 * (x - 9) + 3000 * (y - 45)
    known = np.isfinite(found)
    assert known.mean() > 0.9
    np.testing.assert_allclose(found[known], wanted[known], atol=2e-3)


def area_of(geometry, height, lit=None):
    lattice = lattice_of(geometry)
    line, pixel = positions(lattice, height, 0, 0)
    lit = np.full(height.shape, LIT, np.uint8) if lit is None else lit
    return gamma_area(lattice, height, line, pixel, lit, origin=(0, 0), window=(0, 0, geometry.lines, geometry.samples))


@pytest.mark.parametrize("incidence", [30.0, 38.0, 45.0])
def test_level_ground_gives_the_ellipsoidal_gamma(incidence):
    height = np.full((SIZE, SIZE), 80, np.float32)
    geometry = geometry_over(height, incidence)
    area = area_of(geometry, height)
    line, *_ = exact(height, geometry)
    inner = area[int(line[100, 20 : SIZE - 20].min()) - 5 : int(line[100, 20 : SIZE - 20].max()) + 5]
    middle = inner[:, 60:-60]
    middle = middle[middle > 0.2]
    # The angle changes by 0.1 degree over the 2 km: compare in the middle.
    assert 10 * np.log10(np.median(middle) * np.tan(np.radians(incidence))) == pytest.approx(0, abs=0.02)


def test_energy_is_conserved(rough, rough_geometry):
    """What is spread over the cells is what the facets have, folded or not."""
    from pipeline_lib.sar import terrain_flattening as module

    whole = area_of(rough_geometry, rough).sum(dtype=np.float64)
    lattice = lattice_of(rough_geometry)
    total, blend = 0.0, np.empty((lattice.nodes.shape[1], lattice.nodes.shape[2]))
    from pipeline_lib.sar.lattice import blend_row

    for i in range(SIZE - 1):
        blend_row(lattice.nodes, lattice.first_row, lattice.step, i, blend)
        for j in range(SIZE - 1):
            n, w = divmod(j - lattice.first_column, lattice.step)
            w /= lattice.step
            field = blend[n] * (1 - w) + blend[n + 1] * w
            facet = module._facet(field, rough[i, j], rough[i, j + 1], rough[i + 1, j], rough[i + 1, j + 1])
            total += max(facet, 0.0)
    assert whole == pytest.approx(total, rel=1e-6)


def test_area_against_a_literal_sum_over_fine_points(rough_geometry, rough):
    """Nearest cell, 24 x 24 points a facet, areas from cross products in space: no lattice, no kernel in common."""
    from pipeline_lib.world.safe_image import _gamma_areas, _slant_areas

    ground = Ground.of(BOX, rough)
    line, pixel, _, look = exact(rough, rough_geometry)
    areas = _gamma_areas(ground.points_m, look)
    out = np.zeros((rough_geometry.lines, rough_geometry.samples))
    t = (np.arange(24) + 0.5) / 24
    for i in range(60, 120):
        for j in range(60, 120):
            u, v = (
                (
                    c[i, j] * np.outer(1 - t, 1 - t)
                    + c[i, j + 1] * np.outer(1 - t, t)
                    + c[i + 1, j] * np.outer(t, 1 - t)
                    + c[i + 1, j + 1] * np.outer(t, t)
                )
                for c in (line, pixel)
            )
            np.add.at(out, (np.rint(u).astype(int), np.rint(v).astype(int)), areas[i, j] / 576)
    literal = out / _slant_areas(rough_geometry)
    ours = area_of(rough_geometry, rough)
    # Inside the patch only; ours spreads each piece over its four cells, so compare after the same smoothing.
    from scipy.ndimage import binary_erosion, uniform_filter

    inside = binary_erosion(literal > 0, iterations=9)
    ratio = 10 * np.log10(uniform_filter(ours, 5)[inside] / uniform_filter(literal, 5)[inside])
    assert inside.sum() > 1000
    assert abs(np.median(ratio)) < 0.02
    assert np.percentile(np.abs(ratio), 95) < 0.25


def test_unknown_ground_makes_its_cells_unknown(rough_geometry, rough):
    lit = np.full(rough.shape, LIT, np.uint8)
    lit[100, 100] = UNKNOWN
    area = area_of(rough_geometry, rough, lit)
    line, pixel, *_ = exact(rough, rough_geometry)
    assert np.isnan(area[round(line[100, 100]), round(pixel[100, 100])])
    assert 4 <= np.isnan(area).sum() < 60


def test_flatten_leaves_shadow_and_no_data_without_a_value():
    beta0 = np.array([[1.0, np.nan, 1.0, 1.0]], np.float32)
    area = np.array([[2.0, 2.0, 0.0, np.nan]], np.float32)
    out = flatten(beta0, area, level_area=1.2)
    assert out[0, 0] == np.float32(0.5)
    assert np.isnan(out[0, 1:]).all()


def test_guesses_reach_only_so_far():
    height = np.full((20, 20), np.nan, np.float32)
    height[10, 10] = 7
    grown = guess_beside_voids(height, reach=3)
    assert np.isfinite(grown).sum() == 25  # all pixels within a city-block distance of three
    assert np.nanmax(grown) == 7


@pytest.mark.parametrize("direction", list(OrbitDirection))
def test_layover_and_shadow_against_exact_ranges(direction):
    """Along every look line: shadow where the elevation angle falls behind its running maximum, layover where slant
    range is shared; computed from exact positions in space."""
    height = hill(700, 12)
    geometry = geometry_over(height, 33.0, direction)
    codes = layover_shadow(lattice_of(geometry), height, origin=(0, 0))
    wanted_shadow, wanted_layover = _literal(height, geometry)
    inner = np.s_[40:-40, 40:-40]
    for bit, wanted in ((SHADOW, wanted_shadow), (LAYOVER, wanted_layover)):
        found = (codes & bit) > 0
        assert wanted[inner].sum() > 50
        union = (found | wanted)[inner].sum()
        assert (found & wanted)[inner].sum() / union > 0.93, bit


def _literal(height, geometry):
    """March in halves of a pixel along the horizontal look direction, comparing exact distances and sight angles."""
    from scipy.ndimage import map_coordinates

    lattice = lattice_of(geometry)
    look = np.array([lattice.position(8).mean(), lattice.position(10).mean(), lattice.position(12).mean()])
    level = np.hypot(look[0], look[1])
    toward = np.array([-look[1], look[0]]) / level  # rows, columns
    rows, columns = np.indices(height.shape).astype(float)
    satellite = 850_000.0 * look  # in grid east, north, up of the middle
    middle = SIZE / 2
    here = np.stack([(columns - middle) * PIXEL, (middle - rows) * PIXEL, height], -1)
    own = np.linalg.norm(satellite - here, axis=-1)
    shadow, layover = np.zeros(height.shape, bool), np.zeros(height.shape, bool)
    for step in np.arange(1, 200) / 2:
        for sign in (1, -1):
            r, c = rows + sign * toward[0] * step, columns + sign * toward[1] * step
            other = map_coordinates(height, [r, c], order=1, mode="nearest")
            there = np.stack([(c - middle) * PIXEL, (middle - r) * PIXEL, other], -1)
            far = np.linalg.norm(satellite - there, axis=-1)
            layover |= (far >= own) if sign > 0 else (far <= own)
            if sign > 0:
                shadow |= (other - height) > step * PIXEL * look[2] / level
    return shadow, layover


def test_level_ground_has_neither_layover_nor_shadow():
    height = np.full((SIZE, SIZE), 30, np.float32)
    assert not layover_shadow(lattice_of(geometry_over(height)), height, origin=(0, 0)).any()


@given(east=st.floats(-0.4, 0.4), north=st.floats(-0.4, 0.4))
@settings(max_examples=15)
def test_local_incidence_of_a_plane(east, north):
    y, x = np.indices((SIZE, SIZE)) * PIXEL
    geometry = geometry_over(np.zeros((SIZE, SIZE), np.float32))
    lattice = lattice_of(geometry)
    height = (east * x - north * y + 900).astype(np.float32)
    local, projected = viewing_of(lattice, height, origin=(0, 0))
    *_, look = exact(height, geometry)
    lon, lat = np.radians(9.0 + 0.0127), np.radians(45.146)
    up = np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    points = Ground.of(BOX, height).points_m
    normal = np.cross(points[100, 101] - points[100, 99], points[99, 100] - points[101, 100])
    normal /= np.linalg.norm(normal)
    assert normal @ up > 0
    wanted = np.degrees(np.arccos(look[100, 100] @ normal))
    assert local[100, 100] == pytest.approx(wanted, abs=0.05)
    if east == north == 0:
        assert projected[100, 100] == pytest.approx(local[100, 100], abs=1e-3)
    assert np.isnan(local[0]).all()


def test_projected_angle_is_the_local_one_on_slopes_that_face_the_satellite(rough_geometry):
    lattice = lattice_of(rough_geometry)
    look = np.array([lattice.position(8).mean(), lattice.position(10).mean()])
    look /= np.linalg.norm(look)
    y, x = np.indices((SIZE, SIZE)) * PIXEL
    height = (500 - 0.2 * (look[0] * x - look[1] * y)).astype(np.float32)
    local, projected = viewing_of(lattice, height, origin=(0, 0))
    np.testing.assert_allclose(local[50:150, 50:150], projected[50:150, 50:150], atol=0.02)


def test_margin_follows_the_relief_around(rough_geometry):
    lattice = lattice_of(rough_geometry, (80, 120), (80, 120))
    flat = Relief.of(np.full((SIZE, SIZE), 10, np.float32))
    assert margin_m(flat, lattice, dem_pixel_m=PIXEL) == 0
    steep = Relief.of(hill(300, 30))
    near, far = lattice.incidence_rad
    assert 0 < margin_m(steep, lattice, dem_pixel_m=PIXEL) <= 300 * (np.tan(far) + 1 / np.tan(near)) * 1.01
    assert margin_m(steep, lattice, dem_pixel_m=PIXEL, ends=False) < margin_m(steep, lattice, dem_pixel_m=PIXEL)
