"""Score a detector or a model on a labelled set."""

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from pipeline_lib.options.evaluate import EvaluateOptions
from pipeline_lib.steps import evaluate
from pipeline_lib.steps.score_text import score_text


@task(name="evaluate on a labelled set", task_run_name="evaluate on {options.dataset}", cache_policy=NO_CACHE)
def evaluate_set(options: EvaluateOptions, out: Path) -> str:
    """Score on every labelled chip and write ``scores.json``; the figures in words."""
    evaluation = evaluate.evaluate(options)
    evaluate.write_evaluation(evaluation, out)
    return score_text(evaluation)
