"""A raster takes its name only when every block of every band and overview is there."""

import os
import shutil

import numpy as np
import pytest
import rasterio
from rasterio.errors import RasterioError
from rasterio.transform import Affine

from pipeline_lib.errors import StoreError
from pipeline_lib.whole_raster import need_blocks, whole_raster

VALUES = np.random.default_rng(0).integers(1, 255, (2, 300, 200)).astype("u1")
PROFILE = {
    "driver": "GTiff", "height": 300, "width": 200, "count": 2, "dtype": "uint8", "tiled": True, "blockxsize": 64,
    "blockysize": 64, "crs": "EPSG:32632", "transform": Affine(10, 0, 0, 0, -10, 0), "compress": "deflate",
}  # fmt: skip


def write(path, *, overviews=(), leave_out=None, **profile) -> None:
    with rasterio.open(path, "w", **{**PROFILE, **profile}) as raster:
        for band, values in enumerate(VALUES[: raster.count], start=1):
            for _, window in raster.block_windows(band):
                place = (band, window.row_off // 64, window.col_off // 64)
                if place != leave_out:
                    raster.write(values[window.toslices()], band, window=window)
        if overviews:
            raster.build_overviews(overviews)


@pytest.mark.parametrize("profile", [{}, {"interleave": "band"}, {"compress": None}, {"count": 1}])
@pytest.mark.parametrize("overviews", [(), (2, 4)])
def test_a_whole_raster_takes_its_name(tmp_path, profile, overviews):
    path = tmp_path / "map.tif"
    with whole_raster(path) as partial:
        write(partial, overviews=overviews, **profile)
        assert not path.exists()
    with rasterio.open(path) as raster:
        np.testing.assert_array_equal(raster.read(), VALUES[: raster.count])
        assert raster.overviews(1) == list(overviews)
    assert [one.name for one in tmp_path.iterdir()] == ["map.tif"]


@pytest.mark.parametrize("missing", [(1, 0, 0), (1, 4, 3), (2, 2, 1)])
def test_a_raster_that_lacks_a_block_does_not(tmp_path, missing):
    path = tmp_path / "map.tif"
    path.write_bytes(b"what was there before")
    with pytest.raises(StoreError, match="map"), whole_raster(path) as partial:
        write(partial, leave_out=missing, interleave="band", sparse_ok=True)
    assert path.read_bytes() == b"what was there before"
    assert [one.name for one in tmp_path.iterdir()] == ["map.tif"]


@pytest.mark.parametrize("overviews", [(), (2,)])
def test_a_file_that_was_cut_short_is_not_whole(tmp_path, overviews):
    """Blocks in the directory whose bytes a full disk did not take."""
    whole, short = tmp_path / "whole.tif", tmp_path / "short.tif"
    write(whole, overviews=overviews)
    need_blocks(whole)
    shutil.copy(whole, short)
    os.truncate(short, whole.stat().st_size - 100)
    with pytest.raises((OSError, RasterioError), match=r"short|TIFF"):
        need_blocks(short)


def test_an_overview_that_lacks_a_block_is_missed(tmp_path, monkeypatch):
    path = tmp_path / "map.tif"
    write(path, overviews=(2,))
    asked = []
    original = rasterio.io.DatasetReader.get_tag_item

    def tag(self, name, *args, **given):
        asked.append((name, given["bidx"], given["ovr"]))
        gone = given["ovr"] == 0 and name == "BLOCK_SIZE_1_2" and given["bidx"] == 2
        return None if gone else original(self, name, *args, **given)

    class Reader:
        """An open raster of which one block of the overview was never written."""

        def __init__(self, raster):
            self.raster = raster

        def __getattr__(self, name):
            return getattr(self.raster, name)

        def get_tag_item(self, name, *args, **given):
            return tag(self.raster, name, *args, **given)

        def __enter__(self):
            self.raster.__enter__()
            return self

        def __exit__(self, *error):
            return self.raster.__exit__(*error)

    opened = rasterio.open
    monkeypatch.setattr("pipeline_lib.whole_raster.rasterio.open", lambda *a, **k: Reader(opened(*a, **k)))
    with pytest.raises(OSError, match=r"map\.tif was not written to its end"):
        need_blocks(path)
    full = {(f"BLOCK_SIZE_{x}_{y}", band, None) for x in range(4) for y in range(5) for band in (1, 2)}
    assert full <= set(asked)


def test_an_error_inside_leaves_nothing(tmp_path):
    with pytest.raises(StoreError), whole_raster(tmp_path / "map.tif"):
        raise OSError(28, "No space left on device")
    with pytest.raises(ZeroDivisionError), whole_raster(tmp_path / "map.tif"):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())
