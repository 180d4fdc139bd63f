"""The world in memory: landscape first, then one scene after the other, so that a build holds one at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from odc.geo.geobox import GeoBox
from rasterio.transform import Affine

from pipeline_lib.model.acquisition import OrbitDirection
from pipeline_lib.options.world import WorldOptions
from pipeline_lib.world.backscatter import make_ground
from pipeline_lib.world.calendar import optical_passes, radar_passes
from pipeline_lib.world.inundation import inundate
from pipeline_lib.world.land_cover import make_cover
from pipeline_lib.world.optical import OpticalScene, look_down
from pipeline_lib.world.radar import Land, RadarScene, observe
from pipeline_lib.world.radar_geometry import view
from pipeline_lib.world.relief import PIXEL_M, make_relief

CRS = "EPSG:32632"
WEST_M, NORTH_M = 515_700.0, 5_020_000.0
"""The world's upper left corner: 9.2 E, 45.3 N."""


@dataclass(frozen=True)
class World:
    """A simulated flood, whole."""

    options: WorldOptions
    land: Land
    radar: tuple[RadarScene, ...]
    """In order of time: dry passes, then the flood's."""
    optical: tuple[OpticalScene, ...]


def world_geobox(options: WorldOptions) -> GeoBox:
    """The world's pixel grid: UTM 32N, 10 m, north up."""
    return GeoBox((options.size, options.size), Affine(PIXEL_M, 0, WEST_M, 0, -PIXEL_M, NORTH_M), CRS)


def make_land(options: WorldOptions) -> Land:
    """Everything that does not change from pass to pass."""
    streams = np.random.default_rng([options.seed, 0]).spawn(3)
    relief = make_relief(options, streams[0])
    cover = make_cover(options, relief, streams[1])
    return Land(
        relief=relief,
        cover=cover,
        ground=make_ground(options, cover, streams[2]),
        geometry={direction: view(options, relief.elevation_m, direction) for direction in OrbitDirection},
    )


def radar_scenes(options: WorldOptions, land: Land) -> Iterator[RadarScene]:
    """Every Sentinel-1 pass in order of time; each has its own random stream, so that one can be made alone."""
    for number, radar_pass in enumerate(radar_passes(options)):
        rng = np.random.default_rng([options.seed, 1, number])
        flood = inundate(options, land.relief, land.cover, radar_pass.start)
        yield observe(options, land, radar_pass, flood, rng)


def optical_scenes(options: WorldOptions, land: Land) -> Iterator[OpticalScene]:
    """Every Sentinel-2 overpass in order of time."""
    for number, optical_pass in enumerate(optical_passes(options)):
        rng = np.random.default_rng([options.seed, 2, number])
        flood = inundate(options, land.relief, land.cover, optical_pass.when)
        yield look_down(options, land.relief, land.cover, optical_pass, flood, rng)


def simulate(options: WorldOptions, *, with_optical: bool = True) -> World:
    """Simulate a whole world in memory, without writing a file.

    Args:
        options: the world; `WorldOptions.randomised` draws one for training.
        with_optical: leave the optical scenes out where they are not needed (a third of the time).

    Returns:
        Landscape and scenes; pixels as float32 (y, x) on `world_geobox`.
    """
    land = make_land(options)
    return World(
        options=options,
        land=land,
        radar=tuple(radar_scenes(options, land)),
        optical=tuple(optical_scenes(options, land)) if with_optical else (),
    )
