"""What a raster of backscatter says of itself: polarisations of its bands, decibel, power or amplitude, and gains.

Read are band descriptions, units and tags, and the names that HyP3 (ASF), SNAP and Earth Engine give files and bands.
HyP3's product guide names an RTC ``..._RTC30_G_gpuned_1234_VV.tif``: g gamma0 or s sigma0; p power, a amplitude or d
decibel.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import rasterio
from rasterio.enums import ColorInterp

from pipeline_lib.errors import RasterError

Scale = Literal["db", "linear", "amplitude"]

POLARISATIONS = ("vv", "vh", "hh", "hv")
_HYP3 = re.compile(r"^S1[A-Z]_.*_RTC\d\d_[A-Z]_([gs])([pad])[uw][nf][ec][dm]_[0-9A-F]{4}")
_IN_NAME = re.compile(r"(?:^|[_.\- ])(vv|vh|hh|hv)(?=$|[_.\- ])")
_SAYS_NOTHING = re.compile(r"(?:band[ _]?\d*)?")
_OPTICAL = re.compile(r"b\d{1,2}a?|red|green|blue|nir|swir\d*|rgb")
_PICTURE = {ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.palette}


@dataclass(frozen=True)
class Told:
    """What the file says, and the caller where it was asked."""

    bands: dict[int, str]
    """Position of a band, from 0, to its polarisation."""
    scale: Scale | None
    backscatter: str | None
    """``gamma0`` or ``sigma0``."""
    gains: tuple[tuple[float, float], ...]
    """Scale and offset of every band: value = scale x number + offset."""
    whole_numbers: bool
    """Whether the values are stored as integers."""


def told(source: rasterio.DatasetReader, path: Path, given: tuple[str, ...] | None) -> Told:
    """What an open raster says of itself.

    Args:
        source: of the raster.
        path: of it: programs tell much by the names of their files.
        given: polarisations of the bands in order, where the caller knows them.

    Raises:
        RasterError: a picture, an image of another kind of sensor, complex values, radar brightness (beta0), or bands
            that nobody names.
    """
    words = [(description or "").lower() for description in source.descriptions]
    _check_kind(source, path, words)
    hyp3 = _HYP3.match(path.stem)
    names = " ".join([*words, path.stem.lower()])
    if "beta0" in names:
        raise RasterError(f"{path} says that it is beta0 (radar brightness); convert it to sigma0 or gamma0 first.")
    unit_db = any((unit or "").lower() == "db" for unit in source.units)
    in_db = unit_db or any(re.search(r"(?:^|[_ ])db$", word) for word in (*words, path.stem.lower()))
    scale: Scale | None = "db" if in_db else None
    said = source.tags().get("backscatter")  # a tag that `overbank calibrate` writes
    backscatter = said if said in {"gamma0", "sigma0"} else next((s for s in ("gamma0", "sigma0") if s in names), None)
    if hyp3 is not None:
        backscatter = {"g": "gamma0", "s": "sigma0"}[hyp3[1]]
        scales: dict[str, Scale] = {"p": "linear", "a": "amplitude", "d": "db"}
        scale = scales[hyp3[2]]
    return Told(
        bands=_bands(source, words, given, path),
        scale=scale,
        backscatter=backscatter,
        gains=tuple(zip(source.scales, source.offsets, strict=True)),
        whole_numbers=all(dtype.startswith(("int", "uint")) for dtype in source.dtypes),
    )


def _check_kind(source: rasterio.DatasetReader, path: Path, words: list[str]) -> None:
    """Refuse what is no raster of backscatter on a map."""
    if any(dtype.startswith("complex") for dtype in source.dtypes):
        raise RasterError(
            f"{path} holds complex values (SLC): detect it, calibrate it and put it on a map grid first (SNAP, HyP3), "
            "or give the GRD to `overbank map`."
        )
    if source.crs is None:
        how = "only ground control points: it is in radar geometry; terrain-correct it" if source.gcps[0] else (
            "so no place on the map; set one (gdal_edit.py -a_srs EPSG:...)"
        )  # fmt: skip
        raise RasterError(f"{path} has no CRS, {how}.")
    optical = [word for word in words if _OPTICAL.fullmatch(word.strip())]
    if optical:
        raise RasterError(f"{path} is an optical image (bands {', '.join(optical)}); radar backscatter is expected.")
    if source.dtypes[0] == "uint8" and _PICTURE & set(source.colorinterp):
        raise RasterError(f"{path} is a picture (8 bit colours); give calibrated backscatter, in dB or linear power.")


def _bands(
    source: rasterio.DatasetReader, words: list[str], given: tuple[str, ...] | None, path: Path
) -> dict[int, str]:
    """Band position to polarisation, each polarisation once."""
    number = source.count
    if given is not None:
        names = tuple(name.lower() for name in given)
        if len(names) > number or len(set(names)) != len(names) or not set(names) <= set(POLARISATIONS):
            raise RasterError(
                f"Polarisations {','.join(given)} do not name bands of {path}, which has {number}; "
                "give each band once, in order, of VV, VH, HH, HV."
            )
        return dict(enumerate(names))
    found: dict[int, str] = {}
    for position, word in enumerate(words):
        name = next((name for name in POLARISATIONS if name in word and name not in found.values()), None)
        if name is not None:
            found[position] = name
    if found:
        return found
    in_name = set(_IN_NAME.findall(path.stem.lower()))
    if number == 1 and len(in_name) == 1:
        return {0: in_name.pop()}
    if number == 2 and all(_SAYS_NOTHING.fullmatch(word) for word in words):
        return {0: "vv", 1: "vh"}
    raise RasterError(
        f"{path} has {number} band{'s' if number != 1 else ''} and does not say which polarisation "
        f"{'they are' if number != 1 else 'it is'}; tell it with --polarisations (as VV or VV,VH)."
    )
