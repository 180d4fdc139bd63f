"""Publish a national event: 250 x 170 km at 10 m, six passes; time, CPU time, peak memory and weight of the page.

Usage: python benchmarks/publish.py FOLDER [--width-km 250 --height-km 170 --passes 6] [--open]

Builds the event's FloodMaps and Scenes in FOLDER once (some 15 GB; pixels are a textured flood pattern repeated over
the grid), then joins and publishes them in processes of their own, so that each stage's peak memory is its own.
"""

import argparse
import json
import math
import os
import resource
import shutil
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import dask
import dask.array as da
import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter
from shapely.geometry import box, mapping

from pipeline_lib.flood.derive import ATTRIBUTES, OUTPUTS
from pipeline_lib.model import Acquisition, CatalogItem, CatalogReference, Event, Grid, MappingPlan, PlannedPass
from pipeline_lib.options.publish import PublishOptions
from pipeline_lib.store import Store

START = datetime(2024, 5, 10, 5, 30, tzinfo=timezone.utc)
PIXEL_M, TILE = 10.0, 2048


def plan_of(width_km: float, height_km: float, passes: int) -> MappingPlan:
    """A plan over a box of that size in UTM 36 S."""
    import pyproj

    shape = (math.ceil(height_km * 100), math.ceil(width_km * 100))
    left, top = 400_000.0, 7_850_000.0
    grid = Grid(crs="EPSG:32736", transform=(PIXEL_M, 0, left, 0, -PIXEL_M, top), shape=shape)
    back = pyproj.Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
    west, south = back.transform(left, top - shape[0] * PIXEL_M)
    east, north = back.transform(left + shape[1] * PIXEL_M, top)
    area = mapping(box(west + 0.02, south + 0.02, east - 0.02, north - 0.02))
    planned = []
    for index in range(passes):
        moment = START + timedelta(days=2.3 * index)
        item = CatalogItem(
            item_id=f"slice{index}", collection="sentinel-1-rtc", start=moment, end=moment, footprint=area, assets={}
        )
        acquisition = Acquisition(
            acquisition_id=f"S1A_{moment:%Y%m%dT%H%M%S}_R006_D", platform="S1A", product="RTC", start=moment,
            end=moment + timedelta(seconds=75), polarisations=("vv", "vh"), relative_orbit=6,
            orbit_direction="descending", slices=(item,),
        )  # fmt: skip
        planned.append(PlannedPass(acquisition=acquisition))
    event = Event(event_id="national", aoi=area, start=START, end=START + timedelta(days=30), title="National flood")
    return MappingPlan(
        event=event,
        catalog=CatalogReference(profile="generic", url="http://127.0.0.1"),
        grid=grid,
        passes=tuple(planned),
    )


def build(store: Store, plan: MappingPlan) -> None:
    """Scenes and FloodMaps of every pass, if they are not there yet."""
    rng = np.random.default_rng(0)
    relief = gaussian_filter(rng.standard_normal((TILE, TILE)), 12, mode="wrap")
    relief /= relief.std()
    for index in range(len(plan.passes)):
        wet = relief > 1.6 - 0.25 * min(index, 6 - index)
        river = relief > 2.4
        untold = gaussian_filter(rng.standard_normal((TILE, TILE)), 20, mode="wrap") > 0.03
        classes = np.where(untold, 254, np.where(river, 1, np.where(wet, 2, 0))).astype(np.uint8)
        layers = {
            "flood_extent": np.where(classes >= 254, classes, classes == 2), "flood_class": classes,
            "water_extent": np.where(classes >= 254, classes, classes > 0), "reference_water": river,
            "likelihood": np.clip(50 + 40 * (relief - 1.2) + rng.normal(0, 4, relief.shape), 0, 100),
            "uncertainty": np.clip(rng.normal(8, 3, relief.shape), 0, 50), "exclusion": untold * 4,
            "advisory": 0 * classes,
        }  # fmt: skip
        attrs = {"acquisition_id": plan.passes[index].acquisition.acquisition_id}
        # The last eighth of the columns was not seen by every other pass.
        store.save("flood", f"f{index}", _spread(plan, layers, index % 2 == 1, attrs))
        power = {"vv": (np.where(wet | river, 0.015, 0.09) * rng.gamma(4.4, 1 / 4.4, relief.shape)).astype(np.float32)}
        store.save("scene", f"s{index}", _spread(plan, power, index % 2 == 1, {"backscatter": "gamma0"}))


def _spread(plan: MappingPlan, layers: dict[str, np.ndarray], cut: bool, attrs: dict[str, str]) -> xr.Dataset:
    """Repeat a tile over the grid, lazily."""
    rows, columns = plan.grid.shape
    times = (math.ceil(rows / TILE), math.ceil(columns / TILE))
    x = plan.grid.transform[2] + PIXEL_M * (np.arange(columns) + 0.5)
    y = plan.grid.transform[5] - PIXEL_M * (np.arange(rows) + 0.5)
    seen = da.from_array(np.arange(columns) < columns * 7 // 8, chunks=TILE)
    dataset = xr.Dataset(coords={"y": y, "x": x}, attrs=attrs).rio.write_crs(plan.grid.crs)
    for name, tile in layers.items():
        dtype = OUTPUTS.get(name, "float32")
        block = da.from_array(tile.astype(dtype), chunks=TILE)
        whole = da.block([[block] * times[1]] * times[0])[:rows, :columns]
        if cut:
            whole = da.where(
                seen[None, :],
                whole,
                {"float32": np.float32(np.nan), "uint16": np.uint16(0)}.get(
                    dtype, np.uint8(255 if name != "advisory" else 0)
                ),
            )
        dataset[name] = (("y", "x"), whole.astype(dtype), {"units": "1", **ATTRIBUTES.get(name, {})})
    return dataset


def stage(name: str, folder: Path, plan: MappingPlan) -> None:
    """One stage in this process; its figures as JSON on standard output."""
    from pipeline_lib.steps.derive import mosaic_event
    from pipeline_lib.steps.publish import publish_event

    store = Store(folder / "store")
    floods = [store.place("flood", f"f{i}") for i in range(len(plan.passes))]
    scenes = [store.place("scene", f"s{i}") for i in range(len(plan.passes))]
    before, used = time.perf_counter(), time.process_time()
    with dask.config.set(scheduler="threads", num_workers=2):
        event = mosaic_event(store, plan, floods)
        told: dict[str, object] = {}
        if name == "publish":
            before, used = time.perf_counter(), time.process_time()
            product = publish_event(
                store,
                plan,
                list(zip(plan.passes, scenes, floods, strict=True)),
                event,
                folder / "out",
                PublishOptions(),
            )
            page = Path(product.page_href)
            told = {"page_mib": page.stat().st_size / 2**20, "figures": product.figures.model_dump(mode="json")}
    usage = resource.getrusage(resource.RUSAGE_SELF)
    told |= {
        "stage": name,
        "wall_s": time.perf_counter() - before,
        "cpu_s": time.process_time() - used,
        "peak_gib": usage.ru_maxrss / 2**20,
    }
    print(json.dumps(told))


def open_page(page: Path) -> float:
    """Seconds until the page of the event has drawn its map, in headless Chromium, from disk."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        before = time.perf_counter()
        tab.goto(f"file://{page}")
        tab.wait_for_selector("body[data-ready]")
        took = time.perf_counter() - before
        tab.screenshot(path=str(page.parent.parent / "page.png"))
        browser.close()
    return took


def main() -> None:
    """Build, join, publish, open; print what each took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--width-km", type=float, default=250)
    parser.add_argument("--height-km", type=float, default=170)
    parser.add_argument("--passes", type=int, default=6)
    parser.add_argument("--stage", choices=["build", "mosaic", "publish"], help="this alone, in this process")
    parser.add_argument("--open", action="store_true", help="also open the page in Chromium")
    given = parser.parse_args()
    folder = given.folder.resolve()
    plan = plan_of(given.width_km, given.height_km, given.passes)
    if given.stage == "build":
        build(Store(folder / "store"), plan)
        return
    if given.stage:
        stage(given.stage, folder, plan)
        return
    build(Store(folder / "store"), plan)
    shutil.rmtree(folder / "out", ignore_errors=True)
    print(f"{plan.grid.shape[1]} x {plan.grid.shape[0]} pixels, {given.passes} passes, load {os.getloadavg()[0]:.1f}")
    for name in ("mosaic", "publish"):
        command = [sys.executable, __file__, *sys.argv[1:], "--stage", name]
        print(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip())
    if given.open:
        print(f"page opens in {open_page(folder / 'out' / 'national' / 'index.html'):.2f} s")


if __name__ == "__main__":
    main()
