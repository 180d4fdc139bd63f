"""The glossary: each term is where the page says, and no name uses a word that the page discourages."""

import ast
import re

import pytest

ROW = re.compile(
    r"^\| (?!term |---)(?P<term>[^|]+) \| (?P<meaning>[^|]+) \| (?P<code>[^|]*)\|(?P<other>[^|]*)\|$", re.MULTILINE
)
LINK = re.compile(r"\[`([^`]+)`\]\(([^)]+)\)")
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")
NAMED_TEXT = re.compile(r"--[a-z][a-z-]*|overbank:[a-z_]+")
LAYERS = ("pipeline_lib/publish/layers.py", "pipeline_lib/flood/derive.py", "pipeline_lib/flood/event.py")


@pytest.fixture(scope="module")
def rows(repository):
    """The lines of every table of the page."""
    found = [match.groupdict() for match in ROW.finditer((repository / "docs/reference/glossary.md").read_text())]
    assert len(found) >= 40
    return found


def defined(tree):
    """Names that a module gives: of functions, classes, parameters, variables, fields."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr


def texts(tree):
    """Constant texts of a module."""
    return [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def names_of(path, root):
    """What a module names: its own names, its options and STAC fields, and, where layers are listed, those."""
    tree = ast.parse(path.read_text())
    yield path.stem
    yield from defined(tree)
    for text in texts(tree):
        if NAMED_TEXT.fullmatch(text) or (str(path.relative_to(root)) in LAYERS and text.isidentifier()):
            yield text


def snake(name):
    """A name as lower-case words between underscores, with one at each end."""
    return "_".join(["", *(word.lower() for word in WORD.findall(name)), ""])


def test_each_term_is_defined_where_the_page_says(repository, rows):
    for row in rows:
        links = LINK.findall(row["code"])
        assert links, f"{row['term']}: where is it?"
        for name, target in links:
            tree = ast.parse((repository / "docs" / "reference" / target).resolve().read_text())
            assert name in {*defined(tree), *texts(tree)}, f"{row['term']}: no {name} in {target}"


def test_no_name_uses_a_discouraged_word(repository, rows):
    discouraged = {f"_{word}_": row["term"] for row in rows for word in re.findall(r"`([^`]+)`", row["other"])}
    assert len(discouraged) >= 40
    wrong = [
        f"{path.relative_to(repository)}: {name} ({word.strip('_')}; say {term})"
        for root in ("pipeline_lib", "tasks", "flows")
        for path in sorted((repository / root).rglob("*.py"))
        for name in names_of(path, repository)
        for word, term in discouraged.items()
        if word in snake(name)
    ]
    assert not wrong


@pytest.mark.parametrize(
    "name", ["flood_mask", "FloodMask", "MAX_FLOOD_MASK_PX", "--flood-mask", "overbank:flood_mask"]
)
def test_a_discouraged_word_is_found_in_every_form(name):
    assert "_flood_mask_" in snake(name)


def test_a_name_that_only_holds_its_letters_is_none():
    assert "_prob_" not in snake("probability")
    assert "_enl_" not in snake("enlarged")
