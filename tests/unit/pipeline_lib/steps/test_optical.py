"""Optical steps on a small archive over HTTP: composite before the event, its water, and radar against it."""

from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from scipy import ndimage

from pipeline_lib.model import Acquisition, CatalogItem, CatalogReference, Event, Grid, MappingPlan, ProductType
from pipeline_lib.options.map_event import StepOptions
from pipeline_lib.options.prepare import PrepareOptions
from pipeline_lib.steps.optical import (
    measure_optical_shift,
    optical_base,
    optical_shift,
    prepare_composite,
    true_colour,
)
from pipeline_lib.steps.prepare import prepare_history, prepare_scene
from pipeline_lib.store import Store
from pipeline_lib.world.server import serve

LAID_ON_OPTICAL = StepOptions(prepare=PrepareOptions(correct_against_optical=True))
EVENT_START = datetime(2024, 5, 10, tzinfo=timezone.utc)
SIZE = 240
GRID = Grid(crs="EPSG:32632", transform=(10, 0, 578000, 0, -10, 4985000), shape=(SIZE, SIZE))
AREA = {"type": "Polygon", "coordinates": [[[10, 45], [10.02, 45], [10.02, 45.02], [10, 45.02], [10, 45]]]}
LAND = {"B02": 0.04, "B03": 0.07, "B04": 0.06, "B08": 0.30, "B11": 0.20, "B12": 0.12}
WATER = {"B02": 0.05, "B03": 0.06, "B04": 0.04, "B08": 0.02, "B11": 0.01, "B12": 0.01}


def patches() -> np.ndarray:
    return np.exp(ndimage.gaussian_filter(np.random.default_rng(1).normal(0, 8, (SIZE, SIZE)), 4))


def write_overpass(folder, name, water, cloud) -> dict[str, str]:
    hrefs = {}
    for band in (*LAND, "SCL"):
        if band == "SCL":
            numbers = np.where(cloud, 9, np.where(water, 6, 4))[::2, ::2]
        else:
            reflectance = np.where(water, WATER[band], LAND[band] * patches() ** 0.3)
            numbers = np.where(cloud, 0.6, reflectance) * 10_000 + 1_000
        path = folder / "assets" / "sentinel-2-l2a" / f"{name}-{band}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        step = 20 if band == "SCL" else 10
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            count=1,
            dtype="uint16",
            height=numbers.shape[0],
            width=numbers.shape[1],
            crs=GRID.crs,
            transform=from_origin(578000, 4985000, step, step),
        ) as dataset:
            dataset.write(numbers.astype("u2"), 1)
        hrefs[band] = f"assets/sentinel-2-l2a/{path.name}"
    return hrefs


def acquisition(base, name, days, hrefs) -> Acquisition:
    start = EVENT_START + timedelta(days=days)
    item = CatalogItem(
        item_id=name,
        collection="sentinel-2-l2a",
        start=start,
        end=start,
        footprint=AREA,
        assets={band: f"{base}/{href}" for band, href in hrefs.items()},
        facts={"s2:processing_baseline": "05.11"},
    )
    return Acquisition(
        acquisition_id=name, platform="S2A", product=ProductType.L2A, start=start, end=start, slices=(item,)
    )


@pytest.fixture
def plan_of(tmp_path):
    """Two overpasses before the event, cloudy in different halves, and one during it, cloudy in a corner."""
    lake, flood = np.zeros((2, SIZE, SIZE), bool)
    lake[60:120, 60:120] = True
    flood[60:180, 60:180] = True
    halves = np.zeros((3, SIZE, SIZE), bool)
    halves[0][:, :100], halves[1][:, 160:], halves[2][:40, :40] = True, True, True
    root = tmp_path / "archive"
    hrefs = [
        write_overpass(root, name, water, cloud)
        for name, water, cloud in zip(("old", "new", "wet"), (lake, lake, flood), halves, strict=True)
    ]
    (root / "collections").mkdir()
    (root / "items").mkdir()
    with serve(root) as url:
        passes = tuple(
            acquisition(url, name, days, href)
            for name, days, href in zip(("old", "new", "wet"), (-20, -5, 2), hrefs, strict=True)
        )
        event = Event(event_id="e", aoi=AREA, start=EVENT_START, end=EVENT_START + timedelta(days=9))
        yield (
            MappingPlan(
                event=event,
                catalog=CatalogReference(profile="generic", url=url),
                grid=GRID,
                passes=(),
                optical=passes,
            ),
            Store(tmp_path / "store"),
        )


def test_composite_water_and_shift(plan_of):
    plan, store = plan_of
    composite = store.open(prepare_composite(plan, store))
    assert prepare_composite(plan, store).href == prepare_composite(plan, store).href
    assert np.isfinite(composite["B08"]).all()
    assert float(composite["B08"].max()) < 0.55  # no cloud in it
    assert np.allclose(composite["days_before"][:, :80], 5)
    assert np.allclose(composite["days_before"][:, 180:], 20)
    assert np.allclose(composite["B08"][80:100, 80:100], WATER["B08"], atol=1e-4)

    water = composite["water"].to_numpy()
    assert (water[70:110, 70:110] == 1).all()
    assert (water[130:] == 0).all()
    picture = true_colour(composite)
    assert picture.dtype == "uint8"
    assert picture.dims == ("band", "y", "x")
    assert int(picture.min()) > 0
    hidden = composite.assign(B03=composite["B03"].where(composite["B03"].y < 4982900))
    assert not true_colour(hidden).isel(y=slice(0, 200)).any()

    power = 0.1 * ndimage.shift(patches(), (1.2, -0.7), order=3, mode="nearest")
    speckle = np.random.default_rng(2).gamma(4.4, 1 / 4.4, power.shape)
    scene = composite[["B03"]].rename(B03="vv").copy(data={"vv": (power * speckle).astype("f4")})
    saved = store.save("scene", "s", scene)
    estimate = shift(plan, store, saved, prepare_composite(plan, store))
    assert shift(plan, store, saved, prepare_composite(plan, store)) == estimate
    assert np.hypot(estimate.dy_px - 1.2, estimate.dx_px + 0.7) < 0.4
    assert "optical composite before 2024-05-10" in estimate.reference


def test_without_an_overpass_before_there_is_no_composite(plan_of):
    plan, store = plan_of
    assert prepare_composite(plan.model_copy(update={"optical": plan.optical[2:]}), store) is None


def shift(plan, store, scene, composite):
    return optical_shift(store, measure_optical_shift(plan, store, scene, composite))


def radar(name, template, offset, seed):
    """A pass that lies ``offset`` pixels from the optical composite, as an archive would give it."""
    power = 0.1 * ndimage.shift(patches(), offset, order=3, mode="nearest")
    speckle = np.random.default_rng(seed).gamma(4.4, 1 / 4.4, power.shape)
    data = {"vv": (power * speckle).astype("f4")}
    scene = template[["B03"]].rename(B03="vv").copy(data=data).assign_attrs(backscatter="gamma0")
    return scene.rio.write_crs(GRID.crs), Acquisition(
        acquisition_id=name, platform="S1A", product=ProductType.RTC, start=EVENT_START, end=EVENT_START, slices=()
    )


def test_passes_are_laid_onto_optical_only_where_that_is_asked_for(plan_of, monkeypatch):
    plan, store = plan_of
    composite = store.open(prepare_composite(plan, store))
    wrong, one = radar("wrong", composite, (2.2, -1.6), 2)
    right, other = radar("right", composite, (0.1, 0.1), 3)
    scenes = {"wrong": wrong, "right": right}
    monkeypatch.setattr(
        "pipeline_lib.steps.prepare.read_scene", lambda _, acquisition: scenes[acquisition.acquisition_id]
    )
    as_it_is = store.open(prepare_scene(plan, store, one))
    assert "optical_shift" not in as_it_is.attrs
    np.testing.assert_array_equal(as_it_is["vv"], wrong["vv"])

    asked = plan.model_copy(update={"options": LAID_ON_OPTICAL})
    stored = prepare_scene(asked, store, one)
    estimate = shift(asked, store, stored, optical_base(asked, store))
    assert estimate.corrected
    assert np.hypot(estimate.dy_px - 2.2, estimate.dx_px + 1.6) < 0.4
    left = shift(plan, store, store.save("scene", "left", store.open(stored).drop_attrs()), optical_base(asked, store))
    assert left.length_px < 0.5
    kept = prepare_scene(asked, store, other)
    assert not shift(asked, store, kept, optical_base(asked, store)).corrected
    np.testing.assert_array_equal(store.open(kept)["vv"], right["vv"])
    assert prepare_history(asked, store, (one,)).key != prepare_history(plan, store, (one,)).key


def test_optical_that_cannot_be_read_lays_nothing(plan_of):
    plan, store = plan_of
    lost = [
        each.model_copy(update={"assets": {k: v + "gone" for k, v in each.assets.items()}})
        for each in plan.optical[0].slices
    ]
    asked = plan.model_copy(
        update={
            "options": LAID_ON_OPTICAL,
            "optical": (plan.optical[0].model_copy(update={"slices": tuple(lost)}),),
        }
    )
    assert optical_base(asked, store) is None
