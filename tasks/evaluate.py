"""Score a mapped event where its truth is known, and a detector or model on a labelled set."""

from pathlib import Path

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from pipeline_lib.model import MappingPlan
from pipeline_lib.options.evaluate import EvaluateOptions
from pipeline_lib.steps import evaluate, map_event, score_event
from pipeline_lib.steps.score_text import score_text
from pipeline_lib.steps.workspace import Workspace
from tasks.display import show


@task(name="evaluate", task_run_name="evaluate {plan.event.event_id}", cache_policy=NO_CACHE)
def evaluate_event(
    plan: MappingPlan, mapped: list[map_event.MappedPass], truth: str, place: map_event.Place
) -> score_event.EventScores:
    """Score each pass against the simulated truth; ``scores.json`` goes into the workspace."""
    scores = score_event.score_event(plan, mapped, truth, Workspace(place.workspace))
    show(create_table_artifact, key="scores", table=scores.rows(), description="Flood against the truth, pass by pass")
    return scores


@task(name="evaluate on a labelled set", task_run_name="evaluate on {options.dataset}", cache_policy=NO_CACHE)
def evaluate_set(options: EvaluateOptions, out: Path) -> str:
    """Score on every labelled chip and write ``scores.json``; the figures in words."""
    evaluation = evaluate.evaluate(options)
    evaluate.write_evaluation(evaluation, out)
    return score_text(evaluation)
