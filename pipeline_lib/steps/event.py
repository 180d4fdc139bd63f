"""Events and options as people give them: YAML or JSON files, or flags."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from pipeline_lib.errors import AreaError, InputError, shown
from pipeline_lib.load.area_file import read_area
from pipeline_lib.model import Event
from pipeline_lib.model.area import area_of_bbox
from pipeline_lib.options.map_event import MapOptions


def read_event(path: Path) -> Event:
    """Read an event: ``event_id``, ``start``, ``end``, optional ``title``, and ``bbox`` or ``aoi``.

    ``aoi`` is GeoJSON, or the path of a vector file relative to the event's file.

    Raises:
        InputError: no such file, not YAML, a field missing or unknown.
    """
    fields = _mapping(path, "event")
    bbox = fields.pop("bbox", None)
    if bbox is not None:
        fields["aoi"] = area_of_bbox(*_four_numbers(bbox))
    elif isinstance(fields.get("aoi"), str):
        fields["aoi"] = read_area(path.parent / fields["aoi"])
    return Event.model_validate(fields)


def event_of_flags(
    event_id: str | None, bbox: str | None, aoi: Path | None, start: str | None, end: str | None
) -> Event:
    """Make an event from command-line flags.

    Raises:
        InputError: a flag is missing, or both ``--bbox`` and ``--aoi`` are given.
    """
    flags = {"--id": event_id, "--bbox or --aoi": bbox or aoi, "--start": start, "--end": end}
    missing = [flag for flag, value in flags.items() if not value]
    if missing:
        raise InputError(f"An event needs {', '.join(missing)} (or give an event file).")
    area = area_of_flags(bbox, aoi)
    return Event.model_validate({"event_id": event_id, "aoi": area, "start": start, "end": end})


def area_of_flags(bbox: str | None, aoi: Path | None) -> dict[str, Any]:
    """The area of ``--bbox`` or of the vector file of ``--aoi``.

    Raises:
        InputError: both are given, or neither.
        AreaError: the area cannot be meant.
    """
    if bbox and aoi:
        raise InputError("Both --bbox and --aoi are given; give one of them.")
    if bbox:
        return area_of_bbox(*_four_numbers(bbox.split(",")))
    if aoi is None:
        raise InputError("An area is needed: give --bbox west,south,east,north or --aoi FILE.")
    return read_area(aoi)


def read_map_options(
    path: Path | None,
    *,
    detector: str = "default",
    pixel_m: float = 10.0,
    dask_address: str | None = None,
    approve: bool = False,
    optical: bool = True,
    orbits: tuple[Path, ...] = (),
    dem_catalog: str | None = None,
) -> MapOptions:
    """Options from a YAML file, overridden by the flags that were given.

    Raises:
        InputError: no such file or not YAML; an unknown option is a validation error that names it.
    """
    fields = _mapping(path, "options") if path is not None else {}
    if detector != "default":
        fields["detector"] = detector
    if pixel_m != 10.0:
        fields["plan"] = {**(fields.get("plan") or {}), "pixel_m": pixel_m}
    if dask_address is not None:
        fields["dask_address"] = dask_address
    if not optical:
        fields["search"] = {**(fields.get("search") or {}), "optical": False}
    if dem_catalog is not None:
        fields["search"] = {**(fields.get("search") or {}), "dem_catalog": _absolute(dem_catalog)}
    if orbits:
        fields["calibrate"] = {**(fields.get("calibrate") or {}), "orbit_files": [str(path) for path in orbits]}
    if approve:
        fields["approval"] = {**(fields.get("approval") or {}), "required": True}
    return MapOptions.model_validate(fields)


def catalog_names(given: Iterable[str]) -> str:
    """Catalogues as flags name them, in the order in which they are preferred, as one text that every run understands.

    Folders become absolute, so that a run that begins elsewhere finds them.
    """
    return ",".join(_absolute(part) for value in given for part in value.split(",") if part.strip())


def _absolute(name: str) -> str:
    """A file or folder as a URL; anything else as it is."""
    place = Path(name.strip()).expanduser()
    return place.resolve().as_uri().replace(",", "%2C") if place.exists() else name.strip()


def _mapping(path: Path, what: str) -> dict[str, Any]:
    """A YAML (or JSON) file that holds one mapping."""
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"The {what} file {path} cannot be read: {shown(error.strerror or error)}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"The {what} file {path} is not YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(value, dict):
        raise InputError(f"The {what} file {path} holds a {type(value).__name__}; expected fields with values.")
    return value


def _four_numbers(values: Any) -> tuple[float, float, float, float]:
    """Four finite numbers in the order of a bbox."""
    try:
        west, south, east, north = (float(value) for value in values)
    except (TypeError, ValueError) as error:
        raise AreaError(f"bbox {values!r} is not four numbers; expected west,south,east,north in degrees.") from error
    return west, south, east, north
