"""Numbers people ask for: flooded area by unit, and what lies in the flood.

Zonal statistics are exact: a pixel that a polygon covers in part counts in part (exactextract), so that narrow units
and coarse rasters of people are neither lost nor counted twice.

References:
    Baston, exactextract: fast and accurate raster zonal statistics.
"""

from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import rasterio
from exactextract import exact_extract
from pyogrio.errors import DataSourceError
from pyproj import Geod

from pipeline_lib.errors import InputError, RasterError
from pipeline_lib.publish.version_record import Exposed, ZoneArea

GEOD = Geod(ellps="WGS84")
CLASSES = {1: "reference_water", 2: "open_flood", 3: "flooded_vegetation", 4: "flooded_town", 254: "radar_cannot_tell"}
NAMES = ("name", "NAME", "Name", "NAME_2", "NAME_1", "shapeName", "admin", "id", "ID")
"""Columns that may name a unit, the first that is there."""
CLASS_MARK = "#class"
"""At the end of a raster's path: its values are classes, not amounts."""


def area_by_zone(classes: Path, zones: str) -> list[ZoneArea]:
    """Area of each class in each unit, square kilometres.

    Args:
        classes: COG of the flood classes.
        zones: vector file of units, any CRS.

    Returns:
        A row a unit that meets the raster, the most flooded first.

    Raises:
        InputError: the file cannot be read, has no CRS, or holds no polygon.
    """
    units = _polygons(zones)
    with rasterio.open(classes) as raster:
        projected = units.to_crs(raster.crs)
        pixel = abs(raster.transform.a * raster.transform.e)
    found = exact_extract(str(classes), projected, ["count", "unique", "frac"], output="pandas")
    rows = []
    for unit, true, flat, row in zip(
        units.itertuples(), _areas_km2(units), projected.area, found.itertuples(), strict=True
    ):
        if not row.count:
            continue
        scale = true / (flat / 1e6) * pixel / 1e6  # square kilometres on the ground of one pixel of the map
        shares = dict(zip(np.asarray(row.unique).astype(int), np.asarray(row.frac), strict=True))
        areas = {name: round(float(shares.get(code, 0.0)) * row.count * scale, 4) for code, name in CLASSES.items()}
        flooded = sum(areas[name] for name in ("open_flood", "flooded_vegetation", "flooded_town"))
        observed = min(row.count * pixel / flat, 1.0)
        rows.append(
            ZoneArea(name=unit.label, flooded_km2=round(flooded, 4), observed_share=round(observed, 4), **areas)
        )
    return sorted(rows, key=lambda row: -row.flooded_km2)


def exposure(flood: geopandas.GeoDataFrame, sources: dict[str, str]) -> list[Exposed]:
    """What lies within flood polygons.

    Args:
        flood: polygons, EPSG:4326.
        sources: name to file. Rasters of amounts (people a cell) are summed; with ``#class`` behind the path, the area
            of each class is taken. Of vectors, points are counted, lines measured, polygons counted and measured.

    Returns:
        A row an amount, by source.

    Raises:
        InputError: a file can be read neither as raster nor as vector.
    """
    rows: list[Exposed] = []
    for name, source in sources.items():
        path = source.removesuffix(CLASS_MARK)
        try:
            with rasterio.open(path) as raster:
                crs = raster.crs
        except rasterio.errors.RasterioIOError:
            rows += _vector(name, flood, path)
            continue
        if crs is None:
            raise RasterError(f"The raster {path} has no CRS, so that it cannot be laid under the flood.")
        rows += _raster(name, flood.to_crs(crs), path, classes=source.endswith(CLASS_MARK))
    return rows


def _raster(name: str, flood: geopandas.GeoDataFrame, path: str, *, classes: bool) -> list[Exposed]:
    """Sum of amounts, or area of classes, under the flood."""
    if flood.empty:
        return [Exposed(what=name, amount=0.0, unit="km2" if classes else "sum")]
    if not classes:
        found = exact_extract(path, flood, ["count", "sum"], output="pandas")
        reached = float(found["count"].sum()) > 0
        return [Exposed(what=name, amount=round(float(found["sum"].sum()), 2) if reached else None, unit="sum")]
    found = exact_extract(path, flood, ["unique", "frac"], output="pandas")
    totals: dict[int, float] = {}
    for area, row in zip(_areas_km2(flood), found.itertuples(), strict=True):
        for code, share in zip(np.asarray(row.unique), np.asarray(row.frac), strict=True):
            totals[int(code)] = totals.get(int(code), 0.0) + float(share) * area
    return [
        Exposed(what=f"{name}, class {code}", amount=round(total, 4), unit="km2")
        for code, total in sorted(totals.items())
    ]


def _vector(name: str, flood: geopandas.GeoDataFrame, path: str) -> list[Exposed]:
    """Features in the flood: how many, how long, how large."""
    features = _read(path).to_crs("EPSG:4326")
    if flood.empty:
        return [Exposed(what=name, amount=0, unit="features")]
    met = features.sjoin(flood[["geometry"]], predicate="intersects")
    rows = [Exposed(what=name, amount=int(met.index.nunique()), unit="features")]
    parts = features.geometry.iloc[features.index.isin(met.index)].intersection(flood.geometry.union_all())
    kinds = set(features.geom_type)
    if kinds & {"LineString", "MultiLineString"}:
        rows.append(Exposed(what=name, amount=round(sum(map(GEOD.geometry_length, parts)) / 1000, 3), unit="km"))
    if kinds & {"Polygon", "MultiPolygon"}:
        total = sum(abs(GEOD.geometry_area_perimeter(part)[0]) for part in parts) / 1e6
        rows.append(Exposed(what=name, amount=round(total, 4), unit="km2"))
    return rows


def _polygons(path: str) -> geopandas.GeoDataFrame:
    """Units with a ``label``, EPSG:4326."""
    units = _read(path).to_crs("EPSG:4326").reset_index(drop=True)
    if not set(units.geom_type) <= {"Polygon", "MultiPolygon"} or units.empty:
        raise InputError(
            f"The units in {path} are not polygons; found {', '.join(sorted(set(units.geom_type))) or 'none'}."
        )
    column = next((name for name in NAMES if name in units), None)
    labels = units[column].astype(str) if column else pd.Series([f"unit {i + 1}" for i in range(len(units))])
    return geopandas.GeoDataFrame({"label": labels}, geometry=units.geometry, crs="EPSG:4326")


def _read(path: str) -> geopandas.GeoDataFrame:
    """A vector file that says where it lies."""
    try:
        frame = geopandas.read_parquet(path) if path.endswith("parquet") else geopandas.read_file(path)
    except (DataSourceError, OSError, ValueError) as error:
        raise InputError(f"Cannot read {path} as vector or raster ({error}).") from error
    if frame.crs is None:
        raise InputError(f"The file {path} has no CRS; give one that has.")
    return frame


def _areas_km2(frame: geopandas.GeoDataFrame) -> list[float]:
    """Ground areas on the ellipsoid."""
    return [abs(GEOD.geometry_area_perimeter(outline)[0]) / 1e6 for outline in frame.to_crs("EPSG:4326").geometry]
