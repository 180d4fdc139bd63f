"""The recipes of the fake data sets as a fixture."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

RECIPES = Path(__file__).parents[3] / "data" / "labelled_sets.py"


@pytest.fixture(scope="session")
def recipes() -> ModuleType:
    spec = importlib.util.spec_from_file_location("labelled_sets", RECIPES)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
