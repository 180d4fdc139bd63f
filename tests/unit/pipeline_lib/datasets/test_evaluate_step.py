"""Detectors and maps scored end to end on fake sets: the document, its schema, and what counts as what."""

import json

import jsonschema
import numpy as np
import pytest
from typer.testing import CliRunner

from pipeline_lib.errors import ContractError, InputError, UnknownNameError
from pipeline_lib.evaluate import Evaluation, Subject, schema, score
from pipeline_lib.options.evaluate import EvaluateOptions
from pipeline_lib.steps.answer import Answer, observation_of
from pipeline_lib.steps.evaluate import evaluate, evaluate_chips, read_evaluation, write_evaluation
from pipeline_lib.steps.score_text import difference_text, score_text


def options(root, dataset="sen1floods11", **more):
    return EvaluateOptions(dataset=dataset, root=root, resamples=50, **more)


@pytest.fixture(scope="module")
def floods(recipes, tmp_path_factory):
    return recipes.sen1floods11(tmp_path_factory.mktemp("floods"), size=160)


@pytest.fixture(scope="module")
def scored(floods, tmp_path_factory):
    plots = tmp_path_factory.mktemp("plots")
    return evaluate(options(floods), plot=plots), plots


def test_the_default_detector_finds_the_fake_lakes(scored):
    evaluation, _ = scored
    assert evaluation.scores.pooled.water_iou > 0.8
    assert evaluation.scores.dry_chips.false_alarm_share < 0.01
    assert evaluation.reference.chips_without_valid_pixels == 1
    assert evaluation.calibration.pixels + evaluation.ignored_pixels == 5 * 160 * 160


def test_the_document_fits_its_published_schema(scored, repository, tmp_path):
    evaluation, _ = scored
    write_evaluation(evaluation, tmp_path / "deep" / "scores.json")
    document = json.loads((tmp_path / "deep" / "scores.json").read_text())
    published = json.loads((repository / "docs/reference/scores.schema.json").read_text())
    assert published == schema(), "docs/reference/scores.schema.json is stale: run python benchmarks/report.py --schema"
    jsonschema.validate(document, published)
    assert Evaluation.model_validate(document) == evaluation
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["scores.json"]


def test_every_iou_says_what_it_pools():
    def fields(node):
        yield from node.get("properties", {})
        for definition in node.get("$defs", {}).values():
            yield from fields(definition)

    for name in fields(schema()):
        if "water_iou_" in name:
            assert name.split("water_iou_")[1].startswith(("pooled", "per_")), name


def test_pictures(scored):
    _, plots = scored
    names = {path.name for path in plots.iterdir()}
    assert "reliability.svg" in names
    assert "USA_905409.png" in names
    assert (plots / "reliability.svg").read_text().count("<circle") >= 2


def test_text_names_every_chip_and_every_pooling(scored):
    text = score_text(scored[0])
    for word in ("pooled", "per-chip median", "per-event mean", "USA_905409", "Ghana_53713", "all water"):
        assert word in text


def perfect(chip):
    truth = chip.truth()
    return Answer(water=truth, likelihood=(truth == 1).astype(np.float32), excluded_pixels=0, seconds=0.1)


def silent(chip):
    truth = chip.truth()
    water = np.where(np.arange(truth.shape[1]) % 2 == 0, truth, np.uint8(255))
    return Answer(water=water, likelihood=None, excluded_pixels=0, seconds=0.1)


def chips_of(root):
    from pipeline_lib.datasets import read_dataset

    return read_dataset("sen1floods11", root)


def test_a_perfect_answer_scores_one_and_silence_scores_as_dry(floods):
    subject = Subject(kind="map", name="test")
    best = evaluate_chips(chips_of(floods), subject, perfect, options=options(floods))
    assert best.scores.pooled.water_iou == 1.0
    assert best.calibration.ece_pooled == 0.0
    half = evaluate_chips(chips_of(floods), subject, silent, options=options(floods))
    assert half.calibration is None
    assert half.scores.pooled.water_recall == pytest.approx(0.5, abs=0.02)
    assert half.scores.pooled.confusion.ignored == best.scores.pooled.confusion.ignored
    assert sum(row.unmapped_pixels for row in half.chips) > 0


def test_a_flood_only_set_is_asked_for_the_flood(recipes, tmp_path):
    root = recipes.cems_rcnn(tmp_path, size=400)
    evaluation = evaluate(options(root, "cems"))
    assert any("before" in note for note in evaluation.notes)
    assert evaluation.scores.pooled.water_iou > 0.6
    with_water = evaluate(options(root, "cems", target="water"))
    assert any("false alarm" in note for note in with_water.notes)


def test_flood_needs_an_image_before(floods):
    with pytest.raises(InputError, match="before the flood"):
        evaluate(options(floods, target="flood"))


def test_an_observation_holds_all_that_a_chip_offers(recipes, tmp_path):
    from pipeline_lib.datasets import read_dataset

    chip = read_dataset("etci2021", recipes.etci2021(tmp_path))[0]
    seen = observation_of(chip)
    assert seen.history.sizes["time"] == 1
    assert seen.scene.chunks


def test_mistakes_are_named(floods, tmp_path):
    with pytest.raises(UnknownNameError, match="detector"):
        evaluate(options(floods, detector="otso"))
    with pytest.raises(UnknownNameError, match="data set"):
        evaluate(options(floods, "floods"))
    with pytest.raises(ValueError, match="not both"):
        options(floods, detector="a", model=tmp_path)
    with pytest.raises(ValueError, match="--option model=shipped, not both"):
        options(floods, model=tmp_path, parameters={"model": "shipped"})


def test_command(floods, tmp_path):
    from typer import Typer

    from flows.commands.evaluate import register

    app = Typer()

    @app.callback()
    def root() -> None:
        pass

    register(app)
    arguments = ["evaluate", "--dataset", "sen1floods11", "--root", str(floods), "--split", "train"]
    done = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "scores.json")], catch_exceptions=False)
    assert done.exit_code == 0
    assert "India_900498" in done.output
    assert json.loads((tmp_path / "scores.json").read_text())["reference"]["split"] == "train"
    better = ["--detector", "otsu", "--against", str(tmp_path / "scores.json")]
    compared = CliRunner().invoke(app, [*arguments, *better], catch_exceptions=False)
    assert compared.output.splitlines()[-1].startswith("water IoU, pooled: otsu - ")
    assert "95 % paired bootstrap" in compared.output


def test_two_methods_are_compared_chip_by_chip(floods, tmp_path):
    good = evaluate(options(floods))
    same = difference_text(good, good)
    assert "= 0.000 [0.000, 0.000]" in same
    assert same.endswith("the chips do not tell them apart")
    blind = good.model_copy(update={"chips": tuple(_blinded(row) for row in good.chips)})
    assert difference_text(good, blind).endswith("the difference is more than chance")
    shuffled = good.model_copy(update={"chips": good.chips[::-1]})
    assert difference_text(good, shuffled) == same
    with pytest.raises(ContractError, match="same chips"):
        difference_text(good, good.model_copy(update={"chips": good.chips[1:]}))
    flood = good.reference.model_copy(update={"label_meaning": "flood only"})
    with pytest.raises(ContractError, match="flood only"):
        difference_text(good, good.model_copy(update={"reference": flood}))
    (tmp_path / "none.json").write_text("{}")
    for name in ("none.json", "absent.json"):
        with pytest.raises(InputError, match=name):
            read_evaluation(tmp_path / name)


def _blinded(row):
    """The row of a method that finds no water."""
    counts = row.scores.confusion
    nothing = counts.model_copy(
        update={
            "true_positive": 0,
            "false_positive": 0,
            "false_negative": counts.true_positive + counts.false_negative,
            "true_negative": counts.true_negative + counts.false_positive,
        }
    )
    return row.model_copy(update={"scores": score(nothing)})
