"""Read: what a plan names, as lazy arrays on its grid."""

from functools import partial
from typing import Any

import xarray as xr

from pipeline_lib.catalog.profiles import is_whole_dem
from pipeline_lib.catalog.signing import gdal_environment, signed
from pipeline_lib.grid import padded
from pipeline_lib.load.dem import load_dem
from pipeline_lib.load.reference_water import load_reference_water
from pipeline_lib.load.scene import load_scene
from pipeline_lib.load.sea import Cell, sea_cells, with_sea
from pipeline_lib.model import Acquisition, MappingPlan, ProductType

DEM_MARGIN_PX = 64
DEM_CHUNK = 512
"""Elevation for geocoding is cut finer than scenes: a tile of a scene and its margin, which lie across the cuts, would
make whole neighbours anew for their rims (1.2 against 4.4 cpu-seconds a tile of 2048)."""


def read_elevation(plan: MappingPlan) -> xr.DataArray:
    """Elevation on the grid.

    Metres, float32 (y, x), lazy, NaN = unknown.

    Raises:
        AssetError: a tile cannot be opened.
    """
    return load_dem(plan.dem, plan.grid, **access_of(plan), chunk=plan.options.prepare.chunk)


def read_occurrence(plan: MappingPlan) -> xr.Dataset:
    """Long-term water on the grid.

    Layers (y, x), lazy; see `pipeline_lib.load.reference_water`.

    Raises:
        AssetError: a tile cannot be opened.
    """
    return load_reference_water(plan.water_occurrence, plan.grid, **access_of(plan), chunk=plan.options.prepare.chunk)


def read_scene(plan: MappingPlan, acquisition: Acquisition) -> xr.Dataset:
    """Open one acquisition lazily on the plan's grid.

    Returns:
        Scene (`pipeline_lib.model.check_scene`) with dims (y, x).

    Raises:
        AssetError: an asset cannot be opened, or holds no data at all.
    """
    elevation = None
    if acquisition.product is ProductType.GRD and plan.dem:
        # Facets of the ground beside unknown ground are unknown too: with a margin the rim of the grid is not lost.
        grid = padded(plan.grid, DEM_MARGIN_PX)
        chunk = min(DEM_CHUNK, plan.options.prepare.chunk)
        elevation = with_sea(load_dem(plan.dem, grid, **access_of(plan), chunk=chunk), sea_of(plan))
    scene = load_scene(
        acquisition,
        plan.grid,
        elevation_m=elevation,
        **access_of(plan),
        options=plan.options.prepare,
        calibrate=plan.options.calibrate,
    )
    at_sea = "" if elevation is None else elevation.attrs.get("sea_cells", "")
    return scene.assign_attrs(sea_without_elevation=at_sea) if at_sea else scene


def sea_of(plan: MappingPlan) -> tuple[Cell, ...]:
    """Cells of one degree that are open sea, because a catalogue of the whole elevation model has no tile there."""
    return sea_cells(plan.event.aoi, plan.dem) if is_whole_dem(plan.dem) else ()


def access_of(plan: MappingPlan) -> dict[str, Any]:
    """How assets of items that name no catalogue are read, as of the plan's first; a cluster's workers can use it."""
    return {"sign": partial(signed, catalog=plan.catalog), "gdal": gdal_environment(plan.catalog)}
