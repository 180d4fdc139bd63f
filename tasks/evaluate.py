"""Score a detector or a model on a labelled set."""

from pathlib import Path

from prefect import task

from pipeline_lib.options.evaluate import EvaluateOptions
from pipeline_lib.steps import evaluate
from pipeline_lib.steps.score_text import score_text
from tasks.retry import ONCE


@task(name="evaluate on a labelled set", task_run_name="evaluate on {options.dataset}", **ONCE)
def evaluate_set(options: EvaluateOptions, out: Path) -> str:
    """Score on every labelled chip and write ``scores.json``; the figures in words."""
    evaluation = evaluate.evaluate(options)
    evaluate.write_evaluation(evaluation, out)
    return score_text(evaluation)
