"""A model or detector scored from a form: the file and the figures on the run are those of the command."""

import json

import pytest

from flows.evaluate import evaluate_model
from pipeline_lib.options.evaluate import EvaluateOptions
from pipeline_lib.steps.evaluate import evaluate

pytestmark = [pytest.mark.xdist_group("prefect"), pytest.mark.usefixtures("prefect_server")]


def test_the_flow_writes_what_the_step_finds(small_world, tmp_path):
    options = EvaluateOptions(dataset="world", root=small_world, detector="fixed", resamples=20)
    text = evaluate_model(options, str(tmp_path / "scores.json"))
    written = json.loads((tmp_path / "scores.json").read_text())
    found = json.loads(evaluate(options).model_dump_json())
    assert written["scores"] == found["scores"]
    assert "iou" in text.lower()
