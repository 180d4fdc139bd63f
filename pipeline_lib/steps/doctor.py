"""Step: look at the machine and say what would go wrong, with a fix for each finding."""

import importlib
import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path

import psutil
import rasterio
import requests
from packaging.requirements import InvalidRequirement, Requirement

from pipeline_lib.catalog.client import CatalogIO
from pipeline_lib.catalog.profiles import PROFILES, profile_of, resolve_catalog
from pipeline_lib.catalog.safety import policy_of
from pipeline_lib.catalog.search import CatalogSession
from pipeline_lib.catalog.signing import gdal_environment, signed
from pipeline_lib.errors import InputError, OverbankError
from pipeline_lib.load.asset import opened
from pipeline_lib.model import CatalogReference, Record
from pipeline_lib.options.search import SearchOptions
from pipeline_lib.projections import need_projections
from pipeline_lib.publish.versions import need_links
from pipeline_lib.steps.hardware import gpu_count
from pipeline_lib.steps.outbox import outbox_lines

DISTRIBUTION = "overbank"
SHOWN = ("prefect", "dask", "xarray", "odc-stac", "rasterio", "pystac-client", "torch", "zarr")
CONSEQUENCES = {
    "fastapi": "with another one the Prefect server dies",
    "sqlalchemy": "with a newer one no Prefect schedule ever fires",
}
"""What a wrong version breaks, where the package's own error does not say it."""
DRIVERS = {"GTiff": "nothing can be read", "COG": "nothing can be published", "JP2OpenJPEG": "no Sentinel-2 of CDSE"}
LITTLE_DISK, NO_DISK = 10e9, 1e9
LITTLE_MEMORY = 4e9
_LITTLE_PATIENCE = SearchOptions(attempts=2, backoff_s=0.2, request_timeout_s=8, total_time_s=12)


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    NOTE = "note"
    """Works, but something is limited."""
    PROBLEM = "problem"
    """A run will fail; makes the exit code 1."""


class Finding(Record):
    """One thing looked at."""

    name: str
    level: Level
    text: str
    fix: str = ""
    """What to do about it; empty where nothing is wrong."""


def examine(catalog: str | None = None, folder: Path = Path()) -> tuple[Finding, ...]:
    """Look at versions, GPU, GDAL, credentials, catalogues, Prefect, disk and memory.

    Args:
        catalog: name or URL of a catalogue that must be reachable; None tries the known ones and only notes failures.
        folder: where results are to be written.

    Raises:
        UnknownNameError: no such catalogue.
    """
    chosen = None if catalog is None else resolve_catalog(catalog)
    known = [CatalogReference(profile=one.name, url=one.url) for one in PROFILES.values() if one.url]
    return (
        *_python(),
        *check_requirements(_requirements()),
        _gpu(),
        *_gdal(),
        *(_credentials(one, os.environ, needed=one == chosen) for one in known),
        *(check_archive(chosen) if chosen else [check_catalog(one, needed=False) for one in known]),
        _prefect(os.environ),
        check_folder(folder),
        *check_news(folder),
        *check_buckets(os.environ),
        _memory(),
    )


def exit_code(findings: Iterable[Finding]) -> int:
    """1 where a run would fail, else 0."""
    return int(any(one.level is Level.PROBLEM for one in findings))


def doctor_text(findings: Iterable[Finding]) -> str:
    """Findings for people: a line each, and the fix below."""
    marks = {Level.OK: "ok     ", Level.NOTE: "note   ", Level.PROBLEM: "PROBLEM"}
    lines: list[str] = []
    for one in findings:
        lines.append(f"{marks[one.level]}  {one.name}: {one.text}")
        lines += [f"         -> {one.fix}"] if one.fix else []
    return "\n".join(lines) + "\n"


def check_requirements(requirements: Iterable[str]) -> list[Finding]:
    """Compare installed versions with what this version of overbank was tested with."""
    findings = []
    for text in requirements:
        try:
            wanted = Requirement(text)
        except InvalidRequirement:
            continue
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        held = _version(wanted.name)
        if held is None or not wanted.specifier.contains(held, prereleases=True):
            why = CONSEQUENCES.get(wanted.name.lower(), "it was not tested")
            findings.append(
                Finding(
                    name=wanted.name,
                    level=Level.PROBLEM,
                    text=f"{held or 'not installed'}, expected {wanted.specifier}: {why}",
                    fix=f"pip install '{wanted.name}{wanted.specifier}' -c constraints.txt",
                )
            )
    return findings or [Finding(name="requirements", level=Level.OK, text="all installed versions fit")]


def check_catalog(catalog: CatalogReference, *, needed: bool) -> Finding:
    """Ask for a catalogue's root, with little patience."""
    options = _LITTLE_PATIENCE
    name = f"catalogue {catalog.profile if profile_of(catalog).url else catalog.url}"
    begin = time.monotonic()
    try:
        CatalogSession.open(catalog, options, CatalogIO(policy_of(catalog), options))
    except OverbankError as error:
        level = Level.PROBLEM if needed else Level.NOTE
        fix = "check network, proxy (HTTPS_PROXY) and its certificate (SSL_CERT_FILE), or choose another catalogue"
        return Finding(name=name, level=level, text=str(error), fix=fix)
    return Finding(name=name, level=Level.OK, text=f"answers within {time.monotonic() - begin:.1f} s")


def check_archive(catalog: CatalogReference) -> list[Finding]:
    """Whether a catalogue answers, one of its radar assets is signed, and its pixels can be read: each on its own way.

    Search, signing and pixels go through different libraries; behind a proxy one may work where another does not.
    """
    found = [check_catalog(catalog, needed=True)]
    if found[0].level is not Level.OK:
        return found
    item = None
    try:
        item = CatalogSession.open(catalog, _LITTLE_PATIENCE).some_radar_item()
        asset = item.assets.get("vv") or item.assets.get("vh") or next(iter(item.assets.values()))
        href = signed(asset, catalog)
        found.append(Finding(name="signing", level=Level.OK, text=f"an asset of {item.item_id} can be asked for"))
        with opened(item.item_id, "radar", href, gdal_environment(catalog)) as raster:
            raster.read(1, window=((0, 1), (0, 1)))
        found.append(Finding(name="pixels", level=Level.OK, text=f"a pixel of {item.item_id} was read"))
    except OverbankError as error:
        name = "search" if item is None else "signing" if len(found) == 1 else "pixels"
        fix = "check the network, the proxy (HTTPS_PROXY), its certificate (SSL_CERT_FILE) and the credentials"
        found.append(Finding(name=name, level=Level.PROBLEM, text=str(error), fix=fix))
    return found


def check_folder(folder: Path) -> Finding:
    """Whether results can be written, and how much space there is."""
    place = folder.resolve()
    while not place.exists():
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            free = shutil.disk_usage(place).free
    except OSError as error:
        why = f"{place} cannot be written ({error.strerror or error})"
        return Finding(name="disk", level=Level.PROBLEM, text=why, fix="choose another folder with --out")
    try:
        need_links(folder)
    except OverbankError as error:
        return Finding(name="disk", level=Level.PROBLEM, text=str(error), fix="choose another folder with --out")
    text = f"{free / 1e9:.1f} GB free for {place}"
    if free < LITTLE_DISK:
        level = Level.PROBLEM if free < NO_DISK else Level.NOTE
        return Finding(
            name="disk", level=level, text=text, fix="free space; a full Sentinel-1 scene takes some gigabytes"
        )
    return Finding(name="disk", level=Level.OK, text=text)


def check_news(folder: Path) -> list[Finding]:
    """Whether news of the desk waits, or was lost; nothing where none does."""
    fix = "overbank status; is the desk up, and does the address still answer (overbank notify test NAME)?"
    return [Finding(name="news", level=Level.NOTE, text=line, fix=fix) for line in outbox_lines(folder)]


def check_buckets(environment: Mapping[str, str]) -> list[Finding]:
    """Whether the store and the mirror that the environment names can be written; nothing where it names none."""
    from pipeline_lib.steps.mirror import MIRROR_VARIABLE  # noqa: PLC0415 - what reads rasters takes seconds to import
    from pipeline_lib.steps.workspace import STORE_VARIABLE  # noqa: PLC0415
    from pipeline_lib.store import Store  # noqa: PLC0415

    findings = []
    for name, variable in (("store", STORE_VARIABLE), ("mirror", MIRROR_VARIABLE)):
        if not (place := environment.get(variable)):
            continue
        try:
            Store(place).ready()
        except OverbankError as error:
            fix = f"mend the access, or unset {variable}"
            findings.append(Finding(name=name, level=Level.PROBLEM, text=str(error), fix=fix))
        else:
            findings.append(Finding(name=name, level=Level.OK, text=f"{place} can be written"))
    return findings


def _python() -> list[Finding]:
    versions = ", ".join(f"{name} {_version(name) or 'missing'}" for name in (DISTRIBUTION, *SHOWN))
    system = f"{platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} processors"
    fits = sys.version_info >= (3, 11)
    level, fix = (Level.OK, "") if fits else (Level.PROBLEM, "install Python 3.11 or newer")
    return [
        Finding(name="python", level=level, text=system, fix=fix),
        Finding(name="versions", level=Level.OK, text=versions),
    ]


def _requirements() -> list[str]:
    try:
        return importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return [f"{DISTRIBUTION}>0"]


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _gpu() -> Finding:
    try:
        importlib.import_module("torch")  # here: a broken torch must not stop the doctor
        count = gpu_count()
    except (ImportError, OSError, RuntimeError) as error:
        fix = "pip install --force-reinstall torch -c constraints.txt"
        return Finding(name="gpu", level=Level.PROBLEM, text=f"torch does not load ({error})", fix=fix)
    if count:
        return Finding(name="gpu", level=Level.OK, text=f"{count} CUDA device(s)")
    return Finding(name="gpu", level=Level.OK, text="none; networks run on the processors")


def _gdal() -> list[Finding]:
    """Drivers, and a projection database that works (another GDAL's PROJ_DATA breaks it)."""
    with rasterio.Env() as environment:
        held = environment.drivers()
    findings = [
        Finding(
            name=f"GDAL driver {name}",
            level=Level.NOTE if name == "JP2OpenJPEG" else Level.PROBLEM,
            text=f"missing: {effect}",
            fix="install rasterio from its wheel: pip install --force-reinstall --no-deps rasterio -c constraints.txt",
        )
        for name, effect in DRIVERS.items()
        if name not in held
    ]
    try:
        need_projections()
    except InputError as error:
        fix = "unset PROJ_DATA and PROJ_LIB"
        findings.append(Finding(name="PROJ", level=Level.PROBLEM, text=str(error), fix=fix))
    version = f"{rasterio.__gdal_version__} with {len(held)} drivers"
    return findings or [Finding(name="GDAL", level=Level.OK, text=version)]


def _credentials(catalog: CatalogReference, environment: Mapping[str, str], *, needed: bool) -> Finding:
    """Whether credentials are there; their values are looked at by nobody."""
    wanted = profile_of(catalog).credentials
    held = [name for name in wanted if environment.get(name)]
    name = f"credentials for {catalog.profile}"
    if len(held) == len(wanted):
        return Finding(name=name, level=Level.OK, text=f"{', '.join(wanted)} set")
    if wanted[0].startswith("AWS") and (Path.home() / ".aws" / "credentials").is_file():
        return Finding(name=name, level=Level.OK, text="a credentials file of AWS is there")
    missing = ", ".join(one for one in wanted if one not in held)
    optional = catalog.profile == "planetary-computer"
    text = f"{missing} not set" + (
        "; anonymous requests are limited" if optional else "; its Sentinel-1 cannot be read"
    )
    level = Level.PROBLEM if needed and not optional else Level.NOTE if needed else Level.OK
    return Finding(name=name, level=level, text=text, fix=f"export {missing.split(',')[0]}=..." if needed else "")


def _prefect(environment: Mapping[str, str]) -> Finding:
    """The Prefect server that runs would report to."""
    url = environment.get("PREFECT_API_URL", "").rstrip("/")
    if not url:
        return Finding(name="Prefect", level=Level.OK, text="no server named; each run brings its own")
    try:
        status = requests.get(f"{url}/health", timeout=5).status_code
    except requests.RequestException as error:
        text = f"no server at PREFECT_API_URL ({type(error).__name__})"
        return Finding(name="Prefect", level=Level.PROBLEM, text=text, fix="overbank up, or unset PREFECT_API_URL")
    level, fix = (Level.OK, "") if status == 200 else (Level.PROBLEM, "check PREFECT_API_URL and its credentials")
    return Finding(name="Prefect", level=level, text=f"the server at PREFECT_API_URL answers {status}", fix=fix)


def _memory() -> Finding:
    memory = psutil.virtual_memory()
    text = f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB available"
    if memory.available < LITTLE_MEMORY:
        fix = "close other programs, or map smaller areas"
        return Finding(name="memory", level=Level.NOTE, text=text, fix=fix)
    return Finding(name="memory", level=Level.OK, text=text)
