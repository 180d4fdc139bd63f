"""Writes that fail are said as what a person can mend; a limit on the size of files stands for a disk that fills up."""

import errno
import os
import resource
from contextlib import contextmanager

import geopandas
import numpy as np
import pytest
import shapely
import xarray as xr

from pipeline_lib.errors import StoreError
from pipeline_lib.full_disk import unwritable
from pipeline_lib.model import Grid
from pipeline_lib.publish.cog import write_cog
from pipeline_lib.publish.layers import PASS_LAYERS
from pipeline_lib.publish.vectors import write_polygons

FULL = {"f_bavail": 3, "f_frsize": 4096, "f_blocks": 250_000, "f_files": 1000, "f_favail": 500}


@contextmanager
def files_up_to(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_raster_that_cannot_be_ended_is_one_sentence_wherever_it_stops(tmp_path):
    side = 700
    pixels = xr.DataArray(np.random.default_rng(0).integers(0, 2, (side, side)).astype(np.uint8), dims=("y", "x"))
    grid = Grid(crs="EPSG:32632", transform=(10.0, 0.0, 5e5, 0.0, -10.0, 5e6), shape=(side, side))
    layer = next(layer for layer in PASS_LAYERS if layer.name == "flood_extent")
    causes = set()
    for size in (0, 200_000, 1_020_000, 1_060_000, 1_300_000):  # its tiles, its overviews, its last directory
        with files_up_to(size), pytest.raises(StoreError, match=r"Cannot write .*b\.tif: .*[Ff]ree") as refused:
            write_cog(tmp_path / "b.tif", layer, pixels, grid)
        causes.add(type(refused.value.__cause__).__name__)
    assert causes >= {"RasterioIOError", "CPLE_AppDefinedError"}, "what closing meets is no error of Rasterio's own"
    assert not list(tmp_path.glob("*.flat*"))


@pytest.mark.parametrize(
    ("error", "disk", "says"),
    [
        (OSError(errno.ENOSPC, "No space left"), {}, "ran full (0.0 of 1,024.0 MB free now). Make room there"),
        (OSError(errno.ENOSPC, "No space left"), {"f_favail": 0}, "holds as many files as it can (1,000)"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), {"f_bavail": 9000}, "the quota on the disk at /"),
        (RuntimeError("Write failed. See above."), {}, "ran full"),
        (RuntimeError("Write failed. See above."), {"f_bavail": 9000}, "Write failed. See above. Free space"),
        (RuntimeError(os.strerror(errno.ENOSPC)), {"f_bavail": 9000}, "ran full"),
        (OSError(errno.EACCES, "Permission denied"), {}, "Permission denied. Free space, see to permissions"),
    ],
)
def test_the_disk_is_named_where_it_is_full_and_the_error_where_it_is_not(tmp_path, monkeypatch, error, disk, says):
    facts = type("Disk", (), FULL | disk)
    monkeypatch.setattr(os, "statvfs", lambda _path: facts)
    said = str(unwritable("Cannot write a.tif", tmp_path / "not" / "there" / "a.tif", error))
    assert said.startswith("Cannot write a.tif: ")
    assert says in said
    assert "ran full" not in str(unwritable("Cannot write s3://bucket/a", None, error))


def test_polygons_without_their_end_are_refused(tmp_path):
    spots = [shapely.Point(x, 45).buffer(0.01) for x in np.linspace(9, 10, 300)]
    polygons = geopandas.GeoDataFrame({"kind": ["open"] * 300}, geometry=spots, crs="EPSG:4326")
    whole = write_polygons(polygons, tmp_path, ("geojson",))["geojson"].stat().st_size
    for lacking in (2, 4, 1000, whole // 2):
        with files_up_to(whole - lacking), pytest.raises(StoreError, match=r"Cannot write .*flood\.geojson"):
            write_polygons(polygons, tmp_path, ("geojson",))
    assert len(geopandas.read_file(write_polygons(polygons, tmp_path, ("geojson",))["geojson"])) == 300
