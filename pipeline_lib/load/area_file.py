"""Areas of interest from files as people have them: GeoJSON, GeoPackage, Shapefile, KML, FlatGeobuf, GPX and others."""

import json
import logging
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError
from shapely.geometry import Polygon, mapping
from shapely.geometry.base import BaseGeometry

from pipeline_lib.errors import AreaError, shown
from pipeline_lib.model.area import normalised_area, polygons_of, simple_parts

logger = logging.getLogger(__name__)

KINDS = "GeoJSON, GeoPackage, Shapefile (also zipped), KML, KMZ, FlatGeobuf, GeoParquet or GPX"
MAX_FEATURES = 100_000
DENSIFIED = 100
"""Edges are cut into pieces of so many a side before they are projected: a straight edge on a map is a curve on
another."""
ON_THE_WAY_DEG = 1e-6
"""Vertices this near to the line between their neighbours are dropped again, degrees (0.1 m)."""
_ONE_DOCUMENT = {"KML", "LIBKML", "GPX"}
"""Formats whose layers are the folders or kinds of one document, not data sets of their own."""
_DERIVED = {"route_points", "track_points"}
"""Layers of GPX that repeat the vertices of others."""
_IN_A_ZIP = (".shp", ".gpkg", ".geojson", ".json", ".kml", ".kmz", ".fgb", ".gpx", ".gml")
_GEOJSON = {
    "Feature", "FeatureCollection", "GeometryCollection", "Polygon", "MultiPolygon", "LineString", "MultiLineString",
    "Point", "MultiPoint",
}  # fmt: skip


def read_area(path: Path) -> dict[str, Any]:
    """Read the area of interest in a vector file: all its polygons, in degrees, united.

    What is left out (points and lines beside the polygons) and assumed (degrees, where a file has no CRS and its
    numbers can be degrees) is logged as a warning.

    Args:
        path: of a file, or of a folder that GDAL takes for one (a shapefile's, a file geodatabase).

    Returns:
        As `pipeline_lib.model.area.normalised_area`.

    Raises:
        AreaError: it cannot be read, holds no area, does not say where it lies, or has several layers of polygons.
    """
    if not path.exists():
        raise AreaError(f"The area file {path} cannot be read: there is no such file.")
    value = _json(path)
    if _is_geojson(value):
        crs = _named_crs(value, path)
        if crs is None:
            area = normalised_area(value)
            _warn(path, _kinds_of(value))
            return area
    parts, crs = _features(path)
    return normalised_area(mapping(_in_degrees(parts, crs, path)))


def _json(path: Path) -> Any:
    """The content of a JSON file; None where it is none.

    Raises:
        AreaError: it begins as JSON and breaks off, or cannot be read.
    """
    if path.is_dir():
        return None
    try:
        with path.open("rb") as file:
            begins = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
        if begins not in {b"{", b"["}:
            return None
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise AreaError(f"The area file {path} cannot be read: {shown(error.strerror or error)}.") from error
    except ValueError as error:
        if "Extra data" in str(error):  # one feature a line: GDAL knows it
            return None
        raise AreaError(
            f"The area file {path} begins as JSON and is not whole: {shown(error)}. Expected {KINDS}."
        ) from error


def _is_geojson(value: Any) -> bool:
    """Whether JSON is what RFC 7946 knows, or is for nobody: TopoJSON and Esri's JSON go to GDAL."""
    if isinstance(value, dict):
        return value.get("type") in _GEOJSON or not ({"rings", "features", "geometry", "objects"} & set(value))
    return value is not None


def _named_crs(value: Any, path: Path) -> CRS | None:
    """The CRS that GeoJSON of before 2016 may name; None for longitude and latitude."""
    named = value.get("crs") if isinstance(value, dict) else None
    name = named.get("properties", {}).get("name") if isinstance(named, dict) else None
    if not isinstance(name, str) or "CRS84" in name:
        return None
    crs = _crs(name, path)
    return None if crs.to_epsg() in {4326, 4979} else crs


def _kinds_of(value: Any) -> list[str]:
    """Types of the geometries in GeoJSON."""
    if not isinstance(value, dict):
        return []
    inner = [*(value.get("features") or ()), *(value.get("geometries") or ()), value.get("geometry")]
    kinds = [kind for part in inner for kind in _kinds_of(part)]
    return kinds or ([str(value["type"])] if "coordinates" in value else [])


def _features(path: Path) -> tuple[list[Polygon], CRS | None]:
    """The polygons of the file's layers, or closed lines for want of them, and their CRS.

    Raises:
        AreaError: as `read_area`.
    """
    layers = [_parquet(path)] if "parquet" in path.suffix else [_layer(path, name) for name in _layer_names(path)]
    layers = [layer for layer in layers if layer.shapes]
    with_area = [layer for layer in layers if any(isinstance(one, Polygon) for one in layer.shapes)]
    if len(with_area) > 1 and with_area[0].driver not in _ONE_DOCUMENT:
        names = ", ".join(layer.name for layer in with_area)
        raise AreaError(
            f"{path} holds several layers of polygons ({names}); save the one that is meant as its own file."
        )
    chosen = with_area or layers
    if not chosen:
        raise AreaError(f"The area file {path} holds no shapes; expected polygons.")
    polygons = polygons_of([one for layer in chosen for one in layer.shapes])
    _warn(path, [one.geom_type for layer in layers for one in layer.shapes])
    return polygons, chosen[0].crs


@dataclass(frozen=True)
class _Layer:
    """Simple shapes, without heights and measures, of one layer of a file."""

    name: str
    driver: str
    crs: CRS | None
    shapes: list[BaseGeometry]


def _layer_names(path: Path) -> list[str]:
    """Names of the layers that have shapes."""
    with _said(path):
        return [
            str(name) for name, kind in pyogrio.list_layers(_source(path)) if kind is not None and name not in _DERIVED
        ]


def _source(path: Path) -> str:
    """What GDAL opens: the file, or the one vector file in a zip, in whatever folder of it.

    Raises:
        AreaError: a zip that is broken, or holds none or several.
    """
    if path.suffix.lower() != ".zip":
        return str(path)
    with _said(path, zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.startswith("__MACOSX/")]
    held = [name for name in names if name.lower().endswith(_IN_A_ZIP)]
    if len(held) != 1:
        what = f"several ({', '.join(held)})" if held else "none"
        raise AreaError(f"{path} should hold one vector file and holds {what}; give the one that is meant.")
    return f"/vsizip/{path.resolve()}/{held[0]}"


def _layer(path: Path, name: str) -> _Layer:
    with _said(path):
        source = _source(path)
        facts = pyogrio.read_info(source, layer=name)
        if facts["features"] > MAX_FEATURES:
            raise AreaError(
                f"{path} holds {facts['features']:,} shapes, at most {MAX_FEATURES:,} are read; dissolve them first."
            )
        _, _, found, _ = pyogrio.raw.read(source, layer=name, columns=[], force_2d=True)
        shapes = [one for shape in shapely.from_wkb(found) if shape is not None for one in simple_parts(shape)]
    crs = None if facts["crs"] is None else _crs(facts["crs"], path)
    return _Layer(name, str(facts["driver"]), crs, shapes)


def _parquet(path: Path) -> _Layer:
    """GeoParquet, which the GDAL that comes with pyogrio does not read."""
    with _said(path, ValueError):
        frame = geopandas.read_parquet(path)
    shapes = [one for shape in shapely.force_2d(frame.geometry) if shape is not None for one in simple_parts(shape)]
    return _Layer(path.stem, "Parquet", frame.crs, shapes)


@contextmanager
def _said(path: Path, *more: type[Exception]) -> Iterator[None]:
    """Say of what GDAL cannot read what was expected."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # GDAL's, of what it reads all the same
            yield
    except (DataSourceError, DataLayerError, OSError, shapely.errors.ShapelyError, *more) as error:
        whole = " A shapefile is .shp, .shx, .dbf and .prj together." if path.suffix.lower() == ".shp" else ""
        reason = shown(str(error).partition("; It might help")[0])
        raise AreaError(f"The area file {path} cannot be read: {reason}. Expected {KINDS}.{whole}") from error


def _crs(name: str, path: Path) -> CRS:
    try:
        return CRS.from_user_input(name)
    except CRSError as error:
        raise AreaError(
            f"The area file {path} names a CRS that is not known: {name:.80}; save it in WGS 84."
        ) from error


def _in_degrees(parts: list[Polygon], crs: CRS | None, path: Path) -> BaseGeometry:
    """Polygons in longitude and latitude (WGS 84).

    Raises:
        AreaError: the file does not say where they lie, or they lie where their CRS does not hold.
    """
    whole = shapely.MultiPolygon(parts)
    west, south, east, north = whole.bounds
    if crs is None:
        if west < -180 or east > 360 or south < -90 or north > 90:
            raise AreaError(
                f"The area file {path} has no CRS, and its coordinates ({west:g} to {east:g}, {south:g} to {north:g}) "
                "are no degrees; save it with its CRS (a shapefile: with its .prj)."
            )
        logger.warning("%s has no CRS: its coordinates are taken for longitude and latitude (WGS 84).", path)
        return whole
    if crs.equals(CRS.from_epsg(4326), ignore_axis_order=True):
        return whole
    try:
        to_degrees = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
        fine = whole if crs.is_geographic else whole.segmentize(max(east - west, north - south) / DENSIFIED)
        placed = shapely.transform(
            fine, lambda points: np.column_stack(to_degrees.transform(points[:, 0], points[:, 1], errcheck=True))
        )
    except ProjError as error:
        raise AreaError(
            f"The area in {path} reaches {west:g},{south:g},{east:g},{north:g}, where its CRS ({crs.name}) does not "
            "hold; check that the CRS is the one its coordinates are in."
        ) from error
    return placed if crs.is_geographic else placed.simplify(ON_THE_WAY_DEG, preserve_topology=True)


def _warn(path: Path, kinds: list[str]) -> None:
    """Say what stands beside polygons, or instead of them."""
    others = sorted({kind for kind in kinds if "Polygon" not in kind})
    if others and len(others) < len(set(kinds)):
        logger.warning("%s: its %s beside polygons is left out.", path, " and ".join(others))
    elif others and all("Line" in kind for kind in others):
        logger.warning("%s holds lines and no polygons: what closed ones go round is taken for the area.", path)
