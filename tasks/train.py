"""Train a model."""

from pathlib import Path

from prefect import task

from pipeline_lib.options.train import Recipe
from pipeline_lib.steps import train as steps
from tasks.cluster import gpu_slot
from tasks.retry import ONCE


@task(name="build chips", task_run_name="build chips for {recipe.name}", **ONCE)
def build_chips(recipe: Recipe, root: str | None, workspace: str) -> int:
    """The chip store of a recipe; number of chips."""
    return steps.count_chips(recipe, Path(root) if root else None, Path(workspace))


@task(name="train", task_run_name="train {recipe.name}", tags=["gpu"], **ONCE)
def train(
    recipe: Recipe, root: str | None, out: str, workspace: str, device: str, report: steps.Report
) -> steps.Trained:
    """Learn, calibrate, measure, write the model folder; resumes from its checkpoints."""
    with gpu_slot(needed=steps.uses_gpu(device)):
        return steps.train_model(
            recipe, Path(root) if root else None, Path(out), workspace=Path(workspace), report=report, device=device
        )
