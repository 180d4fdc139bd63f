"""Do the tests notice a wrong sign? Small changes to the code, one at a time, and who catches them.

    python benchmarks/mutation.py [--most N] [--seed S] [--only MODULE ...] [--json FILE]

Each mutant is one module with one operator, comparison or number changed; its tests run on it in a process of their
own until the first failure. A mutant that no test notices is named: either a test is missing or the change is none
(an equivalent mutant, which a person has to see). Of each module at most N mutants are drawn. Modules that numba
compiles are left out, because their machine code is cached.
"""

import argparse
import ast
import copy
import importlib
import importlib.abc
import importlib.util
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
TESTS = "tests/unit/pipeline_lib"
TESTED_BY = {
    "pipeline_lib.model.product": ["evaluate/test_scores.py"],
    "pipeline_lib.evaluate.scores": ["evaluate/test_scores.py"],
    "pipeline_lib.evaluate.summary": ["evaluate/test_scores.py", "evaluate/test_intervals.py"],
    "pipeline_lib.evaluate.calibration": ["evaluate/test_calibration.py"],
    "pipeline_lib.nn.calibration": ["nn/test_calibration.py"],
    "pipeline_lib.flood.derive": ["flood/test_derive.py"],
    "pipeline_lib.flood.exclusion": ["flood/test_derive.py"],
    "pipeline_lib.flood.event": ["flood/test_event.py"],
    "pipeline_lib.flood.area": ["flood/test_area.py"],
    "pipeline_lib.flood.depth": ["flood/test_depth.py"],
    "pipeline_lib.pixel": ["test_pixel.py"],
    "pipeline_lib.halo": ["test_halo.py"],
    "pipeline_lib.flood.window": ["flood/test_depth.py", "flood/test_blocks.py"],
    "pipeline_lib.water.blocks": ["water/test_filtering.py", "water/test_growing.py", "water/test_blocks.py"],
    "pipeline_lib.water.classes": ["water/test_threshold.py", "water/test_adaptive.py", "water/test_detectors.py"],
    "pipeline_lib.water.thresholding": ["water/test_threshold.py", "water/test_detectors.py"],
    "pipeline_lib.water.change": ["water/test_detectors.py", "water/test_blocks.py"],
    "pipeline_lib.water.ensemble": ["water/test_ensemble.py"],
    "pipeline_lib.water.fused": ["water/test_fused.py"],
    "pipeline_lib.water.fuzzy": ["water/test_fuzzy.py", "water/test_detectors.py"],
    "pipeline_lib.water.hierarchical": ["water/test_detectors.py", "water/test_threshold.py"],
    "pipeline_lib.sar.calibration": ["sar/test_calibration.py"],
    "pipeline_lib.sar.correlation": ["sar/test_registration.py"],
    "pipeline_lib.sar.matching": ["sar/test_registration.py"],
    "pipeline_lib.sar.shift": ["sar/test_registration.py", "test_filters_in_blocks.py"],
    "pipeline_lib.sar.speckle": ["sar/test_speckle.py"],
    "pipeline_lib.sar.orbit": ["sar/test_range_doppler.py"],
    "pipeline_lib.nn.border": ["nn/test_segmenter.py", "nn/test_training.py"],
    "pipeline_lib.nn.inputs": ["nn/test_data.py", "nn/test_segmenter.py"],
    "pipeline_lib.nn.losses": ["nn/test_losses.py"],
    "pipeline_lib.nn.tiling": ["nn/test_segmenter.py"],
    "pipeline_lib.load.asset": ["load/test_mosaic.py", "load/test_sentinel1_rtc.py"],
    "pipeline_lib.load.mosaic": ["load/test_mosaic.py"],
    "pipeline_lib.load.raster": ["load/test_mosaic.py", "load/test_real_rasters.py"],
    "pipeline_lib.load.sea": ["load/test_sea.py"],
    "pipeline_lib.load.sentinel2_l2a": ["load/test_sentinel2_l2a.py"],
}
"""Modules and what tests them."""
HEAVY = ("numpy", "numba", "xarray", "pandas", "scipy.ndimage", "scipy.optimize", "dask.array", "rioxarray", "torch")
"""Imported once, before a process is made for each mutant."""
LIMIT_S = 240
"""Of processor time, so that no mutant counts as noticed because the machine was busy; ten times that by the clock."""
SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip


class Sites(ast.NodeVisitor):
    """Every place where a mutant can be made; types, decorators, defaults of signatures and messages are none."""

    def __init__(self) -> None:
        self.found: list[tuple[ast.AST, int]] = []

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for one in node.body:
            self.visit(one)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for one in node.body:
            self.visit(one)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_Raise(self, node: ast.Raise) -> None:
        """What a message says is no algebra."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Nor is text."""

    def generic_visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.Compare):
            self.found += [(node, number) for number, one in enumerate(node.ops) if type(one) in SWAPS]
        elif isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign):
            if type(node.op) in SWAPS:
                self.found.append((node, 0))
        elif isinstance(node, ast.UnaryOp) or (isinstance(node, ast.Constant) and isinstance(node.value, int | float)):
            self.found.append((node, 0))
        super().generic_visit(node)


def sites_of(tree: ast.AST) -> list[tuple[ast.AST, int]]:
    visitor = Sites()
    visitor.visit(tree)
    return visitor.found


def mutate(tree: ast.Module, site: int) -> tuple[ast.Module, int, str]:
    """The changed tree, the line, and what was changed."""
    changed = copy.deepcopy(tree)
    node, position = sites_of(changed)[site]
    before = ast.unparse(node)
    if isinstance(node, ast.Compare):
        node.ops[position] = SWAPS[type(node.ops[position])]()
    elif isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign):
        node.op = SWAPS[type(node.op)]()
    elif isinstance(node, ast.UnaryOp):
        node.op = ast.UAdd()
    else:
        node.value = (not node.value) if isinstance(node.value, bool) else node.value + 1
    return changed, node.lineno, f"{before}  ->  {ast.unparse(node)}"


class Mutant(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from a changed tree."""

    def __init__(self, name: str, path: Path, tree: ast.Module) -> None:
        self.name, self.path, self.tree = name, path, tree

    def find_spec(self, fullname, path=None, target=None):  # noqa: ARG002 - the protocol
        return importlib.util.spec_from_loader(fullname, self) if fullname == self.name else None

    def exec_module(self, module) -> None:
        module.__file__ = str(self.path)
        exec(compile(self.tree, str(self.path), "exec"), module.__dict__)  # noqa: S102 - our own code, changed


def outcome(name: str, path: Path, tree: ast.Module, tests: list[str]) -> str:
    """``killed``, ``survived`` or ``timeout`` of the tests on a tree."""
    child = os.fork()
    if child == 0:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        signal.setitimer(signal.ITIMER_PROF, LIMIT_S)
        signal.alarm(10 * LIMIT_S)
        sys.meta_path.insert(0, Mutant(name, path, tree))
        import pytest

        flags = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-m", "not slow"]
        os._exit(int(pytest.main([*flags, *(f"{TESTS}/{one}" for one in tests)])))
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return "timeout" if os.WTERMSIG(status) in {signal.SIGPROF, signal.SIGALRM} else "killed"
    return "survived" if os.WEXITSTATUS(status) == 0 else "killed"


def try_module(name: str, most: int, seed: int) -> list[dict]:
    """Outcome of the mutants drawn of a module."""
    path = REPOSITORY / (name.replace(".", "/") + ".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if outcome(name, path, tree, TESTED_BY[name]) != "survived":
        raise SystemExit(f"The tests of {name} fail as it is: {TESTED_BY[name]}")
    count = len(sites_of(tree))
    drawn = sorted(random.Random(seed).sample(range(count), min(most, count)))  # noqa: S311 - no secret
    rows = []
    for site in drawn:
        changed, line, change = mutate(tree, site)
        row = {"module": name, "line": line, "change": change, "outcome": outcome(name, path, changed, TESTED_BY[name])}
        rows.append(row)
        if row["outcome"] == "survived":
            print(f"  survived {name}:{line}: {change}", flush=True)
    killed = sum(row["outcome"] != "survived" for row in rows)
    print(f"{name}: {killed} of {len(rows)} noticed ({count} possible)", flush=True)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=40, help="mutants of each module")
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--only", nargs="*", choices=list(TESTED_BY), default=list(TESTED_BY))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    os.chdir(REPOSITORY)
    sys.path.insert(0, str(REPOSITORY))
    for name in HEAVY:
        importlib.import_module(name)
    started, rows = time.perf_counter(), []
    for name in given.only:
        rows += try_module(name, given.most, given.seed)
    survived = sum(row["outcome"] == "survived" for row in rows)
    minutes = (time.perf_counter() - started) / 60
    print(f"{len(rows) - survived} of {len(rows)} mutants noticed, {survived} survived, {minutes:.1f} min")
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
