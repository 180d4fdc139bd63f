"""The doctor names what is wrong, never shows a secret, and leaves with the right code."""

import json
from types import SimpleNamespace

import pytest
import rasterio.crs
import typer
from rasterio.errors import CRSError
from typer.testing import CliRunner

from flows.commands.doctor import register
from pipeline_lib.catalog.profiles import resolve_catalog
from pipeline_lib.errors import UnknownNameError
from pipeline_lib.steps import doctor
from pipeline_lib.steps.doctor import (
    Level,
    check_buckets,
    check_catalog,
    check_folder,
    check_requirements,
    doctor_text,
    examine,
    exit_code,
)
from pipeline_lib.world.server.faults import Rule


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    for name in ("PREFECT_API_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "PC_SDK_SUBSCRIPTION_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def free_disk(monkeypatch):
    """What the machine of the tests has free is no finding; returns what sets it, bytes."""

    def free(size):
        monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=size))

    free(5e10)
    return free


def test_versions_that_break_prefect_are_problems_with_their_consequence(monkeypatch):
    monkeypatch.setattr(doctor, "_version", {"fastapi": "0.151.0", "sqlalchemy": "2.1.0", "numpy": "2.4.6"}.get)
    found = check_requirements(
        ["fastapi<0.143,>=0.139", "sqlalchemy<2.1", "numpy>=2.0", "absent>=1", "other; extra == 'x'"]
    )
    assert [(one.name, one.level) for one in found] == [
        ("fastapi", "problem"),
        ("sqlalchemy", "problem"),
        ("absent", "problem"),
    ]
    assert "Prefect server dies" in found[0].text
    assert "no Prefect schedule" in found[1].text
    assert "not installed" in found[2].text
    assert all("pip install" in one.fix for one in found)


def test_what_is_installed_here_fits():
    (only,) = check_requirements(doctor._requirements())
    assert only.level is Level.OK
    assert any(text.startswith("fastapi") for text in doctor._requirements())


def test_the_places_that_the_environment_names_are_tried(tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert check_buckets({}) == []
    given = {"OVERBANK_STORE": "memory://doctor/store", "OVERBANK_MIRROR": str(tmp_path / "file" / "floods")}
    store, mirror = check_buckets(given)
    assert (store.name, store.level) == ("store", Level.OK)
    assert (mirror.name, mirror.level) == ("mirror", Level.PROBLEM)
    assert "unset OVERBANK_MIRROR" in mirror.fix
    (secret,) = check_buckets({"OVERBANK_STORE": "s3://user:hidden@bucket"})
    assert secret.level is Level.PROBLEM
    assert "hidden" not in secret.text


def test_a_catalogue_that_answers_and_one_that_does_not(served):
    catalog = resolve_catalog(served.url)
    assert check_catalog(catalog, needed=True).level is Level.OK
    served.faults.set([Rule("forbidden", path="", times=None)])
    assert check_catalog(catalog, needed=True).level is Level.PROBLEM
    quiet = check_catalog(catalog, needed=False)
    assert quiet.level is Level.NOTE
    assert "403" in quiet.text
    assert quiet.fix


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    assert check_folder(tmp_path / "file").level is Level.PROBLEM
    assert check_folder(tmp_path / "not" / "yet").level is Level.OK
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.mark.parametrize(("free", "level"), [(5e8, Level.PROBLEM), (5e9, Level.NOTE), (5e10, Level.OK)])
def test_disk_space(tmp_path, free_disk, free, level):
    free_disk(free)
    assert check_folder(tmp_path).level is level


def test_no_secret_is_shown(served, monkeypatch, tmp_path):
    secrets = {
        "AWS_ACCESS_KEY_ID": "AKIAVERYSECRET",
        "AWS_SECRET_ACCESS_KEY": "hush-hush",
        "PC_SDK_SUBSCRIPTION_KEY": "pc-key-123",
        "PREFECT_API_KEY": "pnu_secret",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    findings = examine(served.url, tmp_path)
    shown = doctor_text(findings) + json.dumps([one.model_dump(mode="json") for one in findings])
    assert not any(value in shown for value in secrets.values())
    assert "AWS_SECRET_ACCESS_KEY set" in shown
    assert exit_code(findings) == 0


def test_missing_credentials_of_the_wanted_catalogue_are_a_problem(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor.Path, "home", lambda: tmp_path)
    wanted = doctor._credentials(resolve_catalog("cdse"), {}, needed=True)
    assert (wanted.level, wanted.fix) == (Level.PROBLEM, "export AWS_ACCESS_KEY_ID=...")
    assert doctor._credentials(resolve_catalog("cdse"), {}, needed=False).level is Level.OK
    assert doctor._credentials(resolve_catalog("planetary-computer"), {}, needed=True).level is Level.NOTE
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text("[default]")
    assert doctor._credentials(resolve_catalog("cdse"), {}, needed=True).level is Level.OK


def test_a_prefect_server_that_is_not_there():
    assert doctor._prefect({}).level is Level.OK
    gone = doctor._prefect({"PREFECT_API_URL": "http://127.0.0.1:9/api"})
    assert gone.level is Level.PROBLEM
    assert "overbank up" in gone.fix


def test_missing_drivers_and_a_foreign_projection_database(monkeypatch):
    def unknown(_):
        raise CRSError("proj.db")

    monkeypatch.setattr(doctor, "DRIVERS", {"GTiff": "x", "NoSuchDriver": "nothing works"})
    monkeypatch.setattr(rasterio.crs, "CRS", type("Lost", (), {"from_epsg": staticmethod(unknown)}))
    found = doctor._gdal()
    assert [one.level for one in found] == [Level.PROBLEM, Level.PROBLEM]
    assert "PROJ_DATA" in found[1].fix


def test_every_bad_finding_has_a_fix(served, tmp_path):
    findings = examine(served.url, tmp_path)
    assert {"python", "versions", "gpu", "GDAL", "disk", "memory", "Prefect"} <= {one.name for one in findings}
    assert all(one.fix for one in findings if one.level is not Level.OK)


def test_command(served, tmp_path):
    app = typer.Typer()
    register(app)
    well = CliRunner().invoke(app, ["--catalog", served.url, "--out", str(tmp_path), "--json"])
    assert well.exit_code == 0, well.output
    assert {one["level"] for one in json.loads(well.output)} <= {"ok", "note"}
    served.faults.set([Rule("forbidden", path="", times=None)])
    ill = CliRunner().invoke(app, ["--catalog", served.url, "--out", str(tmp_path)])
    assert ill.exit_code == 1
    assert "PROBLEM" in ill.output
    with pytest.raises(UnknownNameError):
        examine("no-such-catalogue")
