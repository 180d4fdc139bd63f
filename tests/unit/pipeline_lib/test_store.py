"""The store: what is read is what was written, a folder that exists is complete, a killed writer leaves no trace."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import xarray as xr

from pipeline_lib.errors import StoreError
from pipeline_lib.store import Store


def dataset(value=1.5, size=40):
    data = np.full((size, size), value, "float32")
    data[0, 0] = np.nan
    return xr.Dataset(
        {"vv": (("y", "x"), data, {"units": "1"}), "water": (("y", "x"), np.full((size, size), 255, "uint8"))},
        coords={"y": np.arange(size, dtype=float), "x": np.arange(size, dtype=float)},
        attrs={"backscatter": "gamma0"},
    ).rio.write_crs("EPSG:32632")


def test_round_trip_keeps_values_types_and_attributes(tmp_path):
    store = Store(tmp_path)
    given = dataset()
    read = store.open(store.save("scene", "abc", given))
    xr.testing.assert_identical(read.load().drop_encoding(), given)
    assert read["water"].dtype == "uint8"
    assert read.rio.crs.to_epsg() == 32632


def test_what_exists_is_not_written_again(tmp_path):
    store = Store(tmp_path)
    stored = store.save("scene", "abc", dataset(1.0))
    store.save("scene", "abc", dataset(2.0))
    assert float(store.open(stored)["vv"][1, 1]) == 1.0


def test_two_writers_of_one_key_agree(tmp_path):
    store = Store(tmp_path)
    failures = []

    def write():
        try:
            store.save("scene", "abc", dataset())
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert [path.name for path in (tmp_path / "scene").iterdir()] == ["abc.zarr"]


def test_killed_writer_leaves_nothing_that_looks_complete(tmp_path):
    code = (
        "import sys, time, dask.array as da, xarray as xr\nfrom pathlib import Path\nfrom pipeline_lib.store import Store\n"
        "def slow(block):\n    time.sleep(30)\n    return block\n"
        "data = da.zeros((64, 64), chunks=32, dtype='float32').map_blocks(slow, dtype='float32', meta=da.zeros((0,0),dtype='float32')._meta)\n"
        "print('go', flush=True)\n"
        f"Store(Path({str(tmp_path)!r})).save('scene', 'abc', xr.Dataset({{'vv': (('y', 'x'), data)}}))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"go\n"
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("scene/.*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    store = Store(tmp_path)
    assert not store.has(store.place("scene", "abc"))
    assert store.sweep() == 1
    assert list((tmp_path / "scene").iterdir()) == []
    store.save("scene", "abc", dataset())
    assert store.has(store.place("scene", "abc"))


def test_unwritable_and_damaged_are_said(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="Cannot write"):
        Store(tmp_path / "file").save("scene", "abc", dataset())
    store = Store(tmp_path)
    (tmp_path / "scene" / "abc.zarr").mkdir(parents=True)
    with pytest.raises(StoreError, match="cannot be read"):
        store.open(store.place("scene", "abc"))


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
