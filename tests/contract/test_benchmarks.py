"""The benchmarks, which no test runs, use only what is there: a name that moved leaves none of them behind."""

import ast
import functools

import pytest

OURS = ("flows", "tasks", "pipeline_lib", "benchmarks")


@functools.cache
def given(path):
    """Every name that a module defines, imports or assigns, at any depth."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.update(alias.asname or alias.name.split(".")[0] for alias in node.names)
    return found


def missing(tree, root):
    """What a module imports of ours and is not there."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or node.level or node.module.split(".")[0] not in OURS:
            continue
        place = root / node.module.replace(".", "/")
        source = place.with_suffix(".py")
        source = source if source.is_file() else place / "__init__.py"
        names = given(source) if source.is_file() else set()
        for alias in node.names:
            below = place / alias.name
            if alias.name not in names and not below.with_suffix(".py").is_file() and not below.is_dir():
                yield f"{node.module}.{alias.name}"


def test_every_benchmark_imports_what_is_there(repository):
    found = {
        str(path.relative_to(repository)): gone
        for path in sorted((repository / "benchmarks").rglob("*.py"))
        if (gone := list(missing(ast.parse(path.read_text()), repository)))
    }
    assert not found


@pytest.mark.parametrize("line", ["from pipeline_lib.grid import no_such", "from pipeline_lib.no_such import grid"])
def test_a_name_that_is_gone_is_found(repository, line):
    assert list(missing(ast.parse(line), repository))
