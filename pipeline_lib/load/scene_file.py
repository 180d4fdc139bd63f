"""One scene of a folder as a catalogue's item: from its name, a side file, and what the file says of its place."""

import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import yaml
from pydantic import JsonValue
from rasterio.errors import RasterioError
from rasterio.features import shapes
from rasterio.warp import transform_geom
from shapely import union_all
from shapely.geometry import mapping, shape

from pipeline_lib.catalog import sentinel
from pipeline_lib.catalog.footprint import footprint_of
from pipeline_lib.catalog.signing import local_path
from pipeline_lib.errors import OverbankError, shown
from pipeline_lib.load.raster import load_raster
from pipeline_lib.load.raster_bands import Scale, told
from pipeline_lib.load.safe_files import SafeFiles, find_safe
from pipeline_lib.load.safe_xml import parse_xml
from pipeline_lib.model import CatalogItem
from pipeline_lib.model.instant import instant_of

POLARISATIONS = ("vv", "vh", "hh", "hv")
HYP3 = re.compile(
    r"^(?P<name>(?P<platform>S1[A-D])_(?P<mode>IW|EW|S[1-6])_(?P<start>\d{8}T\d{6})_[SD][VH][PRO]_"
    r"RTC(?P<pixel>\d+)_G_(?P<measure>[gs])(?P<unit>[pad])[uw](?P<filtered>[nf])[ec][dm]_[0-9A-F]{4})(?![0-9A-Za-z])"
)
"""HyP3's names of terrain-corrected products: RTC product guide of the Alaska Satellite Facility, naming convention."""
_UNITS = {"p": "power", "a": "amplitude", "d": "db"}
_DURATION = timedelta(seconds=25)
"""Of a scene whose name tells its beginning alone: an IW slice is 25 s long."""
_SLICE = re.compile(r"S1[A-D]_(?:IW|EW|S[1-6])_[A-Z]{3}[A-Z_]_[0-9]S[SD][VH]_\d{8}T\d{6}_\d{8}T\d{6}_\d{6}_[0-9A-F]{6}")
_MOMENT = re.compile(r"(?<!\d)(\d{4})-?(\d{2})-?(\d{2})[T_-]?(\d{2})[:-]?(\d{2})[:-]?(\d{2})(?!\d)")
_PLATFORM = re.compile(r"(?<![A-Za-z0-9])S1([A-D])(?![A-Za-z0-9])", re.IGNORECASE)
_ORBIT = re.compile(r"(?<![A-Za-z0-9])(?:R|T|orbit|track)_?(\d{1,3})(?![0-9])", re.IGNORECASE)
_DIRECTION = re.compile(r"(?<![A-Za-z])(A|D|ASC|DESC|DSC|ascending|descending)(?![A-Za-z])", re.IGNORECASE)
_SIDE_FILES = (".json", ".yaml", ".yml")
_SIDE_FIELDS = {"datetime", "platform", "relative_orbit", "orbit_direction", "polarisations", "unit", "backscatter"}
MASK_PX = 512
"""Pixels along the longer side of what a footprint is traced from."""


class NotASceneError(OverbankError):
    """A file of a folder that is no scene, with the reason."""


def named_polarisation(path: Path) -> str | None:
    """The polarisation in a file's name (``_VV``); None where it names none, or several."""
    found = {
        pol
        for pol in POLARISATIONS
        if re.search(rf"(?<![a-z0-9]){pol}(?![a-z0-9])", path.stem.lower().replace("_", " "))
    }
    return found.pop() if len(found) == 1 else None


def hyp3_scene(named: re.Match[str], images: Mapping[str, str], readme: str | None) -> CatalogItem:
    """A terrain-corrected product of HyP3.

    Args:
        named: its name, of `HYP3`.
        images: polarisation to the path of its GeoTIFF, which may lead into a zip.
        readme: path of its README, which names the slice that it was made from; None where it is missing.

    Raises:
        NotASceneError: neither says on which orbit it was flown, or an image cannot be read.
    """
    platform, start = named["platform"], _moment_of(named["start"])
    source_slice = _SLICE.search(_text(readme)) if readme else None
    hrefs = {pol: _href(path) for pol, path in images.items()}
    measure = "gamma0" if named["measure"] == "g" else "sigma0"
    return _item(
        named["name"],
        collection=f"hyp3-rtc{named['pixel']}-{measure}" + ("-filtered" if named["filtered"] == "f" else ""),
        times=(start, start + _DURATION),
        assets=hrefs,
        facts={
            **_orbit(platform, start, source_slice[0] if source_slice else ""),
            "sar:instrument_mode": named["mode"],
            "overbank:unit": _UNITS[named["unit"]],
            "overbank:backscatter": measure,
        },
    )


def safe_scene(path: Path) -> CatalogItem:
    """A GRD product as ESA gives it, a folder or a zip.

    Raises:
        NotASceneError: its name is not ESA's, or its manifest lacks what is needed.
        AssetError: it is not whole.
    """
    name = re.sub(r"\.(zip|safe)$", "", path.name, flags=re.IGNORECASE)
    name = re.sub(r"\.safe$", "", name, flags=re.IGNORECASE)
    sensing = sentinel.sensing_of({}, name)
    if sensing is None:
        raise NotASceneError("its name does not tell when it was sensed; keep the name that ESA gave it")
    files = find_safe(str(path))
    ring, direction = _manifest(files)
    platform = name[:3].upper()
    return CatalogItem(
        item_id=name,
        collection="sentinel-1-grd",
        start=sensing[0],
        end=sensing[1],
        footprint=footprint_of({"type": "Polygon", "coordinates": [ring]}, None, None)[0],
        assets={"safe": path.resolve().as_uri(), **dict.fromkeys(files.polarisations, path.resolve().as_uri())},
        facts={
            **_orbit(platform, sensing[0], name),
            **({"sat:orbit_state": direction} if direction else {}),
            "sar:instrument_mode": sentinel.mode_of({}, name) or "IW",
        },
    )


def own_scene(paths: Sequence[Path]) -> CatalogItem:
    """A raster of calibrated backscatter, or one for each polarisation: SNAP's, or somebody's own.

    Time, platform, orbit and polarisations come from a side file (``NAME.json`` or ``.yaml``), else from the name; how
    numbers are to be read from the side file, else from the numbers.

    Args:
        paths: the files of one scene.

    Raises:
        NotASceneError: neither tells when and by which satellite it was sensed.
        RasterError: it is no raster of calibrated backscatter.
    """
    side, name = _side_file(paths[0]), paths[0].stem
    source_slice = _SLICE.search(name)
    start, end = _sensing(side, name, source_slice[0] if source_slice else "")
    platform = str(side.get("platform") or (found[0] if (found := _PLATFORM.search(name)) else "")).upper()
    platform = sentinel.platform_of({"platform": platform}, "") or ""
    if not platform:
        raise NotASceneError("neither its name nor a side file tells the satellite (S1A ...)")
    assets: dict[str, str] = {}
    facts: dict[str, JsonValue] = {}
    for path in paths:
        pol = named_polarisation(path)
        given = tuple(str(one).lower() for one in side.get("polarisations", ())) or ((pol,) if pol else None)
        scene = load_raster(path, scale=_scale_of(side), polarisations=given)
        with rasterio.open(path) as opened:
            what = told(opened, path, given)
        for position, band_pol in what.bands.items():
            if band_pol in scene:
                if what.gains[position] != (1.0, 0.0):
                    raise NotASceneError("it declares a scale and an offset; write the values themselves")
                assets[band_pol] = _href(str(path))
                facts[f"overbank:band:{band_pol}"] = position + 1
        facts["overbank:unit"] = "power" if scene.attrs["scale"] == "linear" else str(scene.attrs["scale"])
        facts["overbank:backscatter"] = str(side.get("backscatter") or scene.attrs["backscatter"])
    orbit = _orbit(platform, start, source_slice[0] if source_slice else "") | _named_orbit(
        side, name if not source_slice else ""
    )
    return _item(
        name, collection=f"own-{facts['overbank:backscatter']}", times=(start, end), assets=assets, facts=facts | orbit
    )


def _scale_of(side: Mapping[str, Any]) -> Scale | None:
    """How a side file says that numbers are to be read; None where it does not."""
    unit = side.get("unit")
    if unit is None:
        return None
    scales: dict[str, Scale] = {"power": "linear", "amplitude": "amplitude", "db": "db"}
    if unit not in scales:
        raise NotASceneError(f"its side file has the unit {unit!r}; expected one of {', '.join(scales)}")
    return scales[unit]


def _item(
    name: str,
    *,
    collection: str,
    times: tuple[datetime, datetime],
    assets: dict[str, str],
    facts: Mapping[str, JsonValue],
) -> CatalogItem:
    """An item whose footprint is where its first image holds data."""
    return CatalogItem(
        item_id=re.sub(r"[^A-Za-z0-9._:+=@-]+", "-", name).strip("-."),
        collection=collection,
        start=times[0],
        end=times[1],
        footprint=_traced(next(iter(assets.values()))),
        assets=assets,
        facts=dict(facts),
    )


def _href(path: str) -> str:
    """A local path, which may lead into a zip, as a ``file://`` address."""
    return Path(path).absolute().as_uri()


def _orbit(platform: str, start: datetime, source_slice: str) -> dict[str, JsonValue]:
    """Platform and orbit under their STAC names: from the name of the slice, else worked out from time."""
    facts: dict[str, JsonValue] = {"platform": platform}
    flown = sentinel.orbit_at(platform, start)
    named = sentinel.relative_orbit_of({}, source_slice, platform) if source_slice else None
    if named is not None:
        facts["sat:relative_orbit"] = named
    elif flown is not None:
        facts["sat:relative_orbit"] = flown[0]
    if flown is not None:
        facts["sat:orbit_state"] = flown[1].value
    if source_slice and (absolute := sentinel.absolute_orbit_of({}, source_slice)):
        facts["sat:absolute_orbit"] = absolute
    return facts


def _named_orbit(side: Mapping[str, Any], name: str) -> dict[str, JsonValue]:
    """Orbit and direction that a side file or a name of one's own tells."""
    facts: dict[str, JsonValue] = {}
    orbit, direction = _ORBIT.search(name), _DIRECTION.search(name.replace("_", " "))
    if side.get("relative_orbit") or orbit:
        facts["sat:relative_orbit"] = int(side.get("relative_orbit") or (orbit[1] if orbit else 0))
    told = str(side.get("orbit_direction") or (direction[1] if direction else "")).lower()
    if told:
        facts["sat:orbit_state"] = "ascending" if told.startswith("a") else "descending"
    return facts


def _sensing(side: Mapping[str, Any], name: str, source_slice: str) -> tuple[datetime, datetime]:
    """Begin and end of sensing."""
    given = side.get("datetime")
    moment = instant_of(given.isoformat() if isinstance(given, datetime) else given)
    if moment is not None:
        return moment, moment + _DURATION
    named = sentinel.sensing_of({}, source_slice) if source_slice else None
    if named is not None:
        return named
    found = _MOMENT.search(name)
    if found is None:
        raise NotASceneError(
            "neither its name nor a side file tells when it was sensed (20251101T171450; a side file NAME.yaml with "
            "datetime, platform, relative_orbit, orbit_direction)"
        )
    start = _moment_of("{}{}{}T{}{}{}".format(*found.groups()))
    return start, start + _DURATION


def _side_file(path: Path) -> dict[str, Any]:
    """Fields of the side file of a raster; empty where there is none.

    Raises:
        NotASceneError: it is not what a side file is.
    """
    for place in (path.with_suffix(suffix) for suffix in _SIDE_FILES):
        if not place.is_file():
            continue
        try:
            text = place.read_text(encoding="utf-8")
            fields = json.loads(text) if place.suffix == ".json" else yaml.safe_load(text)
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise NotASceneError(f"its side file {place.name} cannot be read ({shown(error)})") from error
        wrong = sorted(set(fields) - _SIDE_FIELDS) if isinstance(fields, dict) else ["no fields"]
        if wrong:
            raise NotASceneError(
                f"its side file {place.name} has {', '.join(map(str, wrong))}; known are "
                f"{', '.join(sorted(_SIDE_FIELDS))}"
            )
        return dict(fields)
    return {}


def _manifest(files: SafeFiles) -> tuple[list[list[float]], str | None]:
    """Ring of lon, lat and flight direction that a manifest states.

    Raises:
        NotASceneError: it states no footprint.
    """
    if files.manifest is None:
        raise NotASceneError("it has no manifest.safe, which tells where it lies")
    root = parse_xml(files.read(files.manifest), f"{files.name}/manifest.safe")
    told = {node.tag.rpartition("}")[2]: (node.text or "").strip() for node in root.iter()}
    try:
        corners = [[float(value) for value in pair.split(",")] for pair in told.get("coordinates", "").split()]
        ring = [[lon, lat] for lat, lon in corners]
    except ValueError as error:
        raise NotASceneError(f"its manifest states a footprint that is none ({shown(error)})") from error
    if len(ring) < 4:
        raise NotASceneError("its manifest states no footprint")
    direction = told.get("pass", "").lower()
    return [*ring, ring[0]], direction if direction in {"ascending", "descending"} else None


def _traced(href: str) -> dict[str, Any]:
    """Where an image holds data, GeoJSON, EPSG:4326.

    Raises:
        NotASceneError: it cannot be read, has no CRS, or holds no data.
    """
    try:
        with rasterio.open(local_path(href)) as dataset:
            if dataset.crs is None:
                raise NotASceneError("it has no CRS, so it has no place on the map")
            step = max(1.0, max(dataset.shape) / MASK_PX)
            size = (max(1, round(dataset.height / step)), max(1, round(dataset.width / step)))
            values = dataset.read(1, out_shape=size, out_dtype="float32")
            held = np.isfinite(values) & (values != 0)
            held &= True if dataset.nodata is None else values != np.float32(dataset.nodata)
            scale = dataset.transform.scale(dataset.width / size[1], dataset.height / size[0])
            parts = [
                shape(transform_geom(dataset.crs, "EPSG:4326", outline))
                for outline, _ in shapes(held.astype("uint8"), mask=held, transform=dataset.transform * scale)
            ]
    except (RasterioError, OSError) as error:
        raise NotASceneError(f"it cannot be read ({shown(error)})") from error
    if not parts:
        raise NotASceneError("it holds no data at all")
    hull = union_all(parts).convex_hull  # speckle and shadow leave holes, which are for the pixels to tell
    return footprint_of(json.loads(json.dumps(mapping(hull))), None, None)[0]


def _text(path: str) -> str:
    """A small text file, which may lie in a zip; empty where it cannot be read."""
    archive, found, member = path.partition(".zip/")
    try:
        if not found:
            return Path(path).read_text(encoding="utf-8", errors="replace")
        with zipfile.ZipFile(f"{archive}.zip") as opened:
            return opened.read(member).decode("utf-8", "replace")
    except (OSError, KeyError, ValueError) as error:
        raise NotASceneError(f"{Path(path).name} cannot be read ({shown(error)})") from error


def _moment_of(text: str) -> datetime:
    """``20251101T171450`` as UTC.

    Raises:
        NotASceneError: no such day or time.
    """
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%S").replace(tzinfo=timezone.utc)
    except ValueError as error:
        raise NotASceneError(f"{text} in its name is no time") from error
