"""A folder of scenes as a catalogue: SAFE products, HyP3's terrain-corrected products, and rasters of one's own.

What a scene is follows from its name, from a side file, and from the file; what cannot be told is listed and left out.
"""

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from shapely.geometry import shape

from pipeline_lib.catalog.footprint import geometry_of
from pipeline_lib.catalog.items import EOPF_REFUSED
from pipeline_lib.catalog.search import Query
from pipeline_lib.errors import CatalogError, OverbankError, shown
from pipeline_lib.load.scene_file import HYP3, NotASceneError, hyp3_scene, named_polarisation, own_scene, safe_scene
from pipeline_lib.model import CatalogItem, CatalogReference

MAX_LISTED = 20
"""More files that are not understood are counted."""
_BESIDE = re.compile(r"_(dem|inc_map|area|ls_map|rgb|shape)(\.|$)|\.README\.", re.IGNORECASE)
"""Layers that HyP3 gives along, which are no scene."""
_SAFE = re.compile(r"^S1[A-D]_(IW|EW|S[1-6])_GRD", re.IGNORECASE)
_OTHER_PRODUCT = re.compile(r"^S1[A-D]_(IW|EW|S[1-6]|WV)_(SLC|OCN|RAW|ETA)", re.IGNORECASE)
_RASTERS = (".tif", ".tiff")


@dataclass
class SceneFolder:
    """The scenes of a folder, answering queries as a catalogue does."""

    catalog: CatalogReference
    scenes: dict[str, list[CatalogItem]]
    """By role: ``rtc`` and ``grd``."""
    notes: list[str] = field(default_factory=list)
    """Files that are not understood, with the reason."""

    @classmethod
    def read(cls, catalog: CatalogReference) -> "SceneFolder":
        """Index a folder with everything below it.

        Raises:
            CatalogError: there is no such folder, or it cannot be listed.
        """
        folder = Path(unquote(urlsplit(catalog.url).path))
        if not folder.is_dir():
            raise CatalogError(f"There is no folder {folder}; give one that holds scenes, or the URL of a STAC API.")
        scenes: dict[str, list[CatalogItem]] = {"rtc": [], "grd": []}
        left: dict[str, str] = {}
        try:
            for source in _sources(folder):
                try:
                    role, item = _scene(source)
                    scenes[role].append(item.model_copy(update={"catalog": catalog}))
                except NotASceneError as error:
                    if str(error):
                        left[str(source.first.relative_to(folder))] = str(error)
                except OverbankError as error:
                    left[str(source.first.relative_to(folder))] = shown(error)
        except OSError as error:
            raise CatalogError(f"The folder {folder} cannot be listed: {shown(error)}.") from error
        return cls(catalog, scenes, _left_notes(folder, left))

    def find(self, query: Query) -> list[CatalogItem]:
        """The scenes that answer a query; a folder has no other roles than ``rtc`` and ``grd``."""
        area = shape(query.area)
        return [
            item
            for item in self.scenes.get(query.role, [])
            if (query.start is None or item.end >= query.start)
            and (query.end is None or item.start <= query.end)
            and geometry_of(item.footprint).intersects(area)
        ]


@dataclass(frozen=True)
class _Source:
    """What may be a scene: a SAFE folder or zip, or one or more rasters."""

    first: Path
    files: dict[str, str]
    """Name of each file of the scene to its path, which may lead into a zip."""
    hyp3: re.Match[str] | None = None


def _sources(folder: Path) -> Iterator[_Source]:
    """What a folder holds, products of several files together; in the order of names."""
    products: dict[str, _Source] = {}
    for path in sorted(folder.rglob("*")):
        if any(parent.suffix.upper() == ".SAFE" for parent in path.relative_to(folder).parents):
            continue
        named = HYP3.match(path.name)
        if path.is_dir():
            if path.suffix.upper() in {".SAFE", ".ZARR"}:
                yield _Source(path, {})
        elif any(parent.suffix.lower() == ".zarr" for parent in path.relative_to(folder).parents):
            continue
        elif named and path.suffix.lower() == ".zip":
            with zipfile.ZipFile(path) as archive:
                members = {Path(name).name: f"{path}/{name}" for name in archive.namelist()}
            yield _Source(path, members, named)
        elif named:
            known = products.setdefault(named["name"] + str(path.parent), _Source(path, {}, named))
            known.files[path.name] = str(path)
        elif path.suffix.lower() in _RASTERS:
            pol = named_polarisation(path)
            alike = str(path.parent) + (path.stem.lower().replace(f"_{pol}", "") if pol else path.name)
            products.setdefault(alike, _Source(path, {})).files[path.name] = str(path)
        elif path.suffix.lower() == ".zip":
            yield _Source(path, {})
    yield from products.values()


def _scene(source: _Source) -> tuple[str, CatalogItem]:
    """The role and the item of a scene.

    Raises:
        NotASceneError: it is none; without words where that needs none.
    """
    name = source.first.name
    if source.hyp3 is not None:
        images = {
            pol: path
            for file, path in source.files.items()
            for pol in ("vv", "vh", "hh", "hv")
            if file.lower() == f"{source.hyp3['name']}_{pol}.tif".lower()
        }
        if not images:
            raise NotASceneError("" if _BESIDE.search(name) else "it holds no image of a polarisation")
        readme = next((path for file, path in source.files.items() if file.endswith(".README.md.txt")), None)
        return "rtc", hyp3_scene(source.hyp3, images, readme)
    if name.lower().endswith(".zarr"):
        raise NotASceneError(EOPF_REFUSED)
    if _OTHER_PRODUCT.match(name):
        raise NotASceneError("it is no GRD product")
    if source.first.is_dir() or (source.first.suffix.lower() == ".zip"):
        if not _SAFE.match(name):
            raise NotASceneError("its name is that of no Sentinel-1 GRD product")
        return "grd", safe_scene(source.first)
    return "rtc", own_scene([Path(path) for path in source.files.values()])


def _left_notes(folder: Path, left: dict[str, str]) -> list[str]:
    """A line for each file that is not understood."""
    lines = [f"{folder / name} is left out: {reason.rstrip('.')}." for name, reason in list(left.items())[:MAX_LISTED]]
    more = len(left) - len(lines)
    return [*lines, f"{more} more files of {folder} are left out for like reasons."] if more > 0 else lines
