"""Train a model."""

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.concurrency.sync import concurrency

from pipeline_lib.options.train import Recipe
from pipeline_lib.steps import train as steps

GPU_SLOT = "overbank-gpu"
"""Global concurrency limit: `prefect gcl create overbank-gpu --limit 1` lets one run at a time use the GPU."""


@task(name="build chips", task_run_name="build chips for {recipe.name}", cache_policy=NO_CACHE)
def build_chips(recipe: Recipe, root: str | None, workspace: str) -> int:
    """The chip store of a recipe; number of chips."""
    return steps.count_chips(recipe, Path(root) if root else None, Path(workspace))


@task(name="train", task_run_name="train {recipe.name}", cache_policy=NO_CACHE, tags=["gpu"])
def train(recipe: Recipe, root: str | None, out: str, workspace: str, report: steps.Report) -> steps.Trained:
    """Learn, calibrate, measure, write the model folder; resumes from its checkpoints."""
    with concurrency(GPU_SLOT, occupy=1, strict=False):
        return steps.train_model(
            recipe, Path(root) if root else None, Path(out), workspace=Path(workspace), report=report
        )
