"""Terrain of a whole scene: elevation, slope and HAND as a run prepares them, and the memory that takes.

    python benchmarks/terrain.py WORK [--rows 16700] [--columns 26000] [--workers 2]

WORK keeps the elevation model (fractal relief at 1 arc second over the grid, 10 m pixels), which is made once. The step
runs in a process of its own. Printed are wall and processor seconds, the peak of resident memory, what was written,
and a digest of every layer: two versions that print the same digests made the same pixels.
"""

import argparse
import hashlib
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault("OMP_NUM_THREADS", "1")

import dask
from grd_scene import write_relief
from odc.geo.geom import box as geobox_of
from record import forget_peak, memory_mib
from shapely.geometry import box, mapping
from stopwatch import Stopwatch, apart, tell

from pipeline_lib.model import CatalogItem, Event, Grid, MappingPlan
from pipeline_lib.model.plan import CatalogReference
from pipeline_lib.steps.prepare import prepare_terrain
from pipeline_lib.store import Store

WEST_M, NORTH_M = 300_000.0, 5_100_000.0
CRS = "EPSG:32633"
DAY = datetime(2024, 9, 16, tzinfo=timezone.utc)


def plan_of(dem: Path, rows: int, columns: int) -> MappingPlan:
    """A plan of nothing but terrain; the elevation model is written where it is not there yet."""
    grid = Grid(crs=CRS, transform=(10, 0, WEST_M, 0, -10, NORTH_M), shape=(rows, columns))
    extent = geobox_of(WEST_M, NORTH_M - 10 * rows, WEST_M + 10 * columns, NORTH_M, CRS).to_crs("EPSG:4326", 10_000)
    west, south, east, north = extent.boundingbox.buffered(0.02, 0.02)
    if not dem.exists():
        write_relief(dem, (west, south, east, north))
    area = mapping(box(west, south, east, north))
    return MappingPlan(
        event=Event(event_id="terrain", aoi=area, start=DAY, end=DAY + timedelta(days=1), title="Terrain"),
        catalog=CatalogReference(profile="generic", url="http://localhost"),
        grid=grid,
        passes=(),
        dem=(
            CatalogItem(item_id="dem", collection="dem", start=DAY, end=DAY, footprint=area, assets={"data": str(dem)}),
        ),
    )


def prepared(plan: MappingPlan, workers: int, folder: Path) -> None:
    """Prepare it, and tell what that took."""
    prepare_terrain(plan.model_copy(update={"grid": plan.grid.model_copy(update={"shape": (256, 256)})}), Store(folder))
    forget_peak()  # that of compiling
    store = Store(folder / "store")
    with dask.config.set(scheduler="threads", num_workers=workers), Stopwatch() as watch:
        stored = prepare_terrain(plan, store)
    peak_mib = memory_mib("VmHWM")
    size = sum(file.stat().st_size for file in (folder / "store").rglob("*") if file.is_file())
    layers = store.open(stored)
    digests = {}
    for name, layer in layers.data_vars.items():
        digest = hashlib.sha256()
        for rows in range(0, layer.shape[0], 2048):
            digest.update(layer[rows : rows + 2048].to_numpy().tobytes())
        digests[name] = digest.hexdigest()[:12]
    tell(mpx=plan.grid.shape[0] * plan.grid.shape[1] / 1e6, workers=workers, wall_s=watch.wall_s, cpu_s=watch.cpu_s,
         peak_mib=peak_mib, written_gb=size / 1e9, **digests)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--rows", type=int, default=16_700)
    parser.add_argument("--columns", type=int, default=26_000)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    os.environ["OVERBANK_FILE_ROOTS"] = str(given.work.resolve())
    plan = plan_of(given.work.resolve() / f"dem-{given.rows}-{given.columns}.tif", given.rows, given.columns)
    with TemporaryDirectory(dir=given.work) as folder:
        apart(prepared, plan, given.workers, Path(folder))


if __name__ == "__main__":
    main()
