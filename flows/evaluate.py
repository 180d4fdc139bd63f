"""Score a detector or a model on a labelled set, where a person starts it from a form and sees the figures."""

from pathlib import Path

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from pipeline_lib.options.evaluate import EvaluateOptions
from tasks.evaluate import evaluate_set


@flow(
    name="evaluate-model",
    flow_run_name="evaluate on {options.dataset}",
    description="Score a detector or a trained model on a labelled data set.",
    result_serializer="json",
)
def evaluate_model(options: EvaluateOptions, out: str) -> str:
    """Score, write ``scores.json``, and show the figures on the run.

    Args:
        options: What is scored, on which chips.
        out: File to write the scores to, as JSON.

    Returns:
        The figures in words.

    Raises:
        UnknownNameError: no such data set or detector.
        InputError: the root is not that set, or none of its chips has a pixel label.
        StoreError: the scores cannot be written.
    """
    text = evaluate_set(options, Path(out))
    create_markdown_artifact(key="scores", markdown=f"```\n{text}\n```", description=f"Scores on {options.dataset}")
    return text
