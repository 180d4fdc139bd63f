"""Where the student of one pass stays behind its SAR + optical teachers, and whether the radar holds it at all.

    python benchmarks/teacher_gap.py TEACHER0 TEACHER1 [--seeds 501 502 503] [--recipe recipes/shipped_post_event.yaml]

Open land under clear sky, flood passes, as in `model_on_worlds.py`. Compared with the teachers: the network
``shipped_post_event``, the fused and the adaptive detector **without history** (what `overbank map` does where a pass
has no references), bounds that use the truth (best cut of all passes and of each), cuts that do not (hysteresis, the
scene's own prior by expectation maximisation), and boosted trees on means of VV and VH that are taught with the truth
of every other block of 64 pixels of the same pass: a map of what the radar alone holds.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from model_on_worlds import as_scene, observation_of, teachers_of
from scipy.ndimage import label, uniform_filter
from sklearn.ensemble import HistGradientBoostingClassifier

from pipeline_lib.model import WATER
from pipeline_lib.nn.predict import predict_odds
from pipeline_lib.nn.segmenter import Segmenter
from pipeline_lib.options.world import WorldOptions
from pipeline_lib.steps.training_chips import contract_of
from pipeline_lib.steps.world_chips import learning_passes, past_of, world_image
from pipeline_lib.water import detector
from pipeline_lib.world.inundation import Truth
from pipeline_lib.world.land_cover import LandCover
from pipeline_lib.world.simulate import simulate

CUTS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
BLOCK_PX = 64
PRIOR = 0.15
"""Share of water in the student's calibration chips, about."""


def looked_at(seed, teachers, segmenter, peers):
    """Every flood pass of a world: its maps and what is counted."""
    recipe, networks = teachers
    bands = recipe.data.teacher_bands
    world = simulate(WorldOptions.randomised(seed, size=512), with_optical=True)
    for _, scene in learning_passes(world)[1:]:
        past = past_of(world, scene)
        alone = replace(observation_of(world, scene, past), history=None)
        image, _ = world_image(scene, past, world.optical, contract_of(recipe), bands)
        odds = predict_odds(networks, image[None], np.arange(len(bands)), np.array([0]))[0]
        probability = np.nan_to_num(segmenter.likelihood(as_scene(scene), None).to_numpy())
        found = {name: peer.detect(alone)["water"].to_numpy() == WATER for name, peer in peers.items()}
        found |= {"teacher": np.nan_to_num(odds, nan=-1) > 0, "student": probability >= segmenter.model.card.threshold}
        truth = scene.inundation.truth
        yield {
            "name": f"{seed} {scene.radar_pass.pass_id}{' windy' if scene.radar_pass.windy else ''}",
            "seed": seed,
            "windy": scene.radar_pass.windy,
            "found": found,
            "probability": probability,
            "flood": truth == Truth.OPEN_FLOOD,
            "open": np.isin(truth, (Truth.DRY, Truth.OPEN_FLOOD)) & scene.observed,
            "clear": np.isfinite(image[len(recipe.data.bands) :]).all(axis=0),
            "db": [10 * np.log10(np.maximum(np.nan_to_num(band, nan=0.05), 1e-5)) for band in (scene.vv, scene.vh)],
            "cover": world.land.cover.classes,
        }


def iou(records, mapped, where=lambda r: r["open"] & r["clear"]):
    both = either = 0
    for record in records:
        counted = where(record)
        mine, truth = mapped(record) & counted, record["flood"] & counted
        both, either = both + (mine & truth).sum(), either + (mine | truth).sum()
    return both / max(either, 1)


def named(name):
    return lambda record: record["found"][name]


def above(cut):
    return lambda record: record["probability"] >= cut


def grown(sure, likely):
    def mapped(record):
        bodies, _ = label(record["probability"] >= likely)
        kept = np.unique(bodies[record["probability"] >= sure])
        return np.isin(bodies, kept[kept > 0])

    return mapped


def own_prior(record):
    """Probability under the scene's own share of water, found by expectation maximisation."""
    p = np.clip(record["probability"].astype(float), 1e-5, 1 - 1e-5)
    share = PRIOR
    for _ in range(50):
        wet, dry = p * share / PRIOR, (1 - p) * (1 - share) / (1 - PRIOR)
        share = (wet / (wet + dry))[record["open"]].mean()
    return wet / (wet + dry) >= 0.5


def radar_holds(record):
    """Trees taught with the truth of every other block of the same pass map the blocks between."""
    features = np.stack([uniform_filter(band, size) for band in record["db"] for size in (1, 5, 11, 21)], axis=-1)
    rows, columns = np.indices(record["flood"].shape) // BLOCK_PX
    even, out = (rows + columns) % 2 == 0, np.zeros(record["flood"].shape, bool)
    for taught in (even, ~even):
        known = np.flatnonzero((taught & record["open"] & record["clear"]).ravel())
        known = np.random.default_rng(0).permutation(known)[:8000]
        trees = HistGradientBoostingClassifier(max_iter=60, random_state=0)
        trees.fit(features.reshape(-1, 8)[known], record["flood"].ravel()[known])
        out[~taught] = trees.predict(features[~taught])
    return out


def report(records):
    skies = {
        "all": lambda r: r["open"],
        "clear": lambda r: r["open"] & r["clear"],
        "hidden": lambda r: r["open"] & ~r["clear"],
    }
    for name in records[0]["found"]:
        print(name, ", ".join(f"{sky} {iou(records, named(name), where):.3f}" for sky, where in skies.items()))
    maps = {"student": named("student"), "teacher": named("teacher"), "radar holds": radar_holds}
    parts = {record["name"]: [record] for record in records}
    parts |= {f"world {seed}": [r for r in records if r["seed"] == seed] for seed in {r["seed"] for r in records}}
    parts |= {
        "calm": [r for r in records if not r["windy"]],
        "windy": [r for r in records if r["windy"]],
        "all": records,
    }
    for name, some in parts.items():
        best = max(iou(some, above(cut)) for cut in CUTS)
        scores = ", ".join(f"{kind} {iou(some, mapped):.3f}" for kind, mapped in maps.items())
        print(f"{name}: {scores}, best cut {best:.3f}")
    print(f"grown from 0.5 to 0.2: {iou(records, grown(0.5, 0.2)):.3f}; own prior: {iou(records, own_prior):.3f}")
    union = sum(((r["found"]["teacher"] | r["flood"]) & r["open"] & r["clear"]).sum() for r in records)
    for code in np.unique(records[0]["cover"]):
        more = [0.0, 0.0]
        for record in records:
            here = record["open"] & record["clear"] & (record["cover"] == code)
            for sign, name in ((1, "student"), (-1, "teacher")):
                wrong = record["found"][name] ^ record["flood"]
                more[0] += sign * (wrong & record["flood"] & here).sum()
                more[1] += sign * (wrong & ~record["flood"] & here).sum()
        print(f"{LandCover(code).name}: points missed {100 * more[0] / union:+.1f}, false {100 * more[1] / union:+.1f}")
    for record in records:
        wet, dry = (record["open"] & record["clear"] & side for side in (record["flood"], ~record["flood"]))
        medians = ", ".join(f"{np.median(b[wet]):.1f} on {np.median(b[dry]):.1f}" for b in record["db"])
        print(f"{record['name']}: VV, VH of open flood on dry land, dB: {medians}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("teachers", nargs="+", help="weights of the recipe's teachers")
    parser.add_argument("--seeds", type=int, nargs="+", default=[501, 502, 503])
    parser.add_argument(
        "--recipe", type=Path, default=Path(__file__).parents[1] / "recipes" / "shipped_post_event.yaml"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    teachers = teachers_of(options.recipe, options.teachers)
    segmenter = Segmenter.load("shipped_post_event", tile=512)
    peers = {name: detector(name) for name in ("fused", "adaptive")}
    report([one for seed in options.seeds for one in looked_at(seed, teachers, segmenter, peers)])


if __name__ == "__main__":
    main()
