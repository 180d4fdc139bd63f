"""The store, in a folder and in a bucket: what is read is what was written, what is visible is complete."""

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import fsspec
import numpy as np
import pytest
import xarray as xr
from distributed import Client, LocalCluster
from s3fs import S3FileSystem

from pipeline_lib.errors import InputError, StoreError
from pipeline_lib.steps.workspace import store_of, workspace_of
from pipeline_lib.store import GRACE, Store, holding

LATER = timedelta(days=400)


@pytest.fixture(params=["folder", "s3", "memory"])
def root(request, tmp_path):
    """Where a store may lie."""
    if request.param == "folder":
        return str(tmp_path / "store")
    if request.param == "s3":
        return f"{request.getfixturevalue('bucket')}/some/prefix"
    return f"memory://{uuid.uuid4().hex}/store"


def dataset(value=1.5, size=40):
    data = np.full((size, size), value, "float32")
    data[0, 0] = np.nan
    return xr.Dataset(
        {"vv": (("y", "x"), data, {"units": "1"}), "water": (("y", "x"), np.full((size, size), 255, "uint8"))},
        coords={"y": np.arange(size, dtype=float), "x": np.arange(size, dtype=float)},
        attrs={"backscatter": "gamma0"},
    ).rio.write_crs("EPSG:32632")


def listed(root, kind="scene"):
    """Names and groups of a kind, without what is random in them."""
    filesystem, path = fsspec.core.url_to_fs(root, use_listings_cache=False)
    found = filesystem.ls(f"{path}/{kind}", detail=False)
    return sorted(name.rstrip("/").rpartition("/")[2].split(".")[0] + "." + name.rstrip("/")[-4:] for name in found)


def now():
    return datetime.now(timezone.utc)


def test_round_trip_keeps_values_types_and_attributes(root):
    store = Store(root)
    given = dataset()
    stored = store.place("scene", "abc")
    assert not store.has(stored)
    assert store.save("scene", "abc", given) == stored
    assert store.has(stored)
    read = store.open(stored)
    xr.testing.assert_identical(read.load().drop_encoding(), given)
    assert read["water"].dtype == "uint8"
    assert read.rio.crs.to_epsg() == 32632
    xr.testing.assert_identical(holding(stored).open(stored).load(), read)


def test_what_exists_is_not_written_again(root):
    store = Store(root)
    stored = store.save("scene", "abc", dataset(1.0))
    store.save("scene", "abc", dataset(2.0))
    assert float(store.open(stored)["vv"][1, 1]) == 1.0


@pytest.mark.parametrize("root", ["folder", "s3"], indirect=True)
def test_of_many_writers_of_one_key_one_wins_and_no_other_leaves_anything(root, monkeypatch):
    """All look before any has written: who was first is decided where the name is written."""
    store, together, failures = Store(root), threading.Barrier(4), []
    has = Store.has

    def all_at_once(self, stored):
        found = has(self, stored)
        together.wait()
        return found

    monkeypatch.setattr(Store, "has", all_at_once)

    def write(value):
        try:
            store.save("scene", "abc", dataset(value))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(float(number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert listed(root) == ["abc.json", "abc.zarr"]
    values = store.open(store.place("scene", "abc"))["vv"].to_numpy()
    assert len(np.unique(values[~np.isnan(values)])) == 1, "chunks of one writer alone"


@pytest.mark.parametrize("root", ["folder", "s3"], indirect=True)
def test_a_store_that_knows_no_condition_shows_the_last_writer_and_sweeps_the_other(root, monkeypatch):
    """A file system without hard links, a bucket that ignores If-None-Match: two whole groups, one of them named."""
    store = Store(root)
    stored = store.save("scene", "abc", dataset())
    first = store.open(stored)
    monkeypatch.setattr(Store, "has", lambda *_: False)
    monkeypatch.setattr("pipeline_lib.remote.os", SimpleNamespace(link=_no_links))
    call = S3FileSystem._call_s3

    async def ignoring(self, method, *arguments, IfNoneMatch=None, **options):
        return await call(self, method, *arguments, **options)

    monkeypatch.setattr(S3FileSystem, "_call_s3", ignoring)
    store.save("scene", "abc", dataset())
    xr.testing.assert_identical(store.open(stored).load(), first.load())
    assert listed(root) == ["abc.json", "abc.zarr", "abc.zarr"]
    assert store.sweep(now() + LATER).groups == 1
    xr.testing.assert_identical(store.open(stored).load(), first.load())


def _no_links(*_):
    raise PermissionError(1, "Operation not permitted")


@pytest.mark.parametrize("root", ["folder", "s3"], indirect=True)
def test_killed_writer_leaves_nothing_that_looks_complete(root):
    code = (
        "import time, dask, dask.array as da, xarray as xr\nfrom pipeline_lib.store import Store\n"
        "done = []\ndef slow(block):\n    done.append(1)\n"
        "    if len(done) == 2:\n        print('go', flush=True)\n        time.sleep(600)\n    return block + 1\n"
        "zeros = da.zeros((4096, 64), chunks=2048, dtype='float32')\n"
        "data = zeros.map_blocks(slow, dtype='float32', meta=zeros._meta)\n"
        "dask.config.set(scheduler='synchronous')\n"
        f"Store({root!r}).save('scene', 'abc', xr.Dataset({{'vv': (('y', 'x'), data)}}))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"go\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    store = Store(root)
    assert not store.has(store.place("scene", "abc"))
    assert listed(root) == ["abc.zarr"]
    assert store.sweep(now() - GRACE).groups == 0, "its writer might live"
    store.save("scene", "abc", dataset())
    assert store.sweep(now() + LATER).groups == 1
    assert listed(root) == ["abc.json", "abc.zarr"]
    assert store.open(store.place("scene", "abc"))["water"].shape == (40, 40)


def test_what_is_forgotten_is_not_found_and_stays_readable_for_a_while(root):
    store = Store(root)
    stored = store.save("scene", "abc", dataset())
    store.save("flood", "other", dataset())
    reading = store.open(stored)
    assert store.forget(now() - timedelta(days=1)) == 0
    assert store.forget(now() + LATER) == 2
    assert not store.has(stored)
    with pytest.raises(StoreError, match="Cannot read the stored scene"):
        store.open(stored)
    assert store.sweep(now() - GRACE) == (0, 0)
    assert float(reading["vv"][1, 1]) == 1.5
    swept = store.sweep(now() + LATER)
    assert swept.groups == 2
    assert swept.bytes > 1000


def test_looking_for_a_dataset_is_a_use_of_it(root, monkeypatch):
    store = Store(root)
    stored = store.save("scene", "abc", dataset())
    written = now()
    time.sleep(1.1)  # S3 tells seconds
    assert store.has(stored)
    assert store.forget(written - timedelta(minutes=1)) == 0
    monkeypatch.setattr("pipeline_lib.store.USE", timedelta(0))
    assert store.has(stored)
    assert store.forget(written + timedelta(seconds=0.05)) == 0, "it was used after that"
    assert store.open(stored)["vv"].shape == (40, 40)


def test_one_request_says_whether_a_dataset_is_there(bucket, monkeypatch):
    """Nothing is listed, however many datasets there are."""
    store, asked, call = Store(bucket), [], S3FileSystem._call_s3
    stored = store.save("scene", "abc", dataset())

    async def counted(self, method, *arguments, **options):
        asked.append(method)
        return await call(self, method, *arguments, **options)

    monkeypatch.setattr(S3FileSystem, "_call_s3", counted)
    assert store.has(stored)
    assert asked == ["head_object"]


@pytest.mark.slow
def test_workers_in_other_processes_write_and_read_the_bucket_themselves(bucket, tmp_path):
    import dask.array as da

    data = da.random.default_rng(3).random((4096, 4096), chunks=2048).astype("float32")
    given = xr.Dataset({"vv": (("y", "x"), data)})
    where = {"host": "127.0.0.1", "protocol": "tcp://", "dashboard_address": ":0"}
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, **where) as cluster, Client(cluster):
        stored = Store(bucket).save("scene", "abc", given)
        found = float(Store(bucket).open(stored)["vv"].mean())
    local = Store(tmp_path)
    there, here = Store(bucket).open(stored).load(), local.open(local.save("scene", "abc", given)).load()
    xr.testing.assert_identical(there, here)
    assert found == pytest.approx(float(here["vv"].mean()), rel=1e-6)


def test_unwritable_and_damaged_are_said(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="Cannot write"):
        Store(tmp_path / "file").save("scene", "abc", dataset())
    with pytest.raises(StoreError, match="Cannot write"):
        Store(tmp_path / "file").ready()
    store = Store(tmp_path)
    store.ready()
    stored = store.save("scene", "abc", dataset())
    for content in ("", "[]", '{"zarr": "../../elsewhere.0123456789ab.zarr"}', '{"zarr": "abc.0123456789ab.zarr"}'):
        Path(stored.href).write_text(content)
        with pytest.raises(StoreError, match=r"Cannot read.*run again"):
            store.open(stored)
    assert store.forget(now() + LATER) == 1


def test_a_bucket_that_cannot_be_used_is_said_without_a_secret(bucket, monkeypatch):
    with pytest.raises(StoreError, match=r"Cannot write into s3://no-such-bucket-7"):
        Store("s3://no-such-bucket-7").ready()
    Store(bucket).ready()
    assert fsspec.filesystem("s3").ls(bucket) == []
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", "/nonexistent")
    S3FileSystem.clear_instance_cache()
    with pytest.raises(StoreError, match="credentials") as said:
        Store(bucket).ready()
    S3FileSystem.clear_instance_cache()
    assert "test-secret-value" not in str(said.value)


@pytest.mark.parametrize("address", ["s3://user:hidden@bucket/x", "s3://bucket/x?sig=hidden"])
def test_an_address_with_a_secret_is_refused_and_not_repeated(address):
    with pytest.raises(InputError, match="in the environment") as said:
        Store(address)
    assert "hidden" not in str(said.value)


def test_an_unknown_kind_of_store_is_said():
    with pytest.raises(InputError, match="nosuchprotocol"):
        Store("nosuchprotocol://bucket/x")


def test_the_environment_says_where_the_store_is(tmp_path, monkeypatch):
    monkeypatch.delenv("OVERBANK_STORE", raising=False)
    beside = workspace_of(tmp_path, "po").store
    assert beside == store_of(tmp_path) == Store(tmp_path / ".overbank" / "store")
    monkeypatch.setenv("OVERBANK_STORE", "memory://bucket/prefix/")
    assert workspace_of(tmp_path, "po").store.place("scene", "a").href == "memory://bucket/prefix/scene/a.json"


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path):
    """A file-size limit stands for the full disk: the write fails in the middle, as it would there."""
    code = (
        "import resource, signal, sys\nimport numpy as np, xarray as xr\nfrom pathlib import Path\n"
        "from pipeline_lib.errors import StoreError\nfrom pipeline_lib.store import Store\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "noise = np.random.default_rng(1).random((400, 400), dtype='float32')\n"
        "try:\n"
        f"    Store(Path({str(tmp_path)!r})).save('scene', 'abc', xr.Dataset({{'vv': (('y', 'x'), noise)}}))\n"
        "except StoreError as error:\n    sys.exit(0 if 'Free space' in str(error) else 3)\n"
        "sys.exit(4)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[-500:]
    assert list((tmp_path / "scene").iterdir()) == []


@pytest.mark.parametrize("name", ["store", "desk"])
def test_no_event_shares_a_folder_with_the_store_or_the_desk(tmp_path, name):
    with pytest.raises(InputError, match=f"called '{name}'"):
        workspace_of(tmp_path, name)
