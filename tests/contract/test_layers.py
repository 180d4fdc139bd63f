"""The architecture's rules hold, and the rules can fail."""

import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.application.use_cases import FAILURE, SUCCESS  # noqa: F401 - names the two outcomes
from importlinter.cli import lint_imports


def test_the_layers_hold(repository, monkeypatch):
    monkeypatch.chdir(repository)
    assert lint_imports(config_filename=str(repository / "pyproject.toml"), no_cache=True) == 0


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("pipeline_lib/sar", "import prefect"),
        ("pipeline_lib/water", "import pipeline_lib.store"),
        ("pipeline_lib/terrain", "import torch"),
        ("tasks", "import numpy"),
        ("flows", "import pipeline_lib.water"),
        ("pipeline_lib", "x = 1"),
    ],
)
def test_each_rule_catches_what_it_forbids(repository, tmp_path, monkeypatch, module, line):
    """A planted import (or an unplaced new module) breaks a contract in a copy of the tree."""
    for name in ("flows", "tasks", "pipeline_lib"):
        for source in (repository / name).rglob("*.py"):
            copy = tmp_path / source.relative_to(repository)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(source.read_bytes())
    (tmp_path / "pyproject.toml").write_bytes((repository / "pyproject.toml").read_bytes())
    (tmp_path / module / "planted.py").write_text(f"{line}\n")
    monkeypatch.chdir(tmp_path)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))",
        ],
        check=False,
        capture_output=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PATH": str(Path(sys.executable).parent)},
    )
    assert done.returncode == 1, done.stdout.decode()
