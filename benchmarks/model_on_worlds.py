"""A model on simulated worlds that no training has seen: flood on open land, and what look-alikes and shadow add.

    python benchmarks/model_on_worlds.py [MODEL ...] [--seeds 501 502 503] [--size 512] [--teacher RECIPE WEIGHTS ...]
        [--detectors adaptive ...] [--fused] [--without-history] [--passes]

Training worlds have seeds from 100 000; these are small numbers. Passes during the flood only. Counted pixels of the
flood IoU: dry land and open flood (reference water, flooded vegetation, flooded town and unobserved pixels are left
out). False alarms: dry look-alikes, and dry layover and shadow, called water, as a share of the open flood's area.
``--teacher`` scores the SAR + optical teachers (mean of their log-odds) on the same pixels, apart where the optical
image is clear and where it is hidden, with the points of IoU that are lost to each kind of error (edge: within 2 pixels
of the outline; inside; look-alikes; elsewhere). ``--detectors`` scores classical detectors, with the reference passes
and the exact height above drainage; ``--fused`` the default detector with each MODEL in place of its own;
``--without-history`` keeps the reference passes from both, as for a place that has none.
``--passes`` shows every pass.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from scipy.ndimage import binary_dilation, binary_erosion

from pipeline_lib.model import WATER
from pipeline_lib.nn.checkpoint import load_weights, read_tensors
from pipeline_lib.nn.learning import new_network
from pipeline_lib.nn.predict import predict_odds
from pipeline_lib.nn.segmenter import Segmenter
from pipeline_lib.options.world import WorldOptions
from pipeline_lib.steps.train import read_recipe
from pipeline_lib.steps.training_chips import contract_of
from pipeline_lib.steps.world_chips import learning_passes, past_of, radar_dataset, world_image
from pipeline_lib.water import Observation, detector
from pipeline_lib.world.inundation import Truth
from pipeline_lib.world.relief import PIXEL_M
from pipeline_lib.world.simulate import simulate


def iou(predicted, truth, where):
    union = ((predicted | truth) & where).sum()
    return (predicted & truth & where).sum() / union if union else float("nan")


def as_scene(scene):
    return calibrated([scene]).isel(time=0).assign_attrs(backscatter="gamma0")


def calibrated(scenes):
    dataset = radar_dataset(scenes)
    for name in dataset:
        dataset[name].attrs["units"] = "1"
    return dataset


def teachers_of(recipe_path, weights):
    recipe = read_recipe(Path(recipe_path))
    networks = []
    for path in weights:
        network = new_network(recipe.distill.teacher, len(recipe.data.teacher_bands), 0)
        load_weights(network, read_tensors(Path(path)).tensors, path)
        networks.append(network.eval())
    return recipe, networks


def observation_of(world, scene, past):
    """What `overbank map` would hand a detector."""
    relief = world.land.relief
    rows, columns = np.gradient(relief.elevation_m, PIXEL_M)
    terrain = {
        "elevation_m": relief.elevation_m,
        "hand_m": relief.hand_m,
        "slope_deg": np.degrees(np.arctan(np.hypot(rows, columns))).astype(np.float32),
    }
    return Observation(
        scene=as_scene(scene),
        history=calibrated(past),
        terrain=xr.Dataset({name: (("y", "x"), array) for name, array in terrain.items()}),
    )


def judged(world, scene, segmenters, peers, teachers, *, without_history=False):
    """Per pass: predicted maps, and the masks they are judged on."""
    past, truth = past_of(world, scene), scene.inundation.truth
    found = {}
    for name, segmenter in segmenters.items():
        card = segmenter.model.card
        history = radar_dataset(past) if card.inputs.needs_history else None
        probability = segmenter.likelihood(as_scene(scene), history).to_numpy()
        found[name] = np.nan_to_num(probability) >= card.threshold
    observation = observation_of(world, scene, past)
    if without_history:
        observation = replace(observation, history=None)
    for name, peer in peers.items():
        found[name] = peer.detect(observation)["water"].to_numpy() == WATER
    found["vh below -22 dB"] = np.nan_to_num(scene.vh, nan=1.0) < 10**-2.2
    masks = {
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
        image, _ = world_image(scene, past, world.optical, contract_of(recipe), bands)
        odds = predict_odds(networks, image[None], np.arange(len(bands)), np.array([0]))[0]
        found["teacher"] = np.nan_to_num(odds, nan=-1) > 0
        masks["clear"] = np.isfinite(image[len(recipe.data.bands) :]).all(axis=0)
        flood = masks["flood"]
        masks["edge"] = binary_dilation(flood, iterations=2) & ~binary_erosion(flood, iterations=2, border_value=1)
    return found, masks


def lost(found, masks, counted):
    """Points of IoU that each kind of error costs: its pixels as a share of the union."""
    flood, edge, union = masks["flood"], masks["edge"], ((found | masks["flood"]) & counted).sum()
    missed, false, alike = flood & ~found & counted, found & ~flood & counted, masks["look_alike"]
    kinds = {
        "missed at edges": missed & edge,
        "missed inside": missed & ~edge,
        "look-alikes": false & alike,
        "false at edges": false & ~alike & edge,
        "false elsewhere": false & ~alike & ~edge,
    }
    return ", ".join(f"{name} {100 * where.sum() / max(union, 1):.1f}" for name, where in kinds.items())


def described(found, masks):
    """Figures of one map as a sentence."""
    area, plants = masks["flood"].sum(), masks["vegetation"]
    line = f"open-land flood IoU {iou(found, masks['flood'], masks['open']):.4f}"
    for kind in ("look_alike", "geometry"):
        false = (found & masks[kind] & masks["dry"]).sum() / max(area, 1)
        line += f"; {kind} false alarms {false:.4f} of the flood area"
    line += f"; flooded vegetation found {(found & plants).sum() / max(plants.sum(), 1):.3f}"
    if "clear" in masks:
        for sky, where in (("clear", masks["clear"]), ("hidden", ~masks["clear"])):
            counted = masks["open"] & where
            line += f"; {sky} sky IoU {iou(found, masks['flood'], counted):.4f} (lost: {lost(found, masks, counted)})"
    return line


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=["shipped_post_event"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[501, 502, 503])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--teacher", nargs="+", help="recipe, then weights of its teachers")
    parser.add_argument("--detectors", nargs="+", default=[])
    parser.add_argument("--fused", action="store_true", help="the default detector with each model too")
    parser.add_argument("--without-history", action="store_true", help="detectors see no reference passes")
    parser.add_argument("--passes", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    segmenters = {name: Segmenter.load(name, tile=512) for name in options.models}
    peers = {name: detector(name) for name in options.detectors}
    if options.fused:
        peers |= {f"fused with {name}": detector("fused", {"model": name}) for name in options.models}
    teachers = teachers_of(options.teacher[0], options.teacher[1:]) if options.teacher else None
    records = []
    for seed in options.seeds:
        world = simulate(WorldOptions.randomised(seed, size=options.size), with_optical=bool(teachers))
        for _, scene in learning_passes(world)[1:]:
            seen = judged(world, scene, segmenters, peers, teachers, without_history=options.without_history)
            records.append(seen)
            if options.passes:
                for name, found in records[-1][0].items():
                    print(f"  {seed} {scene.radar_pass.pass_id} {name}: {described(found, records[-1][1])}", flush=True)
    print(f"{len(records)} passes of {len(options.seeds)} worlds; {[s.backend for s in segmenters.values()]}")
    masks = {name: np.concatenate([record[1][name].ravel() for record in records]) for name in records[0][1]}
    for name in records[0][0]:
        found = np.concatenate([record[0][name].ravel() for record in records])
        print(f"{name}: {described(found, masks)}")


if __name__ == "__main__":
    main()
