"""A model on simulated worlds that no training has seen: flood on open land, and what look-alikes and shadow add.

    python benchmarks/model_on_worlds.py [MODEL] [--seeds 501 502 503] [--size 512] [--teacher RECIPE WEIGHTS ...]

Training worlds have seeds from 100 000; these are small numbers. Passes during the flood only. Counted pixels of the
flood IoU: dry land and open flood (reference water, flooded vegetation, flooded town and unobserved pixels are left
out). False alarms: dry look-alikes, and dry layover and shadow, called water, as a share of the open flood's area.
``--teacher`` scores the SAR + optical teachers (mean of their log-odds) on the same pixels, apart where the optical
image is clear and where it is hidden.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from pipeline_lib.nn.checkpoint import load_weights, read_tensors
from pipeline_lib.nn.learning import new_network
from pipeline_lib.nn.predict import predict_odds
from pipeline_lib.nn.segmenter import Segmenter
from pipeline_lib.options.world import WorldOptions
from pipeline_lib.steps.train import read_recipe
from pipeline_lib.steps.training_chips import contract_of, learning_passes, radar_dataset, world_image
from pipeline_lib.world.inundation import Truth
from pipeline_lib.world.simulate import simulate


def iou(predicted, truth, where):
    union = ((predicted | truth) & where).sum()
    return (predicted & truth & where).sum() / union if union else float("nan")


def history_of(world, scene):
    past = [s for s in world.radar if s.radar_pass.direction == scene.radar_pass.direction]
    return radar_dataset([s for s in past if s.radar_pass.start < world.options.flood_start])


def as_scene(scene):
    dataset = radar_dataset([scene]).isel(time=0)
    return dataset.map(lambda array: array.assign_attrs(units="1")).assign_attrs(backscatter="gamma0")


def teachers_of(recipe_path, weights):
    recipe = read_recipe(Path(recipe_path))
    networks = []
    for path in weights:
        network = new_network(recipe.distill.teacher, len(recipe.data.teacher_bands), 0)
        load_weights(network, read_tensors(Path(path)).tensors, path)
        networks.append(network.eval())
    return recipe, networks


def judged(world, scene, segmenter, teachers):
    """Per pass: predicted maps and the masks they are judged on."""
    history = history_of(world, scene) if segmenter.model.card.inputs.needs_history else None
    probability = segmenter.likelihood(as_scene(scene), history).to_numpy()
    truth = scene.inundation.truth
    record = {
        "student": np.nan_to_num(probability) >= segmenter.model.card.threshold,
        "vh below -22 dB": np.nan_to_num(scene.vh, nan=1.0) < 10**-2.2,
        "flood": truth == Truth.OPEN_FLOOD,
        "vegetation": truth == Truth.FLOODED_VEGETATION,
        "open": np.isin(truth, (Truth.DRY, Truth.OPEN_FLOOD)) & scene.observed,
        "dry": (truth == Truth.DRY) & scene.observed,
        "look_alike": scene.look_alike > 0,
        "geometry": scene.geometry.layover_shadow > 0,
    }
    if teachers:
        recipe, networks = teachers
        bands = recipe.data.teacher_bands
        image, _ = world_image(world, scene, contract_of(recipe), bands)
        odds = predict_odds(networks, image[None], np.arange(len(bands)), np.array([0]))[0]
        record["teacher"] = np.nan_to_num(odds, nan=-1) > 0
        record["clear"] = np.isfinite(image[len(recipe.data.bands) :]).all(axis=0)
    return record


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="shipped_post_event")
    parser.add_argument("--seeds", type=int, nargs="+", default=[501, 502, 503])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--teacher", nargs="+", help="recipe, then weights of its teachers")
    options = parser.parse_args()
    torch.set_num_threads(1)
    segmenter = Segmenter.load(options.model, tile=512)
    teachers = teachers_of(options.teacher[0], options.teacher[1:]) if options.teacher else None
    records = []
    for seed in options.seeds:
        world = simulate(WorldOptions.randomised(seed, size=options.size), with_optical=bool(teachers))
        records += [judged(world, scene, segmenter, teachers) for _, scene in learning_passes(world)[1:]]
    pooled = {name: np.concatenate([record[name].ravel() for record in records]) for name in records[0]}
    print(f"{segmenter.model.card.name} on {segmenter.backend}: {len(records)} passes of {len(options.seeds)} worlds")
    area = pooled["flood"].sum()
    for name in [n for n in ("student", "teacher", "vh below -22 dB") if n in pooled]:
        found = pooled[name]
        line = f"{name}: open-land flood IoU {iou(found, pooled['flood'], pooled['open']):.4f}"
        for kind in ("look_alike", "geometry"):
            false = (found & pooled[kind] & pooled["dry"]).sum() / area
            line += f"; {kind} false alarms {false:.4f} of the flood area"
        plants = pooled["vegetation"]
        line += f"; flooded vegetation found {(found & plants).sum() / max(plants.sum(), 1):.3f}"
        if "clear" in pooled:
            for sky, mask in (("clear", pooled["clear"]), ("hidden", ~pooled["clear"])):
                line += f"; {sky} sky IoU {iou(found, pooled['flood'], pooled['open'] & mask):.4f}"
        print(line)


if __name__ == "__main__":
    main()
