"""Where nothing can be written, compiled code finds a private place, and functions work."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import pipeline_lib


@pytest.fixture
def read_only(monkeypatch):
    """Root may write everything: so the answer itself is replaced for the folders that are named."""
    folders = set()
    real = os.access
    monkeypatch.setattr(pipeline_lib.os, "access", lambda path, mode: Path(path) not in folders and real(path, mode))
    return folders


def test_a_package_or_a_cache_that_can_be_written_is_used(tmp_path, read_only):
    package, home = tmp_path / "package", tmp_path / "home"
    package.mkdir()
    home.mkdir()
    assert pipeline_lib._place_of_compiled_code(package, home / ".cache" / "numba") is None
    read_only.add(package)
    assert pipeline_lib._place_of_compiled_code(package, home / ".cache" / "numba") is None


def test_otherwise_a_folder_of_this_process_alone(tmp_path, read_only):
    read_only |= {tmp_path}
    folder = Path(pipeline_lib._place_of_compiled_code(tmp_path, tmp_path / "home" / "numba"))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.rmdir()
    nowhere = Path(os.devnull) / "numba"
    Path(pipeline_lib._place_of_compiled_code(tmp_path, nowhere)).rmdir()


def test_the_folder_goes_with_the_process(tmp_path):
    """In a process of its own, where nothing but the temporary folder can be written."""
    code = (
        "import os; real = os.access\n"
        "os.access = lambda path, mode: str(path).startswith(os.environ['TMPDIR']) and real(path, mode)\n"
        "import pipeline_lib; print(os.environ['NUMBA_CACHE_DIR'])"
    )
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.strip()).parent == tmp_path
    assert list(tmp_path.iterdir()) == []
