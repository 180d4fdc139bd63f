"""``overbank watch``: what cannot be watched is refused before it is stored, and nothing that is shown holds a login."""

import json
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from flows.cli import build_app
from pipeline_lib.errors import OverbankError
from pipeline_lib.model.area import area_of_bbox
from pipeline_lib.steps.watch import register_of
from pipeline_lib.watch import Watch

GIVEN = {"--bbox": "9.2,45.2,9.3,45.3", "--catalog": "https://stac.example/api"}


def run(*arguments):
    return CliRunner().invoke(build_app(), list(map(str, arguments)))


def add(out, **changes):
    given = GIVEN | {f"--{name}": value for name, value in changes.items()}
    return run("watch", "add", "po", *(part for flag in given.items() for part in flag), "--out", out)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"catalog": "https://reader:secret-7@stac.example/api"}, "user name or password"),
        ({"catalog": "reader:secret-7@stac.example/api"}, "user name or password"),
        ({"catalog": "htps://reader:secret-7@stac.example"}, "user name or password"),
        ({"catalog": "planetary-computre"}, "planetary-computer"),
        ({"bbox": "9.2,45.2,9.20005,45.20004"}, "floods of less than 2000 m2"),
        ({"since": "2130-01-01"}, "lies in the future"),
        ({"every": "1s"}, "at least 60 s"),
    ],
)
def test_what_cannot_be_watched_is_refused_and_not_stored(tmp_path, changes, says):
    done = add(tmp_path, **changes)
    assert done.exit_code != 0
    assert isinstance(done.exception, OverbankError)
    assert says in str(done.exception)
    assert "secret-7" not in str(done.exception) + done.output
    assert register_of(tmp_path).watches() == []


def test_a_login_that_an_earlier_release_stored_is_not_shown(tmp_path):
    login = "https://reader:secret-7@stac.example/api"
    area = area_of_bbox(9, 45, 9.1, 45.1)
    register_of(tmp_path).add(Watch(name="po", aoi=area, catalog=login, since=datetime(2024, 5, 1, tzinfo=UTC)))
    for command in (["watch", "list"], ["watch", "list", "--json"], ["watch", "show", "po"], ["status", "--json"]):
        said = run(*command, "--out", tmp_path).output
        assert "secret-7" not in said
        assert "https://...@stac.example/api" in said


def test_a_watch_is_changed_and_shown(tmp_path):
    assert add(tmp_path).exit_code == 0
    flags = ("--every", "2h", "--publish-if", "3", "--approve")
    assert run("watch", "edit", "po", *flags, "--out", tmp_path).exit_code == 0
    shown = json.loads(run("watch", "show", "po", "--json", "--out", tmp_path).output)
    assert (shown["every_minutes"], shown["publish_if"]["min_flood_km2"]) == (120, 3)
    assert shown["options"]["approval"]["required"]
    assert shown["catalog"] == GIVEN["--catalog"]
    assert not run("watch", "edit", "po", "--no-approve", "--out", tmp_path).exit_code
    listed = json.loads(run("watch", "list", "--json", "--out", tmp_path).output)
    assert [(one["name"], one["every_minutes"], one["passes"]["mapped"]) for one in listed] == [("po", 120, 0)]
    assert not register_of(tmp_path).watch("po").watch.options["approval"]["required"]


def test_an_edit_that_cannot_be_meant_changes_nothing(tmp_path):
    add(tmp_path)
    before = register_of(tmp_path).watch("po")
    for flag in (("--every", "1s"), ("--catalog", "nasa"), ("--grace", "soon"), ("--publish-if", "-1")):
        assert run("watch", "edit", "po", *flag, "--out", tmp_path).exit_code != 0
    assert register_of(tmp_path).watch("po") == before
