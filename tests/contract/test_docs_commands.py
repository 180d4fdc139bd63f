"""Commands that pages tell to type: each is one of the command line; those of the other catalogues, by their names."""

import re
import shlex
from functools import cache

import pytest
import typer
import yaml
from typer.testing import CliRunner

from flows.cli import build_app
from pipeline_lib.catalog.profiles import PROFILES
from pipeline_lib.options.world import WorldOptions
from pipeline_lib.world.build import build_world
from pipeline_lib.world.server import serve

BLOCK = re.compile(r"^```console\n(.*?)^```", re.DOTALL | re.MULTILINE)
OVERBANK = re.compile(r"^(?:\S+=\S+ )*(?:\.venv/bin/)?overbank (.*)$")


def commands(page):
    """The words after ``overbank`` of each command in the console blocks of a page."""
    lines = "\n".join(BLOCK.findall(page.read_text())).replace("\\\n", " ").splitlines()
    parts = [part.strip() for line in lines for part in re.split(r"&&|;", line.split(" #")[0])]
    return [shlex.split(found[1]) for part in parts if (found := OVERBANK.match(part))]


@cache
def command_line():
    """The commands as a tree."""
    return typer.main.get_command(build_app())


def misread(words):
    """What the command line does not know of a command, or None."""
    command = command_line()
    words = list(words)
    while children := getattr(command, "commands", None):
        if not words or words[0] not in children:
            return f"no command {words[:1]}"
        command = children[words.pop(0)]
    known = {name: one for one in command.params for name in (*one.opts, *one.secondary_opts)}
    values = [one for one in command.params if one.param_type_name == "argument"]
    given = 0
    while words:
        word, *rest = words
        if word.startswith("-"):
            name, _, value = word.partition("=")
            if name not in known:
                return f"no option {name}"
            takes = 0 if getattr(known[name], "is_flag", False) or value else 1
            words = rest[takes:]
        else:
            given, words = given + 1, rest
    least, most = sum(one.required for one in values), sum(99 if one.nargs == -1 else 1 for one in values)
    return None if least <= given <= most else f"{given} arguments where {least} to {most} are taken"


def test_every_command_of_every_page_is_one_of_the_command_line(repository):
    pages = [repository / "README.md", *sorted((repository / "docs").rglob("*.md"))]
    told = [(page.name, words) for page in pages for words in commands(page)]
    assert len(told) > 40
    wrong = [f"{page}: overbank {' '.join(words)}: {found}" for page, words in told if (found := misread(words))]
    assert not wrong


@pytest.mark.parametrize(
    "words", [["mapp"], ["events", "no-such"], ["map", "--no-such"], ["events", "retract"], ["score", "a", "b", "c"]]
)
def test_what_the_command_line_does_not_know_is_seen(words):
    assert misread(words)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """URL and event of an archive with SAFE products, whose elevation also goes by its name at CDSE."""
    world = build_world(tmp_path_factory.mktemp("grd") / "world", WorldOptions(seed=7, size=128, grd=True))
    ours, theirs = PROFILES["earth-search"].dem[0], PROFILES["cdse"].dem[0]
    (world / "items" / theirs).mkdir()
    files = {world / "items" / theirs / path.name: path for path in (world / "items" / ours).glob("*.json")}
    files[world / "collections" / f"{theirs}.json"] = world / "collections" / f"{ours}.json"
    for target, source in files.items():
        target.write_text(source.read_text().replace(f'"{ours}"', f'"{theirs}"'))
    with serve(world) as url:
        yield url, yaml.safe_load((world / "event.yaml").read_text())


@pytest.mark.parametrize("name", ["earth-search", "cdse"])
def test_the_other_catalogues_of_the_readme_by_their_own_names(repository, archive, monkeypatch, name):
    """As the service names its collections, GRD alone; only its address is another."""
    url, fields = archive
    monkeypatch.setitem(PROFILES, name, PROFILES[name].model_copy(update={"url": url}))
    (words,) = (one for one in commands(repository / "README.md") if one[-2:] == ["--catalog", name])
    box = ",".join(str(value) for value in fields["bbox"])
    for flag, value in (("--bbox", box), ("--start", str(fields["start"])[:10]), ("--end", str(fields["end"])[:10])):
        words[words.index(flag) + 1] = value
    done = CliRunner().invoke(build_app(), words)
    assert done.exit_code == 0, done.output
    assert re.search(rf"^Catalogue +{name},", done.output, re.MULTILINE)
    assert re.search(r"^Elevation +1 tile", done.output, re.MULTILINE)
    assert done.output.count(" GRD VV+VH") == 4
    assert "The catalogue has no" not in done.output
