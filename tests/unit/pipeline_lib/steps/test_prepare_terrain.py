"""Terrain is made from an elevation that is read once and kept: a run that was killed goes on from it."""

from datetime import datetime, timezone

import numpy as np
import pytest
import rasterio
import xarray as xr

from pipeline_lib.model import CatalogItem, CatalogReference, Event, Grid, MappingPlan
from pipeline_lib.steps import prepare
from pipeline_lib.steps.read import read_elevation
from pipeline_lib.store import Store
from pipeline_lib.terrain import terrain_of

AREA = {"type": "Polygon", "coordinates": [[[10, 45], [10.02, 45], [10.02, 45.02], [10, 45.02], [10, 45]]]}
START = datetime(2024, 5, 10, tzinfo=timezone.utc)


class KilledError(Exception):
    """The run ended here."""


@pytest.fixture
def plan(tmp_path, monkeypatch) -> MappingPlan:
    monkeypatch.setenv("OVERBANK_FILE_ROOTS", str(tmp_path))
    grid = Grid(crs="EPSG:32632", transform=(10, 0, 578000, 0, -10, 4985000), shape=(90, 70))
    profile = {"driver": "GTiff", "dtype": "float32", "count": 1, "height": 50, "width": 40, "crs": grid.crs}
    transform = rasterio.transform.from_origin(577900, 4985100, 30, 30)
    with rasterio.open(tmp_path / "dem.tif", "w", transform=transform, **profile) as dem:
        dem.write(np.random.default_rng(1).normal(100, 10, (50, 40)).cumsum(axis=0).astype("f4"), 1)
    item = CatalogItem(
        item_id="dem",
        collection="c",
        start=START,
        end=START,
        footprint=AREA,
        assets={"data": str(tmp_path / "dem.tif")},
    )
    return MappingPlan(
        event=Event(event_id="e", aoi=AREA, start=START, end=START.replace(day=12)),
        catalog=CatalogReference(profile="generic", url="http://localhost"),
        grid=grid,
        passes=(),
        dem=(item,),
    )


def test_terrain_from_the_stored_elevation_is_that_of_the_elevation_as_read(plan, tmp_path):
    store = Store(tmp_path / "store")
    found = store.open(prepare.prepare_terrain(plan, store)).compute()
    expected = terrain_of(read_elevation(plan).compute())
    assert float(expected["hand_m"].max()) > 0
    assert float(found["elevation_m"].attrs["native_pixel_m"]) == 30
    xr.testing.assert_equal(found, expected)
    for name, layer in expected.items():
        assert layer.attrs.items() >= found[name].attrs.items()
    assert found.rio.crs == plan.grid.crs


def test_a_killed_run_goes_on_from_the_elevation_that_it_wrote(plan, tmp_path, monkeypatch):
    store = Store(tmp_path / "store")
    with monkeypatch.context() as patch:
        patch.setattr(prepare, "terrain_of", lambda *_, **__: (_ for _ in ()).throw(KilledError))
        with pytest.raises(KilledError):
            prepare.prepare_terrain(plan, store)
    monkeypatch.setattr(prepare, "read_elevation", lambda _: pytest.fail("read again"))
    assert np.isfinite(store.open(prepare.prepare_terrain(plan, store))["hand_m"]).all()
