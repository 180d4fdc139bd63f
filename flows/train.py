"""Train a water model by a recipe."""

from prefect import flow
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from flows.progress import run_logger
from pipeline_lib.options.train import Recipe
from pipeline_lib.steps.train import Progress, Trained, metrics_table, progress_row
from tasks.train import build_chips, train


@flow(
    name="train-model",
    flow_run_name="train {recipe.name}",
    description="Train a water model by a recipe: chips, stages, calibration, model folder.",
    result_serializer="json",
)
def train_model(
    recipe: Recipe, out: str, data: str | None = None, workspace: str | None = None, device: str = "auto"
) -> Trained:
    """Train a model and write its folder.

    Killed and run again with the same parameters it goes on from its last checkpoint.

    Args:
        recipe: What to learn, from what, how.
        out: Folder of the model.
        data: Folder of the recipe's data sets; not needed for simulated worlds.
        workspace: Folder of chips and checkpoints; ``<out>.training`` where None.
        device: ``auto`` (the GPU where there is one), ``cpu`` or ``cuda``.

    Returns:
        Where the model is, and its figures.
    """
    workspace = workspace or f"{out}.training"
    logger = run_logger()
    chips = build_chips(recipe, data, workspace)
    logger.info("%d chips", chips)
    trained = train(recipe, data, out, workspace, device, _LiveMetrics(recipe.name))
    create_markdown_artifact(key="model-metrics", markdown=metrics_table(trained), description=f"Figures of {out}")
    return trained


class _LiveMetrics:
    """A progress bar for each stage, and a table of losses and scores that grows with every validation."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._bars: dict[str, object] = {}
        self._rows: list[dict[str, object]] = []

    def __call__(self, progress: Progress) -> None:
        """Show one validation."""
        share = 100.0 * progress.step / progress.steps
        if progress.stage not in self._bars:
            self._bars[progress.stage] = create_progress_artifact(
                progress=share, key="training", description=f"{self._name}: {progress.stage}"
            )
        else:
            update_progress_artifact(artifact_id=self._bars[progress.stage], progress=share)  # type: ignore[arg-type]
        self._rows.append(progress_row(progress))
        create_table_artifact(table=self._rows, key="training-metrics", description=f"Training of {self._name}")
        run_logger().info("%s", progress_row(progress))
