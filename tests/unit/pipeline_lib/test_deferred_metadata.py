"""A new group whose metadata waits in memory: what is written reads back, and nothing small is asked of the place."""

import json
import pickle
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import xarray as xr
import zarr

from pipeline_lib.deferred_metadata import DeferredMetadata


def dataset() -> xr.Dataset:
    values = np.random.default_rng(0).random((40, 50)).astype(np.float32)
    return xr.Dataset(
        {"vv": (("y", "x"), da.from_array(values, chunks=(16, 20)), {"units": "1"})},
        coords={"y": np.arange(40.0), "x": np.arange(50.0)},
        attrs={"backscatter": "gamma0"},
    )


def written(store: DeferredMetadata) -> None:
    dataset().to_zarr(store, zarr_format=2, mode="w-", consolidated=False)


def put(store: DeferredMetadata, folder: Path) -> None:
    for name, content in store.metadata().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def test_metadata_waits_and_chunks_do_not(tmp_path):
    store = DeferredMetadata(str(tmp_path))
    written(store)
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert len([name for name in files if name.startswith("vv/")]) == 9
    assert not any(Path(name).name.startswith(".z") for name in files)
    assert {".zgroup", ".zattrs", "vv/.zarray", "vv/.zattrs", "y/.zarray", "x/.zarray"} <= set(store.metadata())
    assert json.loads(store.metadata()["vv/.zarray"])["chunks"] == [16, 20]
    with pytest.raises((FileNotFoundError, ValueError, zarr.errors.GroupNotFoundError)):
        xr.open_zarr(tmp_path, consolidated=False)
    put(store, tmp_path)
    xr.testing.assert_identical(xr.open_zarr(tmp_path, consolidated=False).load(), dataset().load())


def test_a_bucket_holds_chunks_alone(bucket):
    import s3fs

    store = DeferredMetadata(f"{bucket}/scene")
    written(store)
    names = [Path(key).name for key in s3fs.S3FileSystem().find(f"{bucket}/scene")]
    assert len(names) >= 9
    assert not any(name.startswith(".z") for name in names)


def test_another_process_gets_what_is_known(tmp_path):
    store = DeferredMetadata(str(tmp_path))
    written(store)
    other = pickle.loads(pickle.dumps(store))  # noqa: S301 - made here
    assert other.metadata() == store.metadata()
    np.testing.assert_array_equal(zarr.open_group(other, mode="r+", zarr_format=2)["vv"][:], dataset()["vv"].values)


def test_names_deletes_and_what_is_empty(tmp_path):
    store = DeferredMetadata(str(tmp_path))
    root = zarr.open_group(store, mode="w", zarr_format=2)
    root.create_array("one", shape=(4,), chunks=(2,), dtype="f4")
    root.create_group("deep").create_array("two", shape=(4,), chunks=(2,), dtype="f4")
    assert sorted(root.keys()) == ["deep", "one"]
    assert sorted(root["deep"].keys()) == ["two"]
    assert "one" in root
    assert "none" not in root
    del root["deep"]
    assert sorted(root.keys()) == ["one"]
    assert not any(name.startswith("deep") for name in store.metadata())
    assert any(name.startswith("one/") for name in store.metadata()), "only what was named is gone"
    fresh = DeferredMetadata(str(tmp_path / "new"))
    assert fresh.metadata() == {}


def test_a_name_that_begins_alike_is_another(tmp_path):
    store = DeferredMetadata(str(tmp_path))
    root = zarr.open_group(store, mode="w", zarr_format=2)
    for name in ("vv", "vv_old"):
        root.create_array(name, shape=(4,), chunks=(2,), dtype="f4")
    del root["vv"]
    assert sorted(root.keys()) == ["vv_old"]


def test_two_stores_share_nothing(tmp_path):
    one, two = DeferredMetadata(str(tmp_path / "a")), DeferredMetadata(str(tmp_path / "b"))
    zarr.open_group(one, mode="w", zarr_format=2)
    assert one.metadata()
    assert not two.metadata()
