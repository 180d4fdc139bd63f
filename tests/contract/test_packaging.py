"""What is installed is what is meant, and nothing else."""

import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version


@pytest.mark.parametrize("package", ["flows", "tasks", "pipeline_lib"])
def test_only_we_install_this_top_level_name(package):
    assert set(packages_distributions().get(package, ["overbank"])) == {"overbank"}


def test_every_requirement_is_pinned_exactly(repository):
    pins = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (repository / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    needed = {
        Requirement(text).name.lower().replace("_", "-")
        for text in requires("overbank") or ()
        if "extra ==" not in text
    }
    assert needed <= pins, sorted(needed - pins)


def test_constraints_name_no_host(repository):
    assert "://" not in (repository / "constraints.txt").read_text()


def test_pins_that_prefect_breaks_without():
    """Newer FastAPI stops Prefect's server; newer SQLAlchemy stops every schedule, silently."""
    assert Version("0.139") <= Version(version("fastapi")) < Version("0.143")
    assert Version(version("sqlalchemy")) < Version("2.1")


def test_version_is_the_one_of_pyproject(repository):
    with (repository / "pyproject.toml").open("rb") as file:
        assert tomllib.load(file)["project"]["version"] == version("overbank")


def test_help_imports_nothing_heavy():
    """``overbank --help`` answers at once because no array library or orchestrator is imported for it."""
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom flows.cli import build_app\n"
        "assert CliRunner().invoke(build_app(), ['--help']).exit_code == 0\n"
        "heavy = {'numpy', 'xarray', 'prefect', 'torch', 'dask', 'rasterio', 'pydantic', 'pystac'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=Path(__file__).parents[2])


def test_an_editable_install_shadows_no_package(repository):
    """A file forced into a package of the wheel would stand alone in site-packages and hide the sources."""
    with (repository / "pyproject.toml").open("rb") as file:
        targets = tomllib.load(file)["tool"]["hatch"]["build"]["targets"]
    assert "force-include" not in targets["wheel"]
    assert (repository / "deployments" / "prefect.yaml").resolve() == repository / "flows" / "desk" / "prefect.yaml"
