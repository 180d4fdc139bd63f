"""Flood polygons as files."""

from datetime import datetime, timedelta
from pathlib import Path

import geopandas
import pandas as pd
import xarray as xr

from pipeline_lib.flood.polygons import flood_polygons, smoothed, to_longitude_latitude
from pipeline_lib.full_disk import unwritable
from pipeline_lib.model import Grid
from pipeline_lib.options.publish import PublishOptions

DRIVERS = {"geojson": "GeoJSON", "fgb": "FlatGeobuf", "gpkg": "GPKG", "pmtiles": "PMTiles"}
MEDIA_TYPES = {
    "parquet": "application/vnd.apache.parquet",
    "geojson": "application/geo+json",
    "fgb": "application/vnd.flatgeobuf",
    "gpkg": "application/geopackage+sqlite3",
    "pmtiles": "application/vnd.pmtiles",
}
TITLES = {
    "parquet": "Flood polygons (GeoParquet)",
    "geojson": "Flood polygons (GeoJSON)",
    "fgb": "Flood polygons (FlatGeobuf)",
    "gpkg": "Flood polygons (GeoPackage)",
    "pmtiles": "Flood polygons (vector tiles, PMTiles)",
}


CREATION = {
    "geojson": {"COORDINATE_PRECISION": "7", "RFC7946": "YES"},
    "pmtiles": {"MINZOOM": "4", "MAXZOOM": "13", "NAME": "flood", "DESCRIPTION": "Flood polygons of overbank"},
}
"""Options of the drivers; at zoom 13 a tile's own lattice is finer than 1.2 m."""


def make_polygons(
    flood: xr.Dataset, grid: Grid, centre_longitude: float, epoch: datetime, passes: int, options: PublishOptions
) -> geopandas.GeoDataFrame:
    """Polygons of a FloodMap or an event in EPSG:4326, with area, dates, likelihood and observed share.

    ``observed_share`` is the share of the given number of passes that could tell at the polygon's pixels (mean).
    """
    found = flood_polygons(
        flood, grid.geobox.affine, min_area_m2=options.min_polygon_m2, max_polygons=options.max_polygons
    )
    left_out = found.attrs["left_out"]
    placed = to_longitude_latitude(smoothed(found, options.smoothing_px * grid.pixel_m), grid.crs, centre_longitude)
    for name in ("first_seen", "last_seen"):
        hours = placed.pop(f"{name}_h")
        placed[name] = [_iso(epoch, int(hour)) for hour in hours]
    placed["observed_share"] = (placed.pop("observations") / max(passes, 1)).round(3)
    placed.insert(0, "polygon_id", pd.RangeIndex(1, len(placed) + 1))
    placed.attrs["left_out"] = left_out
    return placed


def _iso(start: datetime, hours: int) -> str | None:
    """A moment as ISO 8601, None where unknown."""
    return None if hours < 0 else (start + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


def write_polygons(polygons: geopandas.GeoDataFrame, folder: Path, formats: tuple[str, ...]) -> dict[str, Path]:
    """Write ``flood.<format>`` for each format; return the path of each. Vector tiles of nothing are not written.

    Raises:
        StoreError: a file cannot be written.
    """
    written = {}
    for name in formats:
        if name == "pmtiles" and polygons.empty:
            continue  # a tile set has bounds, and nothing has none
        path = folder / f"flood.{name}"
        try:
            if name == "parquet":
                polygons.to_parquet(path, index=False, compression="zstd", write_covering_bbox=True)
            else:
                polygons.to_file(path, driver=DRIVERS[name], engine="pyogrio", layer="flood", **CREATION.get(name, {}))
            if name == "geojson":
                _need_end(path)
        except (OSError, RuntimeError) as error:
            raise unwritable(f"Cannot write {path}", path, error) from error
        written[name] = path
    return written


def _need_end(path: Path) -> None:
    """Make sure that a GeoJSON ends: GDAL says nothing where the disk had no room for what it had still to write.

    Raises:
        OSError: it was cut short.
    """
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - 16, 0))
        if not file.read().rstrip().endswith(b"]\n}"):
            raise OSError(f"{path.name} was not written to its end")
