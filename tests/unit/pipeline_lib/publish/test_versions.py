"""Readers see the old or the new version, whole, whatever happens to writers."""

import itertools
import json
import multiprocessing
import os
import signal
import sys
from pathlib import Path

import pytest

from pipeline_lib.errors import StoreError
from pipeline_lib.publish import versions

OPERATIONS = {"open", "os.mkdir", "os.rename", "os.symlink", "os.remove", "os.rmdir"}
"""What Python tells its audit hooks of when files change."""
TEXTS = [f"{number}.txt" for number in range(9)]


def build(folder: Path, number: int) -> None:
    """One version: files that all say its number."""
    with versions.workplace(folder, number) as place:
        (place / "top").mkdir()
        for name in ["index.html", "quicklook.png", "top/collection.json", *TEXTS]:
            (place / name).write_text(str(number))
        versions.switch(folder, place, number)


def publish_and_die(folder: Path, moment: int) -> None:
    """The next version; SIGKILL comes before the change of a file with that number."""
    done = itertools.count()

    def strike(event: str, _: object) -> None:
        if event in OPERATIONS and next(done) == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(strike)
    with versions.writing(folder, 5):
        build(folder, versions.current_version(folder) + 1)
    os._exit(0)  # and not through what libraries of the process that was forked want to have done at its end


def read(folder: Path) -> set[str]:
    """Everything a reader meets: the fixed links, and the version behind one reading of the link."""
    version = (folder / "current").resolve()
    return {
        path.read_text()
        for path in [*version.glob("*.txt"), version / "index.html", version / "top" / "collection.json"]
    }


def test_a_kill_before_every_single_change_of_a_file(tmp_path):
    folder = tmp_path / "event"
    with versions.writing(folder, 1):
        build(folder, 1)
    context, ended = multiprocessing.get_context("fork"), []
    for moment in itertools.count():
        before = versions.current_version(folder)
        writer = context.Process(target=publish_and_die, args=(folder, moment))
        writer.start()
        writer.join()
        now = versions.current_version(folder)
        ended.append((writer.exitcode, now - before))
        assert read(folder) == {str(now)}
        assert {(folder / name).read_text() for name in versions.TOP_LINKS} == {str(now)}
        assert len(list((folder / "current").resolve().rglob("*.*"))) == 3 + len(TEXTS)
        if writer.exitcode != -signal.SIGKILL:
            break
    assert ended[-1] == (0, 1), "it had less to change than the number of the moment"
    assert len(ended) > 2 * len(TEXTS)
    assert {new for _, new in ended} == {0, 1}, "before readers are led to the new version, and after"
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
    with (  # noqa: PT012 - what fails is the block
        pytest.raises(StoreError, match=r"the disk at /.* ran full \(.* MB free now\)"),
        versions.writing(tmp_path, 0),
        versions.workplace(tmp_path, 2) as place,
    ):
        (place / "index.html").write_text("2")
        raise OSError(28, "No space left on device")
    assert read(tmp_path) == {"1"}
    assert versions.sweep(tmp_path) == 0, "what was built takes room on the disk that is full"


def test_a_folder_that_cannot_be_written_is_said_in_one_sentence(tmp_path):
    (tmp_path / "event").write_text("a file")
    with pytest.raises(StoreError, match="Cannot write"), versions.writing(tmp_path / "event", 0):
        pass
