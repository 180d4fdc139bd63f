"""Retention removes the runs of every flow of ours, so it must know their names."""

import ast
from pathlib import Path

import flows
from flows.retention import OURS


def names_of(module: Path) -> list[str]:
    return [
        ast.literal_eval(keyword.value)
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "flow"
        for keyword in node.keywords
        if keyword.arg == "name"
    ]


def test_retention_knows_every_flow():
    folder = Path(flows.__file__).parent
    assert sorted(name for module in folder.rglob("*.py") for name in names_of(module)) == sorted(OURS)
