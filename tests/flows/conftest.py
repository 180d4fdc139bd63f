"""A Prefect test server and the simulated archive over real HTTP, once for all flow tests of a worker."""

import shutil
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import geopandas
import numpy as np
import pytest
import rasterio
from rasterio.features import shapes
from rasterio.transform import from_origin
from rasterio.warp import Resampling, reproject, transform_bounds
from shapely.geometry import shape

from benchmarks.soak.runs import free_port
from pipeline_lib.steps.event import read_event
from pipeline_lib.world.server import serve
from pipeline_lib.world.truth import flood_of, open_land, truth_for, truth_layer, truth_scenes

EQUI7_EUROPE = "+proj=aeqd +lat_0=53 +lon_0=24 +x_0=5837287.81977 +y_0=2121415.69617 +datum=WGS84 +units=m"
"""Grid of Copernicus GFM over Europe, 20 m."""


@pytest.fixture(scope="session")
def prefect_server():
    """An isolated Prefect server with a database of its own."""
    from prefect.testing.utilities import prefect_test_harness

    with pytest.MonkeyPatch.context() as patch:
        # Prefect's own choice is a port that an outgoing connection may take until the server is up.
        patch.setattr("prefect.testing.utilities._find_available_port", free_port, raising=False)
        with prefect_test_harness(server_startup_timeout=800):
            yield


@pytest.fixture(scope="session")
def archive(small_world):
    """URL of the simulated archive."""
    with serve(small_world) as url:
        yield url


@pytest.fixture(scope="session")
def event(small_world):
    return read_event(small_world / "event.yaml")


@pytest.fixture
def own_world(small_world, tmp_path):
    """A copy of the simulated archive that a test may change."""
    return shutil.copytree(small_world, tmp_path / "world")


@pytest.fixture
def outside(small_world, event, tmp_path):
    """The simulated flood as Copernicus GFM and a mapping service would give it out, and the truth they are made of."""
    wet, told, place = _flooded_at_any_pass(small_world, event.start)
    gfm, exclusion = _as_gfm(tmp_path, wet, told, place)
    flood, area = _as_ems(tmp_path, wet, told, place)
    return SimpleNamespace(wet=wet, told=told, place=place, gfm=gfm, exclusion=exclusion, flood=flood, area=area)


def _flooded_at_any_pass(world: Path, start: datetime):
    """Flood of any kind on open land at any radar pass of the event (bool), where that is (bool), and a layer's place."""
    land = open_land(world)
    wet, seen = np.zeros(land.shape, bool), np.zeros(land.shape, bool)
    for scene, entry in truth_scenes(world).items():
        if entry["kind"] == "radar" and datetime.fromisoformat(entry["datetime"]) >= start:
            observed = truth_layer(world, "observed", scene).to_numpy() == 1
            wet |= observed & flood_of(truth_for(world, scene)).to_numpy()
            seen |= observed
    return wet, land.to_numpy() & seen, land.rio


def _as_gfm(folder: Path, wet: np.ndarray, told: np.ndarray, place) -> tuple[Path, Path]:
    """``ensemble_flood_extent`` (0, 1, 255) and ``exclusion_mask`` (0, 1, 255) on GFM's own grid."""
    west, south, east, north = transform_bounds(place.crs, EQUI7_EUROPE, *place.bounds())
    size = (int((north - south) // 20) + 1, int((east - west) // 20) + 1)
    written = []
    for name, values in (("ensemble_flood_extent", wet), ("exclusion_mask", ~told)):
        layer = np.full(size, 255, np.uint8)
        there = {"dst_transform": from_origin(west, north, 20, 20), "dst_crs": EQUI7_EUROPE, "dst_nodata": 255}
        here = {"src_transform": place.transform(), "src_crs": place.crs}
        reproject(values.astype(np.uint8), layer, **here, **there, resampling=Resampling.nearest)
        profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "nodata": 255, "height": size[0], "width": size[1]}
        written.append(folder / f"{name}.tif")
        with rasterio.open(written[-1], "w", crs=EQUI7_EUROPE, transform=there["dst_transform"], **profile) as target:
            target.write(layer, 1)
    return written[0], written[1]


def _as_ems(folder: Path, wet: np.ndarray, told: np.ndarray, place) -> tuple[Path, Path]:
    """Observed event and area of interest as polygons in EPSG:4326."""
    written = []
    for name, values in (("observedEventA", wet & told), ("areaOfInterestA", told)):
        found = shapes(values.astype(np.uint8), mask=values, transform=place.transform())
        frame = geopandas.GeoDataFrame(geometry=[shape(outline) for outline, _ in found], crs=place.crs)
        written.append(folder / f"{name}.geojson")
        frame.to_crs("EPSG:4326").to_file(written[-1])
    return written[0], written[1]
