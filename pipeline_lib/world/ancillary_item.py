"""The archive's lasting layers: a Copernicus-like elevation model and a JRC-like history of surface water."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from scipy.ndimage import gaussian_filter

from pipeline_lib.world.item import asset, extent_of, item
from pipeline_lib.world.land_cover import LandCover
from pipeline_lib.world.noise import Field, smooth
from pipeline_lib.world.radar import Land
from pipeline_lib.world.raster import geographic_geobox, resample, write_cog

DEM_COLLECTION, WATER_COLLECTION = "cop-dem-glo-30", "jrc-gsw"
ARC_SECOND_DEG = 1 / 3600
LANDSAT_PIXEL_DEG = 0.00025
WATER_NODATA = 255
CANOPY_SEEN = 0.55
"""Share of the height of trees and houses that an X-band surface model keeps at 30 m."""
WATER_ASSETS = {
    "occurrence": ("Occurrence", "Frequency with which water was present from March 1984 to December 2020"),
    "change": (
        "Occurrence Change Intensity",
        "Change in water occurrence between the two periods (1984-1999) and (2000-2020)",
    ),
    "seasonality": ("Seasonality", "Number of months that water was present from January 2020 to December 2020"),
    "recurrence": ("Recurrence", "Frequency with which water returns from year to year"),
    "transitions": ("Transitions", "Categorical change in surface water status from 1984 to 2020"),
    "extent": ("Maximum Water Extent", "Binary indicator of whether water was ever present (from 1984-2020)"),
}


def write_dem(root: Path, land: Land, geobox: GeoBox, seed: int) -> dict[str, Any]:
    """Write the elevation model: 1 arc second, metres, a surface with part of the canopy and its own error."""
    grid = geographic_geobox(geobox, ARC_SECOND_DEG, offset=0.5)
    box = grid.boundingbox
    name = f"Copernicus_DSM_COG_10_N{int(box.bottom):02d}_00_E{int(box.left):03d}_00_DEM"
    surface = resample(surface_model(land, seed), geobox, grid)
    written = write_cog(root, f"assets/{DEM_COLLECTION}/{name}.tif", surface, grid)
    properties = {
        "datetime": "2021-04-22T00:00:00Z",
        "gsd": 30,
        "platform": "tandem-x",
        "license": "proprietary",
        "providers": [{"name": "overbank", "roles": ["producer", "host"], "description": "Simulated."}],
        **written.projection(),
        "grid:code": f"CDEM-N{int(box.bottom):02d}E{int(box.left):03d}",
        "proj:centroid": {"lat": (box.bottom + box.top) / 2, "lon": (box.left + box.right) / 2},
    }
    assets = {"data": asset(written, name)}
    return item(name, DEM_COLLECTION, extent_of(grid), properties, assets, ("proj", "grid", "file"))


def surface_model(land: Land, seed: int) -> Field:
    """Ground, canopy and roofs averaged to 30 m, with 0.5 m of correlated error on land; metres, (y, x)."""
    cover, rng = land.cover, np.random.default_rng([seed, 3])
    tall = np.isin(cover.classes, (LandCover.FOREST, LandCover.TOWN))
    canopy = np.float32(CANOPY_SEEN) * cover.height_m * tall
    error = np.where(cover.classes <= LandCover.LAKE, 0, 0.5 * smooth(canopy.shape, rng, sigma_px=4))
    return np.asarray(
        gaussian_filter(land.relief.elevation_m + canopy + error.astype(np.float32), 1.2), dtype=np.float32
    )


def write_water_history(root: Path, land: Land, geobox: GeoBox) -> dict[str, Any]:
    """Write occurrence (percent), seasonality (months), recurrence, extent, transitions and change; 255 is no data."""
    grid = geographic_geobox(geobox, LANDSAT_PIXEL_DEG)
    item_id = "0E_50N"
    occurrence = resample(100 * gaussian_filter(land.cover.occurrence, 1.0), geobox, grid)
    layers = _water_layers(np.rint(np.where(occurrence < 1.5, 0, occurrence)).astype(np.uint8))
    assets = {}
    for name, (title, description) in WATER_ASSETS.items():
        written = write_cog(
            root,
            f"assets/{WATER_COLLECTION}/{name}_{item_id}.tif",
            layers[name],
            grid,
            nodata=WATER_NODATA,
            resampling="MODE",
        )
        assets[name] = asset(
            written, title, description=description, **{"raster:bands": [{"sampling": "area", "data_type": "uint8"}]}
        )
    properties = {
        "datetime": None,
        "start_datetime": "1984-03-01T00:00:00Z",
        "end_datetime": "2020-12-31T11:59:59Z",
        **written.projection(),
        "sci:doi": "10.1038/nature20584",
        "sci:citation": (
            "Jean-Francois Pekel, Andrew Cottam, Noel Gorelick, Alan S. Belward, High-resolution mapping of global "
            "surface water and its long-term changes. Nature 540, 418-422 (2016)"
        ),
        "version": "VER4-0",
    }
    extensions = ("file", "raster", "proj", "sci", "version")
    return item(item_id, WATER_COLLECTION, extent_of(grid), properties, assets, extensions)


def _water_layers(occurrence: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
    """The other layers of the history, consistent with the occurrence and a climate that does not change."""
    wet = occurrence > 0
    months = np.where(wet, np.clip(np.ceil(occurrence * 0.12), 1, 12), 0).astype(np.uint8)
    return {
        "occurrence": occurrence,
        "change": np.where(wet, 100, 253).astype(np.uint8),
        "seasonality": months,
        "recurrence": np.where(wet, np.clip(40 + occurrence * 0.6, 0, 100), 0).astype(np.uint8),
        "transitions": np.where(months == 12, 1, np.where(wet, 4, 0)).astype(np.uint8),
        "extent": wet.astype(np.uint8),
    }
