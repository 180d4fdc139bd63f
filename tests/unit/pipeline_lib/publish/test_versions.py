"""Readers see the old or the new version, whole, whatever happens to writers."""

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from pipeline_lib.errors import StoreError
from pipeline_lib.publish import versions


def build(folder: Path, number: int, *, slowly: float = 0.0) -> None:
    """One version: forty files that all say its number."""
    place = versions.workplace(folder, number)
    (place / "top").mkdir()
    for name in ["index.html", "quicklook.png", "top/collection.json", *(f"{i}.txt" for i in range(40))]:
        (place / name).write_text(str(number))
        time.sleep(slowly)
    versions.switch(folder, place, number)


def publish_for_ever(folder: Path) -> None:
    while True:
        with versions.writing(folder, 5):
            build(folder, versions.current_version(folder) + 1, slowly=0.0003)


def read(folder: Path) -> set[str]:
    """Everything a reader meets: the fixed links, and the version behind one reading of the link."""
    version = (folder / "current").resolve()
    return {
        path.read_text()
        for path in [*version.glob("*.txt"), version / "index.html", version / "top" / "collection.json"]
    }


def test_kill_at_twenty_random_moments(tmp_path):
    folder = tmp_path / "event"
    with versions.writing(folder, 1):
        build(folder, 1)
    context = multiprocessing.get_context("fork")
    for moment in range(20):
        before = versions.current_version(folder)
        writer = context.Process(target=publish_for_ever, args=(folder,))
        writer.start()
        time.sleep(0.004 * moment + 0.01)
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        now = versions.current_version(folder)
        assert now >= before
        assert read(folder) == {str(now)}
        assert {(folder / name).read_text() for name in versions.TOP_LINKS} == {str(now)}
        assert len(list((folder / "current").resolve().rglob("*.*"))) >= 43
    with versions.writing(folder, 1):
        build(folder, versions.current_version(folder) + 1)
    assert not list((folder / "versions").glob(".*"))
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [".lock", "current", "versions", *versions.TOP_LINKS]
    )
    assert max(versions.version_numbers(folder)) == versions.current_version(folder)


def test_killed_between_rename_and_switch_is_swept(tmp_path):
    with versions.writing(tmp_path, 1):
        build(tmp_path, 1)
    (tmp_path / "versions" / "0002").mkdir()
    with versions.writing(tmp_path, 1):
        assert versions.version_numbers(tmp_path) == [1]
    assert read(tmp_path) == {"1"}


def test_a_living_writer_is_waited_for_and_named(tmp_path):
    with (
        versions.writing(tmp_path, 0),
        pytest.raises(StoreError, match=str(os.getpid())),
        versions.writing(tmp_path, 0.15),
    ):
        pass
    with versions.writing(tmp_path, 0):
        owner = json.loads((tmp_path / ".lock").read_text())
    assert owner["pid"] == os.getpid()


def test_an_error_while_writing_leaves_the_old_version(tmp_path):
    with versions.writing(tmp_path, 0):
        build(tmp_path, 1)
    with pytest.raises(StoreError, match="No space"), versions.writing(tmp_path, 0):  # noqa: PT012 - what fails is the block
        versions.workplace(tmp_path, 2)
        raise OSError(28, "No space left on device")
    assert read(tmp_path) == {"1"}
    assert versions.sweep(tmp_path) == 1


def test_a_folder_that_cannot_be_written_is_said_in_one_sentence(tmp_path):
    (tmp_path / "event").write_text("a file")
    with pytest.raises(StoreError, match="Cannot write"), versions.writing(tmp_path / "event", 0):
        pass
