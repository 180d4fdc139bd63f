"""A small archive in the layout of a world folder, shared by tests of the catalogue, the steps and the server."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from shapely.geometry import box, mapping

from pipeline_lib.model import Event
from pipeline_lib.model.area import area_of_bbox
from pipeline_lib.world.server import serve
from pipeline_lib.world.server.faults import Faults

EVENT_START = datetime(2024, 5, 10, tzinfo=timezone.utc)
AREA = (10.0, 45.0, 10.1, 45.1)
WIDE = (9.0, 44.5, 11.0, 45.5)


def sentinel1_item(
    item_id: str, start: datetime, *, platform="S1A", orbit=66, state="descending", bounds=WIDE, **properties
):
    """An item as the Planetary Computer writes it; ``seconds`` and ``datatake`` among the properties are special."""
    end = start + timedelta(seconds=properties.pop("seconds", 25))
    absolute = properties.pop("absolute", 50_000 + int(start.timestamp() // 5_900) % 40_000)
    assets = {
        pol: {"href": f"assets/sentinel-1-rtc/shared/{pol}.tif", "type": "image/tiff", "roles": ["data"]}
        for pol in ("vv", "vh")
    }
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [],
        "id": item_id,
        "collection": "sentinel-1-rtc",
        "geometry": mapping(box(*bounds)),
        "bbox": list(bounds),
        "properties": {
            "datetime": (start + (end - start) / 2).isoformat().replace("+00:00", "Z"),
            "start_datetime": start.isoformat().replace("+00:00", "Z"),
            "end_datetime": end.isoformat().replace("+00:00", "Z"),
            "platform": f"SENTINEL-{platform[1:]}",
            "constellation": "Sentinel-1",
            "sat:orbit_state": state,
            "sat:relative_orbit": orbit,
            "sat:absolute_orbit": absolute,
            "s1:datatake_id": str(absolute),
            "sar:instrument_mode": "IW",
            "sar:polarizations": ["VV", "VH"],
            "sar:product_type": "GRD",
            **properties,
        },
        "links": [],
        "assets": assets,
    }


def simple_item(item_id: str, collection: str, asset: str, bounds=WIDE, **properties):
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [],
        "id": item_id,
        "collection": collection,
        "geometry": mapping(box(*bounds)),
        "bbox": list(bounds),
        "properties": {"datetime": "2021-04-22T00:00:00Z", **properties},
        "links": [],
        "assets": {asset: {"href": f"assets/{collection}/{item_id}.tif", "roles": ["data"]}},
    }


@dataclass
class SmallArchive:
    """A world folder that tests may add to."""

    folder: Path

    def add(self, item: dict) -> Path:
        folder = self.folder / "items" / item["collection"]
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{item['id']}.json"
        partial = path.with_suffix(".part")
        partial.write_text(json.dumps(item))
        partial.replace(path)
        return path

    def items(self) -> list[dict]:
        return [json.loads(path.read_text()) for path in sorted(self.folder.glob("items/*/*.json"))]


def collection(name: str) -> dict:
    return {
        "type": "Collection",
        "id": name,
        "stac_version": "1.0.0",
        "description": f"{name} of a test",
        "license": "proprietary",
        "extent": {
            "spatial": {"bbox": [[-180, -90, 180, 90]]},
            "temporal": {"interval": [["2014-10-01T00:00:00Z", None]]},
        },
        "links": [],
    }


def write_tiff(path: Path, seed: int = 0, size: int = 64) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).random((size, size), dtype="float32")
    profile = {"driver": "GTiff", "width": size, "height": size, "count": 1, "dtype": "float32", "crs": "EPSG:32632"}
    with rasterio.open(
        path,
        "w",
        transform=Affine(10, 0, 600_000, 0, -10, 5_000_000),
        tiled=True,
        blockxsize=32,
        blockysize=32,
        **profile,
    ) as target:
        target.write(values, 1)


def build_small_archive(folder: Path) -> SmallArchive:
    """Ten passes before the event on two orbits, three during it (one in two slices, one partial), DEM, occurrence."""
    archive = SmallArchive(folder)
    for name in ("sentinel-1-rtc", "cop-dem-glo-30", "jrc-gsw"):
        path = archive.folder / "collections" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(collection(name)))
    for number in range(5):
        day = EVENT_START - timedelta(days=12 * (number + 1))
        platform = "S1A" if number % 2 else "S1C"
        archive.add(sentinel1_item(f"before-D{number}", day + timedelta(hours=5), platform=platform))
        archive.add(
            sentinel1_item(
                f"before-A{number}", day + timedelta(hours=17), orbit=15, state="ascending", platform=platform
            )
        )
    first = EVENT_START + timedelta(days=1, hours=5)
    west, east = (9.0, 44.5, 10.05, 45.5), (10.05, 44.5, 11.0, 45.5)
    archive.add(sentinel1_item("slice-1", first, bounds=west, absolute=53_000))
    archive.add(sentinel1_item("slice-2", first + timedelta(seconds=25), bounds=east, absolute=53_000))
    archive.add(sentinel1_item("during-A", first + timedelta(hours=12), orbit=15, state="ascending", platform="S1C"))
    archive.add(sentinel1_item("part", first + timedelta(days=6), bounds=(9.0, 44.5, 10.025, 45.5), platform="S1C"))
    archive.add(simple_item("dem-tile", "cop-dem-glo-30", "data"))
    archive.add(simple_item("gsw-tile", "jrc-gsw", "occurrence"))
    write_tiff(archive.folder / "assets/sentinel-1-rtc/shared/vv.tif", 1)
    write_tiff(archive.folder / "assets/sentinel-1-rtc/shared/vh.tif", 2)
    write_tiff(archive.folder / "assets/cop-dem-glo-30/dem-tile.tif", 3)
    write_tiff(archive.folder / "assets/jrc-gsw/gsw-tile.tif", 4)
    return archive


@pytest.fixture
def small_archive(tmp_path: Path) -> SmallArchive:
    """An archive of one's own."""
    return build_small_archive(tmp_path / "archive")


@dataclass
class Served:
    """An archive behind HTTP; ``faults`` are off unless a test sets some."""

    archive: SmallArchive
    url: str
    faults: Faults


@pytest.fixture(scope="session")
def _served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    archive = build_small_archive(tmp_path_factory.mktemp("served") / "archive")
    faults = Faults()
    with serve(archive.folder, faults=faults) as url:
        yield Served(archive, url, faults)


@pytest.fixture
def served(_served: Served) -> Served:
    """One server for all tests; not to be written to."""
    _served.faults.set([])
    return _served


@pytest.fixture
def flood_event() -> Event:
    """The event of the small archive."""
    return Event(
        event_id="test-flood", aoi=area_of_bbox(*AREA), start=EVENT_START, end=EVENT_START + timedelta(days=12)
    )
