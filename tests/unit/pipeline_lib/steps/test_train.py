"""Training end to end on a small data set of OMBRIA's layout, and the recipes that come with the project."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml
from PIL import Image
from scipy import ndimage

from pipeline_lib.errors import InputError, ModelError
from pipeline_lib.nn.model_folder import load_model
from pipeline_lib.steps.models import compare_models, quantize_model, show_model
from pipeline_lib.steps.train import metrics_table, read_recipe, train_model
from pipeline_lib.steps.training_chips import all_bands, band_scale, contract_of
from pipeline_lib.water.interface import Observation
from pipeline_lib.water.registry import detector

RECIPES = sorted((Path(__file__).parents[4] / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_of_the_project_is_one_and_says_what_it_is(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.name == path.stem
    assert len(recipe.description) > 40
    assert path.read_text().startswith("# ")
    bands = all_bands(recipe)
    assert len(band_scale(recipe, bands).db_per_unit) == len(bands)
    assert contract_of(recipe).names == recipe.data.bands
    assert read_recipe(path, seed=5).seed == 5


def test_there_are_recipes() -> None:
    assert {"shipped_post_event", "ombria_supervised", "ombria_distillation"} <= {path.stem for path in RECIPES}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name: a\nkind: [", "cannot be read"),
        ("just words", "not a recipe"),
        ("name: a\nkind: supervised\ndescription: d\nstepz: 3\n", "stepz"),
        ("name: a\nkind: supervised\ndescription: d\nschedule: {steps: 0}\n", "schedule.steps"),
    ],
)
def test_a_bad_recipe_is_refused(text: str, complaint: str, tmp_path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=complaint):
        read_recipe(path)


def test_a_band_that_a_student_cannot_see_is_refused() -> None:
    recipe = read_recipe(RECIPES[0]).model_copy(update={"units": "db"})
    wrong = recipe.model_copy(update={"data": recipe.data.model_copy(update={"bands": ("B08",)})})
    with pytest.raises(InputError, match="B08"):
        contract_of(wrong)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 chips of OMBRIA's layout in 6 events: flood darkens the radar."""
    root = tmp_path_factory.mktemp("ombria")
    rng = np.random.default_rng(0)
    rows = ["chip,event"]
    for number in range(12):
        flood = ndimage.gaussian_filter(rng.normal(size=(256, 256)), 12) > 0.005
        for date, drop in (("BEFORE", 0), ("AFTER", 70)):
            grey = np.clip(140 + 25 * rng.normal(size=flood.shape) - drop * flood, 0, 255).astype(np.uint8)
            save(root / f"OmbriaS1/train/{date}/S1_{date.lower()}_{number:04d}.png", grey)
        save(root / f"OmbriaS1/train/MASK/S1_mask_{number:04d}.png", (flood * 255).astype(np.uint8))
        rows.append(f"{number:04d},e{number // 2}")
    (root / "events.csv").write_text("\n".join(rows) + "\n")
    return root


def save(path: Path, grey: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grey).save(path)


RECIPE = {
    "name": "tiny",
    "description": "A tiny recipe for a test.",
    "kind": "supervised",
    "target": "flood",
    "units": "grey",
    "data": {"dataset": "ombria", "bands": ["grey_before", "grey"], "folds": 3, "test_fold": 0},
    "network": {"width": 4, "depth": 3},
    "schedule": {"steps": 30, "batch": 4, "patch_px": 64, "validate_every": 15, "learning_rate": 0.01, "ema": 0.8},
    "augment": {"speckle_looks": None, "gain_db": 0.5, "incidence_db": 0},
}


@pytest.fixture(scope="module")
def trained(root: Path, tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("train") / "tiny.yaml"
    path.write_text(yaml.safe_dump(RECIPE))
    return train_model(read_recipe(path), root, path.parent / "model")


@pytest.mark.slow
def test_a_recipe_becomes_a_model_that_maps_like_it_was_measured(trained, root: Path) -> None:
    """The card's test figures come from chips; the segmenter must reach them from the images, through the data set's reader."""
    model = load_model(trained.model)
    card = model.card
    assert card.target == "flood"
    assert card.metrics["test"]["water_iou"] > 0.8
    assert card.metrics["validation"]["expected calibration error"] < 0.05
    assert card.recipe.name == "tiny"
    assert card.ranges
    assert "OMBRIA" in show_model(trained.model)
    assert "water_iou" in metrics_table(trained)
    rows = compare_models([f"{trained.model}@cpu", f"{trained.model}@openvino"], "ombria", root)
    assert rows[0]["pooled water IoU"] > 0.8
    assert rows[0]["pooled water IoU"] == pytest.approx(rows[1]["pooled water IoU"], abs=1e-3)


@pytest.mark.slow
def test_int8_of_a_trained_model_costs_little(trained, root: Path) -> None:
    exact, quick = (
        compare_models([f"{trained.model}@{backend}"], "ombria", root)[0]["pooled water IoU"]
        for backend in ("cpu", quantized(trained.model, root))
    )
    assert abs(exact - quick) < 0.01


def quantized(model: str, root: Path) -> str:
    assert quantize_model(model, root, "ombria").onnx(int8=True).is_file()
    return "onnxruntime-int8"


@pytest.mark.slow
def test_the_learned_detector_hands_over_a_water_extent(trained) -> None:
    rng = np.random.default_rng(1)
    power = rng.gamma(4, 0.01, (3, 100, 120)).astype(np.float32)
    power[2, :, :60] *= 0.05

    def scene(k: int) -> xr.Dataset:
        return xr.Dataset({"vv": (("y", "x"), power[k], {"units": "1"})}, attrs={"backscatter": "gamma0"})

    history = xr.concat([scene(0), scene(1)], dim="time")
    found = detector("learned", {"model": trained.model, "backend": "cpu"})
    extent = found.detect(Observation(scene=scene(2).chunk({"y": 50}), history=history)).compute()
    assert float((extent["water"][:, 5:55] == 1).mean()) > 0.8
    assert float((extent["water"][:, 65:] == 0).mean()) > 0.8
    assert "model tiny" in extent.attrs["notes"][0]


@pytest.mark.slow
def test_fine_tuning_starts_from_the_base_and_refuses_another_shape(trained, root: Path, tmp_path) -> None:
    path = tmp_path / "fine.yaml"
    content = {**RECIPE, "name": "fine", "kind": "fine_tune", "base_model": trained.model}
    content["schedule"] = {**RECIPE["schedule"], "steps": 4, "validate_every": 4, "learning_rate": 0.0005}
    path.write_text(json.dumps(content))
    tuned = train_model(read_recipe(path), root, tmp_path / "fine")
    assert tuned.metrics["test"]["water_iou"] > 0.8  # 4 steps from scratch would not
    path.write_text(json.dumps({**content, "network": {"width": 8, "depth": 3}}))
    with pytest.raises(ModelError, match="must be"):
        train_model(read_recipe(path), root, tmp_path / "other")
