"""What is installed is what is meant, and nothing else."""

import ast
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


UNSEEN = {
    "aiohttp": "fsspec opens http(s):// with it",
    "pyarrow": "geopandas writes GeoParquet with it",
    "sqlalchemy": "Prefect's, held below the version that stops its schedules",
}
"""Requirements that no module of ours imports, and why they are ours all the same."""


def test_what_is_required_is_imported_and_what_is_imported_required(repository):
    """No library is installed for nothing, none is used that only another library happens to bring."""
    declared = {one for one in map(Requirement, requires("overbank") or ()) if one.name != "editables"}  # hatch's own
    named = {one.name.lower().replace("_", "-") for one in declared}
    always = {one.name.lower().replace("_", "-") for one in declared if one.marker is None}
    installed = packages_distributions()
    owners = {
        module: {owner.lower().replace("_", "-") for owner in installed.get(module, [module])}
        for module in _imported(repository) - {"flows", "tasks", "pipeline_lib"}
    }
    assert {module for module, brought in owners.items() if not brought & named} == set()
    assert always - set().union(*owners.values()) == set(UNSEEN)


def _imported(repository):
    """Top-level names of the installed modules that the packages import."""
    found = set()
    for package in ("pipeline_lib", "tasks", "flows"):
        for path in (repository / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    found |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names)


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
