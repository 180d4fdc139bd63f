"""Files and folders that appear whole or not at all, against readers, failures and kills in the middle."""

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pipeline_lib.atomic import leftovers, whole_file, whole_folder, write_atomically
from pipeline_lib.errors import StoreError

KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline_lib.atomic import whole_file, whole_folder
place = Path(sys.argv[1])
with whole_file(place / "plan.json") as partial:
    partial.write_text("half")
    with whole_folder(place / "model") as folder:
        (folder / "weights").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("content", ["Überlauf\n", b"\x00\xff", ""])
def test_content_comes_back_and_nothing_is_left_beside(tmp_path, content):
    path = tmp_path / "new" / "folder" / "note.json"
    for _ in range(2):  # where nothing is, and over what is there
        write_atomically(path, content)
        assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert [one.name for one in path.parent.iterdir()] == ["note.json"]


@pytest.mark.parametrize("umask", [0o022, 0o027])
def test_others_may_read_what_the_umask_lets_them(tmp_path, umask):
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "model.json", "{}")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "model.json").stat().st_mode) == 0o666 & ~umask


def test_the_bytes_are_on_the_disk_before_the_name(tmp_path, monkeypatch):
    order = []
    sync, rename = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (order.append(os.fstat(handle).st_size), sync(handle))[1])
    monkeypatch.setattr(Path, "replace", lambda self, target: (order.append("renamed"), rename(self, target))[1])
    write_atomically(tmp_path / "plan.json", "1234567")
    assert order == [7, "renamed"]


def test_a_block_that_fails_changes_nothing(tmp_path):
    write_atomically(tmp_path / "a.tif", "old")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_text("old")
    for place in (whole_file(tmp_path / "a.tif"), whole_folder(tmp_path / "model")):
        with pytest.raises(ZeroDivisionError), place as partial:  # noqa: PT012 - what fails is the block
            (partial / "weights" if partial.is_dir() else partial).write_text("new")
            _ = 1 / 0
    assert {one.name for one in tmp_path.iterdir()} == {"a.tif", "model"}
    assert (tmp_path / "a.tif").read_text() == (tmp_path / "model" / "weights").read_text() == "old"


def test_a_killed_writer_leaves_what_stood_there_and_hidden_names_alone(tmp_path):
    write_atomically(tmp_path / "plan.json", "old")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_text("old")
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "plan.json").read_text() == (tmp_path / "model" / "weights").read_text() == "old"
    left = {one.name for one in tmp_path.iterdir()} - {"plan.json", "model"}
    assert len(left) == 2
    assert all(name.startswith(".") and ".partial" in name for name in left)
    (half,) = leftovers(tmp_path / "plan.json")
    assert half.read_text() == "half"


def test_a_folder_replaces_the_one_before_and_is_not_mixed_with_it(tmp_path):
    for content in ("first", "second"):
        with whole_folder(tmp_path / "model") as partial:
            (partial / content).write_text(content)
    assert [one.name for one in (tmp_path / "model").iterdir()] == ["second"]
    with whole_folder(tmp_path / "model", unless=lambda: True) as partial:
        (partial / "third").write_text("made elsewhere meanwhile")
    assert [one.name for one in (tmp_path / "model").iterdir()] == ["second"]
    assert [one.name for one in tmp_path.iterdir()] == ["model"]


def test_a_folder_whose_place_is_refused_stays_as_it_was(tmp_path, monkeypatch):
    with whole_folder(tmp_path / "model") as partial:
        (partial / "weights").write_text("old")
    rename = Path.rename

    def refused(self, target):
        if self.suffix == ".partial":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(StoreError, match="ran full"), whole_folder(tmp_path / "model") as partial:
        (partial / "weights").write_text("new")
    assert (tmp_path / "model" / "weights").read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["model"]


def test_readers_and_other_writers_see_whole_files(tmp_path):
    path, size, seen = tmp_path / "state.json", 100_000, set()
    write_atomically(path, "0" * size)
    writers = [
        threading.Thread(target=lambda letter=letter: [write_atomically(path, letter * size) for _ in range(10)])
        for letter in "abc"
    ]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        text = path.read_text()
        seen.add((len(text), len(set(text))))
    for writer in writers:
        writer.join()
    assert seen <= {(size, 1)}
    assert path.read_text() in {letter * size for letter in "abc"}
    assert [one.name for one in tmp_path.iterdir()] == ["state.json"]


def test_a_place_that_cannot_be_written_is_said_in_one_sentence(tmp_path):
    class LibraryError(Exception):
        """Of a library that writes files, and no ``OSError``."""

    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match=r"Cannot write .*file/a\.json.*choose another place"):
        write_atomically(tmp_path / "file" / "a.json", "x")
    with pytest.raises(StoreError, match="Cannot write"), whole_folder(tmp_path / "file" / "model"):
        pytest.fail("nothing to fill")
    with pytest.raises(StoreError, match="disk full"), whole_file(tmp_path / "a.tif", LibraryError):
        raise LibraryError("disk full")
    with pytest.raises(LibraryError), whole_file(tmp_path / "a.tif"):
        raise LibraryError("something else")
