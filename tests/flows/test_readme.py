"""Every code block of the README and the tutorial does what it says, against the simulated archive.

Nothing is changed in a command but what `STAND_IN` names: the archive instead of a service on the internet, and its place
and time instead of the README's.
"""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from flows.cli import build_app
from pipeline_lib.model.area import area_of_bbox
from pipeline_lib.model.product import Product
from pipeline_lib.steps.published import published_product

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("prefect"),
    pytest.mark.usefixtures("prefect_server"),
]

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
COMMAND = ".venv/bin/overbank "
ELSEWHERE = {
    "overbank up --detach": "tests/flows/test_desk.py starts a desk, a process tree of its own",
    "overbank status": "tests/flows/test_desk.py asks the desk",
    "overbank world serve demo/world": "tests/unit/pipeline_lib/world/server/test_serve_command.py; it does not end",
    "git clone https://github.com/overbank/overbank": "the repository is here",
    "cd overbank": "the repository is here",
}
"""Commands that other tests run, and which."""


def commands(page):
    """The commands of the console blocks of a page, one a line, comments left out."""
    text = page.read_text()
    lines = [line for kind, block in BLOCK.findall(text) if kind == "console" for line in block.splitlines()]
    parts = [part.strip() for line in lines for part in line.split(" #")[0].split("&&")]
    return [part for part in parts if part]


@pytest.fixture
def desk(archive, small_world, event, tmp_path, monkeypatch):
    """A folder in which the README's commands run, and what stands in for the internet."""
    monkeypatch.chdir(tmp_path)
    fields = yaml.safe_load((small_world / "event.yaml").read_text())
    box = ",".join(str(value) for value in fields["bbox"])
    area = json.dumps(area_of_bbox(*fields["bbox"]))
    for name in ("po", "delta"):
        Path(f"{name}.geojson").write_text(area)
    swaps = {"--bbox": box, "--start": str(event.start.date()), "--end": str(event.end.date())}

    def stand_in(words):
        words = list(words)
        for flag, value in swaps.items():
            if flag in words:
                words[words.index(flag) + 1] = value
        if "--catalog" in words:
            words[words.index("--catalog") + 1] = archive
        elif words[0] in {"map", "plan"} or words[:2] == ["watch", "add"]:
            words += ["--catalog", archive]
        if words[0] == "demo":
            words += ["--size", "192"]
        return words

    return stand_in


def run(words):
    done = CliRunner().invoke(build_app(), words)
    assert done.exit_code == 0, f"overbank {' '.join(words)}: {done.output[-2000:]} {done.exception!r}"
    return done.output


def made(target, repository):
    """The recipe of a make target, as make would run it."""
    command = ["make", "-n", "-s", "-o", ".venv/.installed", "-o", ".venv/.installed-dev", target]
    return subprocess.run(command, cwd=repository, check=True, capture_output=True, text=True).stdout


def test_every_command_of_the_readme(repository, desk, tmp_path):
    ran = []
    for command in commands(repository / "README.md"):
        if command == "make demo":
            recipe = made("demo", repository).strip()
            assert recipe == f"{COMMAND}demo --out demo"
            run(desk(shlex.split(recipe)[1:]))
        elif command == "make test":
            assert "-m pytest" in made("test", repository)
        elif command.removeprefix(".venv/bin/") not in ELSEWHERE:
            assert command.startswith(COMMAND), command
            run(desk(shlex.split(command)[1:]))
        ran.append(command.removeprefix(".venv/bin/").split(" --")[0].strip())
    assert {"make demo", "make test", "overbank plan", "overbank map", "overbank watch add po"} <= set(ran)
    product = published_product(tmp_path / "events", "po-2024")
    assert isinstance(product, Product)
    assert_tree(repository / "README.md", tmp_path / "events", "po-2024")


def assert_tree(readme, out, event_id):
    """What the README says that you get is there."""
    tree = next(block for kind, block in BLOCK.findall(readme.read_text()) if not kind and "<event id>" in block)
    for name in ("index.html", "quicklook.png", "collection.json", "current"):
        assert name in tree
        assert (out / event_id / name).exists()
    for layer in ("flood_extent", "likelihood", "first_seen", "duration"):
        assert layer in tree
        assert (out / event_id / "current" / "event" / f"{layer}.tif").is_file()
    passes = list((out / event_id / "current" / "passes").iterdir())
    assert passes
    assert (passes[0] / "flood_extent.tif").is_file()


def test_every_python_block_of_the_readme(repository, desk, small_world, archive, monkeypatch):
    blocks = [block for kind, block in BLOCK.findall((repository / "README.md").read_text()) if kind == "python"]
    assert blocks
    for block in blocks:
        text = block.replace('"planetary-computer"', repr(archive))
        text = text.replace('Path("po-2024.yaml")', f"Path({str(small_world / 'event.yaml')!r})")
        exec(compile(text, "README.md", "exec"), {})  # noqa: S102 - our own page


def test_the_recipe_of_the_tutorial_trains(repository, tmp_path):
    """The page that trains a student: its recipe as it stands, and the card of what came out."""
    page = (repository / "docs" / "tutorial" / "train-a-student.md").read_text()
    recipe = next(block for kind, block in BLOCK.findall(page) if kind == "yaml" and "first_student" in block)
    (tmp_path / "first-student.yaml").write_text(recipe)
    run(["train", str(tmp_path / "first-student.yaml"), "--out", str(tmp_path / "first-student"), "--no-flow"])
    assert "first_student" in run(["models", "show", str(tmp_path / "first-student")])
