"""Precise and restituted orbits from EOF files, given one by one or as folders that hold years of them.

References:
    Sentinels POD Service File Format Specification, GMES-GSEG-EOPG-FS-10-0075 (names, OSV records).
"""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from pipeline_lib.errors import AssetError
from pipeline_lib.load.safe_xml import Reader, utc
from pipeline_lib.sar.annotation import Orbit

PLATFORMS = {f"Sentinel-1{letter}": f"S1{letter}" for letter in "ABCD"}
AROUND_S = 120.0
"""State vectors so long before and after the image are taken."""
_NAME = re.compile(
    r"(?P<platform>S1[A-D])_OPER_AUX_(?P<kind>POE|RES)ORB_OPOD_(?P<made>\d{8}T\d{6})"
    r"_V(?P<start>\d{8}T\d{6})_(?P<stop>\d{8}T\d{6})\.EOF$"
)


def orbit_from_files(paths: tuple[str, ...], platform: str, epoch: datetime, duration_s: float) -> Orbit | None:
    """State vectors of the best orbit file that covers an image.

    Files come in the order given; those of a folder (with its subfolders) by their names: precise before restituted,
    the newest of each kind first.

    Args:
        paths: EOF files, or folders of them.
        platform: ``S1A`` ... ``S1D``.
        epoch: time of the first line, UTC.
        duration_s: from the first line to the last.

    Returns:
        The vectors within `AROUND_S` of the image; None where no file of this satellite covers it.

    Raises:
        AssetError: there is no such path, or a file is not an orbit file.
    """
    for file in orbit_files_near(paths, platform, epoch, epoch + timedelta(seconds=duration_s)):
        orbit = _read(file, platform, epoch, duration_s)
        if orbit is not None:
            return orbit
    return None


def orbit_files_near(paths: tuple[str, ...], platform: str, start: datetime, end: datetime) -> Iterator[Path]:
    """Files that may say where a satellite was from ``start`` to ``end``, UTC, in the order in which they are asked.

    Those given one by one, whatever they are of, and those of folders whose names say that they hold some of that time.
    """
    for given in paths:
        path = Path(given)
        yield from _named(path, platform, start, end) if path.is_dir() else (path,)


def _named(folder: Path, platform: str, start: datetime, end: datetime) -> Iterator[Path]:
    """Files of a folder of that satellite and time by their names, best first."""
    named = [(match, path) for path in folder.rglob("*.EOF") if (match := _NAME.search(path.name))]
    fitting = [
        (match["kind"] == "POE", match["made"], path.name, path)
        for match, path in named
        if match["platform"] == platform and utc(match["start"]) <= end and start <= utc(match["stop"])
    ]
    yield from (path for *_, path in sorted(fitting, reverse=True))


def _read(path: Path, platform: str, epoch: datetime, duration_s: float) -> Orbit | None:
    """One file; None where it is of another satellite or time."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise AssetError(f"The orbit file {path} cannot be read ({error}).") from error
    reader = Reader(content, path.name)
    if PLATFORMS.get(reader.text(".//Fixed_Header/Mission")) != platform:
        return None
    vectors = reader.all(".//List_of_OSVs/OSV", least=4)
    time = np.array([reader.seconds("UTC", epoch, vector) for vector in vectors])
    near = np.flatnonzero((time > -AROUND_S) & (time < duration_s + AROUND_S))
    if near.size < 4 or time[near[0]] > 0 or time[near[-1]] < duration_s:
        return None
    chosen = [vectors[k] for k in near]
    return Orbit(
        time_s=time[near],
        position_m=np.array([[reader.number(axis, vector) for axis in ("X", "Y", "Z")] for vector in chosen]),
        velocity_m_s=np.array([[reader.number(axis, vector) for axis in ("VX", "VY", "VZ")] for vector in chosen]),
        source=path.name,
    )
