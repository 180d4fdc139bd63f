"""A synthetic flood: a river that swells over three passes on two orbits, with everything a pass may hold."""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
import rioxarray  # noqa: F401
import xarray as xr
from shapely.geometry import box, mapping

from pipeline_lib.flood import derive_flood, mosaic, reference_water
from pipeline_lib.flood.area import inside_area
from pipeline_lib.grid import choose_grid
from pipeline_lib.model import Acquisition, CatalogItem, CatalogReference, DetectorUsed, Event, MappingPlan, PlannedPass
from pipeline_lib.model.area import area_of_bbox
from pipeline_lib.options.derive import DeriveOptions
from pipeline_lib.options.detect import DetectorChoice
from pipeline_lib.options.map_event import StepOptions
from pipeline_lib.options.publish import PublishOptions
from pipeline_lib.publish.preview import coarse_backscatter
from pipeline_lib.publish.publication import Publication, PublishedPass
from pipeline_lib.water.making import MADE_BY

START = datetime(2024, 5, 10, 5, 30, tzinfo=timezone.utc)
DAYS = (0.0, 2.5, 6.0)
REACH = (14, 30, 20)
USED = DetectorUsed(detector="adaptive", parameters={})


@dataclass(frozen=True)
class Flood:
    """A synthetic event and what is true of it."""

    plan: MappingPlan
    passes: tuple[PublishedPass, ...]
    event: xr.Dataset
    truth: tuple[np.ndarray, ...]

    def publication(self, count: int | None = None, **changes):
        """A publication of the first ``count`` passes."""
        chosen = self.passes[:count]
        plan = self.plan.model_copy(update={"passes": self.plan.passes[:count]})
        inside = inside_area(plan.event.aoi, chosen[0].flood["flood_extent"], plan.grid)
        event = mosaic([(one.planned.acquisition.start, one.flood) for one in chosen], "maximum", inside).compute()
        values = {
            "plan": plan,
            "passes": chosen,
            "event": event,
            "event_key": f"event{len(chosen)}",
            "options": PublishOptions(lock_wait_s=0.2),
            "software": "overbank 0.1.0",
            "environment": {"overbank": "0.1.0"},
            "published": START + timedelta(days=7),
        }
        return Publication(**(values | changes))


def make_flood(bbox=(5.30, 43.90, 5.36, 43.94), *, seed: int = 7, reach=REACH) -> Flood:
    """Build the event on the grid of ``bbox``."""
    rng = np.random.default_rng(seed)
    aoi = area_of_bbox(*bbox)
    grid = choose_grid(aoi)
    rows, columns = grid.shape
    y, x = np.mgrid[:rows, :columns]
    distance = np.abs(y - rows * (0.5 + 0.22 * np.sin(x / columns * 5)))
    river, forest = distance < 5, (x > columns * 0.7) & (distance > 12)
    town = (np.abs(x - columns * 0.3) < 25) & (distance < 25) & ~river
    planned, published, truth = [], [], []
    event = Event(
        event_id="river-2024",
        aoi=aoi,
        start=START - timedelta(days=1),
        end=START + timedelta(days=9),
        title="River & town <flood>",
    )
    for index, (days, wide) in enumerate(zip(DAYS, reach, strict=True)):
        flooded = (distance < wide) & ~river
        unseen = x < columns * (0.12 if index == 1 else 0.0)
        one = _planned(index, START + timedelta(days=days), aoi)
        scene, history = _radar(rng, grid, river, flooded, forest, town, unseen)
        water = _water(rng, grid, river, flooded & ~town & ~forest, unseen)
        flood = derive_flood(water, reference_water(None, history), None, scene, DeriveOptions(), history).compute()
        flood["before_db"] = coarse_backscatter(history, 1).compute()
        flood["archive_dark_share"] = xr.DataArray(0.002)
        flood.attrs[MADE_BY] = USED.model_dump_json()
        flood.attrs["acquisition_id"] = one.acquisition.acquisition_id
        planned.append(one)
        published.append(PublishedPass(planned=one, scene=scene, flood=flood, key=f"flood{index}-{seed}"))
        truth.append(flooded)
    plan = MappingPlan(
        event=event,
        catalog=CatalogReference(profile="generic", url="http://127.0.0.1:8080"),
        grid=grid,
        passes=tuple(planned),
        options=StepOptions(detect=DetectorChoice(detector="adaptive")),
        notes=("Two orbits.",),
    )
    joined = mosaic([(one.planned.acquisition.start, one.flood) for one in published]).compute()
    return Flood(plan, tuple(published), joined, tuple(truth))


def _layer(values, grid):
    columns = grid.transform[2] + grid.pixel_m * (np.arange(grid.shape[1]) + 0.5)
    rows = grid.transform[5] - grid.pixel_m * (np.arange(grid.shape[0]) + 0.5)
    return xr.DataArray(values, dims=("y", "x"), coords={"y": rows, "x": columns}, attrs={"units": "1"}).rio.write_crs(
        grid.crs
    )


def _radar(rng, grid, river, flooded, forest, town, unseen):
    def level(db):
        return 10 ** (db / 10)

    dry = np.where(forest, level(-8.0), np.where(town, level(-4.5), level(-11.0)))
    dry = np.where(river, level(-19.0), dry)
    wet = np.where(flooded, np.where(forest | town, dry * level(4.5), level(-19.0)), dry)
    cross = {"dry": np.where(river, level(-26.0), np.where(forest, level(-12.0), level(-17.5)))}
    cross["wet"] = np.where(flooded & ~forest & ~town, level(-26.0), cross["dry"])

    def speckle(power, shape=()):
        return (power * rng.gamma(4.4, 1 / 4.4, (*shape, *power.shape))).astype(np.float32)

    now = {"vv": speckle(wet), "vh": speckle(cross["wet"])}
    scene = xr.Dataset({name: _layer(np.where(unseen, np.nan, band), grid) for name, band in now.items()})
    scene.attrs = {"backscatter": "gamma0"}
    template = scene["vv"]
    history = xr.Dataset(
        {
            "vv": (("time", "y", "x"), speckle(dry, (6,))),
            "vh": (("time", "y", "x"), speckle(cross["dry"], (6,))),
        },
        coords=template.coords,
    )
    return scene, history


def _water(rng, grid, river, open_flood, unseen):
    truth = river | open_flood
    logit = np.where(truth, 3.0, -3.0) + rng.normal(0, 1.0, truth.shape)
    probability = 1 / (1 + np.exp(-logit))
    water = np.where(unseen, 255, probability > 0.5).astype(np.uint8)
    return xr.Dataset(
        {
            "water": _layer(water, grid),
            "likelihood": _layer(np.where(unseen, np.nan, probability).astype(np.float32), grid),
            "excluded": _layer(np.zeros(truth.shape, np.uint16), grid),
        }
    )


def _planned(index, moment, aoi):
    orbit, direction = ((66, "descending"), (88, "ascending"))[index % 2]
    identity = f"S1{'AC'[index % 2]}_{moment:%Y%m%dT%H%M%S}_R{orbit:03d}_{direction[0].upper()}"

    def acquisition(name, when):
        item = CatalogItem(
            item_id=f"{name}_slice",
            collection="sentinel-1-rtc",
            start=when,
            end=when + timedelta(seconds=25),
            footprint=mapping(box(*_bounds(aoi)).buffer(0.2)),
            assets={"vv": "http://127.0.0.1:8080/vv.tif", "vh": "http://127.0.0.1:8080/vh.tif"},
        )
        return Acquisition(
            acquisition_id=name,
            platform=name[:3],
            product="RTC",
            start=when,
            end=when + timedelta(seconds=25),
            polarisations=("vv", "vh"),
            relative_orbit=orbit,
            orbit_direction=direction,
            slices=(item,),
        )

    before = acquisition(f"S1A_20240301T000000_R{orbit:03d}", moment - timedelta(days=70))
    return PlannedPass(acquisition=acquisition(identity, moment), references=(before,))


def _bounds(aoi):
    from shapely.geometry import shape

    return shape(aoi).bounds


@pytest.fixture(scope="session")
def flood_at():
    """Makes such an event in another place."""
    return make_flood


@pytest.fixture(scope="session")
def flood() -> Flood:
    return make_flood()


@pytest.fixture(scope="session")
def published(flood, tmp_path_factory) -> Path:
    """The folder of the event, published in two versions: two passes, then three."""
    from pipeline_lib.publish.publication import publish

    out = tmp_path_factory.mktemp("out")
    publish(flood.publication(2), out)
    publish(flood.publication(3), out)
    return out / "river-2024"
