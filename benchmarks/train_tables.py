"""The tables of ways of learning on OMBRIA and ETCI: every recipe, several seeds and test folds, one command.

    python benchmarks/train_tables.py ROOT --out FOLDER [--runs 0 1 2] [--recipes NAME ...] [--write TABLE.md]

    python benchmarks/train_tables.py ROOT_OF_BOTH_ETCI_SCENES --out FOLDER --recipes etci_supervised etci_weak

Run k trains with seed k and tests on fold k of the recipe's folds of look-alike groups (no test chip shares ground or
scene with a training chip). A row's IoU is pooled over all test chips of all runs; its spread is the standard
deviation of the runs. Killed and started again it goes on where it was; a finished run is not repeated.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from pipeline_lib.evaluate.scores import pool, score
from pipeline_lib.model import Confusion
from pipeline_lib.steps.train import progress_line, read_recipe, train_model

RECIPES = (
    "ombria_supervised",
    "ombria_distillation",
    "ombria_privileged",
    "ombria_teacher",
    "ombria_semi_supervised",
    "ombria_weak",
    "ombria_sparse",
    "ombria_few_labels",
    "ombria_few_labels_radar_teacher",
    "ombria_few_labels_distilled",
)
SHOWN = ("water_iou", "mean_iou", "water_f1", "water_precision", "water_recall", "pixel_accuracy")
HEADER = """# Ways of learning

One run for each seed k, on test fold k of the recipe's folds of look-alike groups; figures are pooled over the test
chips of all runs. How the table is made and what it means: [experiments](../explanation/experiments.md); the
commands of each row:
[train your own student](../tutorial/train-a-student.md#repeat-the-comparison-table). On OMBRIA the teacher sees the
optical image as well, the privileged student in half of its patches while it learns; the semi-supervised row has at
most a fifth of the labels (whole look-alike groups), the weak row one bit for each tile of 64 pixels, the sparse row
1 % of the pixels, the three rows of few labels at most a tenth of the labels (the radar teacher's is the control of
the distilled one: its teachers see no optical image). All rows are of the recipes as they stand: chips centred on
land, cut at 0.4. A row of fewer runs is pooled over fewer folds, easy or hard: compare it run by run, not with rows
of more.

"""
FOLDER = Path(__file__).parents[1] / "recipes"


def run(name, number, root, out):
    """Metrics of one run, trained unless it is there."""
    done = out / f"{name}-{number}.json"
    if not done.is_file():
        recipe = read_recipe(FOLDER / f"{name}.yaml", seed=number, test_fold=number)
        work = out / "work" / f"{name}-{number}"
        work.mkdir(parents=True, exist_ok=True)
        if not (work / "chips").exists():
            (out / "chips").mkdir(exist_ok=True)
            (work / "chips").symlink_to((out / "chips").resolve())
        trained = train_model(
            recipe,
            root,
            out / "models" / f"{name}-{number}",
            workspace=work,
            report=lambda p: print(progress_line(p), flush=True),
        )
        done.write_text(json.dumps(trained.metrics))
    return json.loads(done.read_text())["test"]


def row(name, runs):
    pooled = score(pool([Confusion(**found["counts"]) for found in runs])).model_dump()
    spread = np.std([found["water_iou"] for found in runs], ddof=1) if len(runs) > 1 else float("nan")
    cells = " | ".join(f"{pooled[key]:.3f}" for key in SHOWN)
    return f"| {name} | {len(runs)} | {sum(found['chips'] for found in runs)} | {cells} | {spread:.3f} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--runs", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES))
    parser.add_argument("--finished-only", action="store_true", help="only put finished runs into the table")
    parser.add_argument("--write", type=Path, help="file to write the table to")
    options = parser.parse_args()
    lines = [f"| recipe | runs | test chips | {' | '.join(SHOWN)} | sd of water_iou |", "|---" * (len(SHOWN) + 4) + "|"]
    for name in options.recipes:
        numbers = [k for k in options.runs if not options.finished_only or (options.out / f"{name}-{k}.json").is_file()]
        if numbers:
            lines.append(row(name, [run(name, k, options.root, options.out) for k in numbers]))
    table = "\n".join(lines)
    print(table)
    if options.write:
        options.write.write_text(HEADER + table + "\n")


if __name__ == "__main__":
    main()
