"""Areas of interest in files as people have them: each is written, read, and what is right is told.

The flat area is a rectangle beside the Ticino, 3.1 x 3.3 km. What is read must be that area to a metre, unless the case
says otherwise.
"""

import json
import math
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyogrio
import shapely
from shapely.geometry import Polygon, mapping, shape

from pipeline_lib.errors import AreaError
from pipeline_lib.grid import choose_grid
from pipeline_lib.load.area_file import read_area
from pipeline_lib.place import described

RING = [[9.2, 45.3], [9.24, 45.3], [9.24, 45.33], [9.2, 45.33], [9.2, 45.3]]
FLAT = Polygon(RING)
HOLE = Polygon([[9.21, 45.31], [9.22, 45.31], [9.22, 45.32], [9.21, 45.32], [9.21, 45.31]])
FIJI = shapely.MultiPolygon([shapely.box(179.7, -17.2, 180, -16.9), shapely.box(-180, -17.2, -179.8, -16.9)])
SAME_SHARE = 2e-4
"""Two areas are the same where no more of the area is in one of them alone."""
PIXEL_M = 10.0


@dataclass(frozen=True)
class AreaFile:
    """A case: a name for the table, how the file is written, and what is right."""

    name: str
    write: Callable[[Path], Path]
    right: Any = FLAT
    """Geometry that must be read, or a part of the sentence that must refuse it."""


def outcome(case: AreaFile, folder: Path) -> tuple[str, bool]:
    """What happens to the file, in words, and whether that is right."""
    path = case.write(folder)
    try:
        area = read_area(path)
        choose_grid(area, pixel_m=PIXEL_M)
    except AreaError as error:
        said = str(error).replace(f"{folder}/", "")
        return f"refused: {said}", isinstance(case.right, str) and case.right in said
    found = shape(area)
    right = not isinstance(case.right, str) and (
        shapely.symmetric_difference(found, case.right).area <= SAME_SHARE * case.right.area
    )
    return f"read: {described(found)}", bool(right)


def polygon(*rings: list[list[float]]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


def features(*geometries: Any) -> dict[str, Any]:
    parts = [{"type": "Feature", "properties": {}, "geometry": one} for one in geometries]
    return {"type": "FeatureCollection", "features": parts}


def as_json(value: Any, name: str = "area.geojson", encoding: str = "utf-8") -> Callable[[Path], Path]:
    """Writer of JSON, or of text as it stands."""

    def write(folder: Path) -> Path:
        path = folder / name
        path.write_text(value if isinstance(value, str) else json.dumps(value), encoding=encoding)
        return path

    return write


def as_file(name: str, *geometries: Any, crs: str | None = "EPSG:4326", **more: Any) -> Callable[[Path], Path]:
    """Writer of a vector file by its suffix; shapes are given in degrees and written in ``crs``."""

    def write(folder: Path) -> Path:
        frame = geopandas.GeoDataFrame({"name": ["a"] * len(geometries)}, geometry=list(geometries), crs="EPSG:4326")
        placed = frame.set_crs(None, allow_override=True) if crs is None else frame.to_crs(crs)
        if name.endswith("parquet"):
            placed.to_parquet(folder / name)
        else:
            placed.to_file(folder / name, engine="pyogrio", **more)
        return folder / name

    return write


def zipped(inner: str, name: str = "area.zip") -> Callable[[Path], Path]:
    """Writer of a zipped shapefile, its parts under ``inner``."""

    def write(folder: Path) -> Path:
        as_file("area.shp", FLAT, crs="EPSG:32632")(folder)
        with zipfile.ZipFile(folder / name, "w") as archive:
            for part in sorted(folder.glob("area.*")):
                if part.suffix != ".zip":
                    archive.write(part, inner + part.name)
        return folder / name

    return write


def two_in_a_zip(folder: Path) -> Path:
    path = zipped("")(folder)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("districts.shp", b"")
        archive.writestr("__MACOSX/._area.shp", b"")
    return path


def without(suffix: str, crs: str) -> Callable[[Path], Path]:
    """Writer of a shapefile of which one part is lost."""

    def write(folder: Path) -> Path:
        path = as_file("area.shp", FLAT, crs=crs)(folder)
        path.with_suffix(suffix).unlink()
        return path

    return write


def layers(folder: Path, second: str, *geometries: Any) -> Path:
    """A GeoPackage of two layers."""
    path = as_file("area.gpkg", FLAT, layer="area")(folder)
    as_file("area.gpkg", *geometries, layer=second)(folder)
    return path


def with_styles(folder: Path) -> Path:
    """A GeoPackage as QGIS leaves it: a table of styles without a geometry."""
    path = as_file("area.gpkg", FLAT, layer="area")(folder)
    pyogrio.write_dataframe(geopandas.GeoDataFrame({"styleName": ["a"]}), path, layer="layer_styles")
    return path


def kml(body: str, name: str = "area.kml") -> Callable[[Path], Path]:
    text = (
        '<?xml version="1.0" encoding="UTF-8"?><kml xmlns="http://www.opengis.net/kml/2.2"><Document>'
        f"{body}</Document></kml>"
    )

    def write(folder: Path) -> Path:
        path = folder / name
        if path.suffix == ".kmz":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("doc.kml", text)
        else:
            path.write_text(text)
        return path

    return write


def placemark(ring: list[list[float]] = RING) -> str:
    points = " ".join(f"{x},{y},0" for x, y in ring)
    return (
        "<Placemark><Polygon><outerBoundaryIs><LinearRing><coordinates>"
        f"{points}</coordinates></LinearRing></outerBoundaryIs></Polygon></Placemark>"
    )


PIN = "<Placemark><Point><coordinates>9.22,45.31,0</coordinates></Point></Placemark>"


def gpx(ring: list[list[float]], kind: str = "trk") -> str:
    tag = "trkpt" if kind == "trk" else "wpt"
    points = "".join(f'<{tag} lat="{y}" lon="{x}"><ele>80</ele></{tag}>' for x, y in ring)
    inner = f"<trk><trkseg>{points}</trkseg></trk>" if kind == "trk" else points
    return (
        f'<?xml version="1.0"?><gpx version="1.1" creator="x" xmlns="http://www.topografix.com/GPX/1/1">{inner}</gpx>'
    )


def circle(count: int) -> list[list[float]]:
    """A ring of so many vertices within the flat area."""
    angles = [2 * math.pi * one / count for one in range(count)]
    ring = [[round(9.2187 + 0.0169 * math.cos(a), 9), round(45.3203 + 0.0119 * math.sin(a), 9)] for a in angles]
    return [*ring, ring[0]]


def comb(teeth: int) -> list[list[float]]:
    """A ring whose every vertex counts: teeth of 50 m over 3 degrees."""
    x = np.linspace(9, 12, 2 * teeth)
    edge = [[round(float(a), 7), 45.3 + 0.0005 * (i % 2)] for i, a in enumerate(x)]
    return [*edge, [12, 45.5], [9, 45.5], edge[0]]


def gml(folder: Path) -> Path:
    """GML with the axes as the EPSG defines them: latitude first."""
    return as_file("area.gml", FLAT, layer="area", FORMAT="GML3")(folder)


def in_utm(x: float, y: float) -> tuple[float, float]:
    place = geopandas.GeoSeries([shapely.Point(x, y)], crs="EPSG:4326").to_crs("EPSG:32632").iloc[0]
    return place.x, place.y


METRES = [list(in_utm(x, y)) for x, y in RING]
CRS_MEMBER = {"crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32632"}}}
TOPOLOGY = {
    "type": "Topology", "objects": {"area": {"type": "Polygon", "arcs": [[0]]}}, "arcs": [RING],
}  # fmt: skip
ESRI = {
    "geometryType": "esriGeometryPolygon", "spatialReference": {"wkid": 4326}, "fields": [],
    "features": [{"attributes": {}, "geometry": {"rings": [RING[::-1]]}}],
}  # fmt: skip
BESIDE = shapely.affinity.translate(FLAT, 0.02)
SHIFTED = shapely.affinity.translate(FLAT, 0.05)
TWO_PARTS = shapely.union_all([FLAT, SHIFTED])
LARGE = comb(3000)
SPIKE = [*RING[:3], [9.24, 45.34], RING[2], *RING[3:]]
BOW_TIE = [RING[0], RING[2], RING[1], RING[3], RING[0]]


def shapefile_folder(folder: Path) -> Path:
    inner = folder / "area"
    inner.mkdir()
    as_file("area.shp", FLAT, crs="EPSG:32632")(inner)
    return inner


def copied(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def cut_short(folder: Path) -> Path:
    path = as_file("area.gpkg", FLAT)(folder)
    path.write_bytes(path.read_bytes()[:4000])
    return path


def renamed(folder: Path) -> Path:
    """A GeoPackage that is called GeoJSON."""
    return Path(shutil.move(as_file("area.gpkg", FLAT)(folder), folder / "area.geojson"))


AREA_FILES = (
    AreaFile("GeoJSON polygon", as_json(polygon(RING))),
    AreaFile("GeoJSON with heights (Z)", as_json(polygon([[*p, 0] for p in RING]))),
    AreaFile("GeoJSON with heights and measures (ZM)", as_json(polygon([[*p, 0, 0] for p in RING]))),
    AreaFile(
        "two features, one with Z",
        as_json(features(polygon(RING), polygon([[x + 0.05, y, 0] for x, y in RING]))),
        TWO_PARTS,
    ),
    AreaFile(
        "a label point beside the polygon",
        as_json(features(polygon(RING), {"type": "Point", "coordinates": RING[0]})),
    ),
    AreaFile("GeometryCollection", as_json({"type": "GeometryCollection", "geometries": [polygon(RING)]})),
    AreaFile("byte order mark (Windows)", as_json(polygon(RING), encoding="utf-8-sig")),
    AreaFile("one feature a line (GeoJSONSeq)", as_json(
        "\n".join(json.dumps(f) for f in features(mapping(FLAT), mapping(SHIFTED))["features"])), TWO_PARTS),
    AreaFile("GeoJSON that names EPSG:32632", as_json({**features(polygon(METRES)), **CRS_MEMBER})),
    AreaFile("clockwise ring with a hole", as_json(mapping(FLAT.reverse() - HOLE)), FLAT - HOLE),
    AreaFile("two overlapping features", as_json(features(mapping(FLAT), mapping(BESIDE))), FLAT | BESIDE),
    AreaFile("ring beyond 180", as_json(mapping(shapely.box(179.7, -17.2, 180.2, -16.9))), FIJI),
    AreaFile("ring from 179.7 to -179.8, not cut", as_json(polygon(
        [[179.7, -17.2], [-179.8, -17.2], [-179.8, -16.9], [179.7, -16.9], [179.7, -17.2]])), FIJI),
    AreaFile("longitudes of 0 to 360", as_json(mapping(shapely.box(190.1, -14.2, 190.2, -14.1))),
             shapely.box(-169.9, -14.2, -169.8, -14.1)),
    AreaFile("spike", as_json(polygon(SPIKE))),
    AreaFile("closed line", as_json({"type": "LineString", "coordinates": RING})),
    AreaFile("ring of 60,000 vertices", as_json(polygon(circle(60_000))), Polygon(circle(60_000))),
    AreaFile("latitude before longitude (Italy)", as_json(polygon([[y, x] for x, y in RING])),
             shapely.box(45.3, 9.2, 45.33, 9.24)),
    AreaFile("latitude before longitude (Thailand)", as_json(mapping(shapely.box(14.0, 100.4, 14.1, 100.5))),
             "Read as south,west,north,east it is 10.8 x 11.1 km in Thailand"),
    AreaFile("self-crossing ring (bow tie)", as_json(polygon(BOW_TIE)), "crosses itself"),
    AreaFile("metres without a CRS", as_json(polygon(METRES)), "off the Earth"),
    AreaFile("features: null", as_json({"type": "FeatureCollection", "features": None}), "is empty"),
    AreaFile("a point alone", as_json({"type": "Point", "coordinates": RING[0]}), "holds a Point, which has no area"),
    AreaFile("an open line", as_json({"type": "LineString", "coordinates": RING[:3]}), "holds a LineString"),
    AreaFile("a coordinate that is NaN", as_json(polygon([*RING[:2], [math.nan, 45.33], RING[0]])), "is no number"),
    AreaFile("6,000 vertices that all count", as_json(polygon(LARGE)), "6,003 vertices"),
    AreaFile("a box of 20 degrees", as_json(mapping(shapely.box(0, 0, 20, 20))), "mapped as one event"),
    AreaFile("beyond 84 degrees north", as_json(mapping(shapely.box(9, 85, 9.1, 85.1))), "beyond UTM"),
    AreaFile("GeoJSON cut short", as_json(json.dumps(polygon(RING))[:60]), "begins as JSON and is not whole"),
    AreaFile("TopoJSON", as_json(TOPOLOGY, "area.json")),
    AreaFile("Esri JSON", as_json(ESRI, "area.json")),
    AreaFile("GeoPackage in EPSG:32632", as_file("area.gpkg", FLAT, crs="EPSG:32632")),
    AreaFile("GeoPackage in web Mercator", as_file("area.gpkg", FLAT, crs="EPSG:3857")),
    AreaFile("GeoPackage on the Italian datum of 1940", as_file("area.gpkg", FLAT, crs="EPSG:3003")),
    AreaFile("GeoPackage with a layer of points", lambda folder: layers(folder, "towns", shapely.Point(9.21, 45.31))),
    AreaFile("GeoPackage with QGIS's styles", with_styles),
    AreaFile("GeoPackage with two layers of polygons", lambda folder: layers(folder, "districts", SHIFTED),
             "several layers of polygons (area, districts)"),
    AreaFile("GeoPackage cut short", cut_short, "cannot be read"),
    AreaFile("GeoPackage called .geojson", renamed),
    AreaFile("Shapefile in EPSG:32632", as_file("area.shp", FLAT, crs="EPSG:32632")),
    AreaFile("Shapefile with heights", as_file("area.shp", shapely.force_3d(FLAT))),
    AreaFile("folder of a shapefile", shapefile_folder),
    AreaFile("zipped shapefile", zipped("")),
    AreaFile("zipped shapefile in a folder", zipped("export/area/")),
    AreaFile("zip of two shapefiles", two_in_a_zip, "several (area.shp, districts.shp)"),
    AreaFile("Shapefile in degrees without .prj", without(".prj", "EPSG:4326")),
    AreaFile("Shapefile in metres without .prj", without(".prj", "EPSG:32632"), "has no CRS"),
    AreaFile("Shapefile without .shx", without(".shx", "EPSG:4326"), ".shp, .shx, .dbf and .prj together"),
    AreaFile("KML", kml(placemark())),
    AreaFile("KMZ", kml(placemark(), "area.kmz")),
    AreaFile("KML with folders and pins", kml(
        f"<Folder><name>a</name>{placemark()}</Folder><Folder><name>b</name>{PIN}"
        f"{placemark([[x + 0.05, y] for x, y in RING])}</Folder>"), TWO_PARTS),
    AreaFile("KML of pins", kml(PIN), "holds a Point, which has no area"),
    AreaFile("FlatGeobuf in EPSG:3035", as_file("area.fgb", FLAT, crs="EPSG:3035")),
    AreaFile("GeoParquet in EPSG:32633", as_file("area.parquet", FLAT, crs="EPSG:32633")),
    AreaFile("GPX, a track that comes back", as_json(gpx(RING), "area.gpx")),
    AreaFile("GPX, waypoints", as_json(gpx(RING[:4], "wpt"), "area.gpx"), "holds a Point, which has no area"),
    AreaFile("GML with latitude first", gml),
    AreaFile("a text", copied("area.kml", b"somewhere in Italy"), "cannot be read"),
    AreaFile("a file of no bytes", copied("area.gpkg", b""), "cannot be read"),
    AreaFile("a picture", copied("area.png", b"\x89PNG\r\n\x1a\n" + bytes(64)), "cannot be read"),
    AreaFile("no file", lambda folder: folder / "area.gpkg", "there is no such file"),
)  # fmt: skip
"""Every case, in the order of the table."""
