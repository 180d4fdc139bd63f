"""Is the classical likelihood what it says, on real labels? ECE and Brier score, and whether a monotone map would help.

    python benchmarks/calibration.py [--real DIR] [--out DIR] [--detector adaptive]

For each labelled set but Sen1Floods11 (whose chips are for scores alone) and for simulated worlds: ECE and Brier score
with 95 % intervals (bootstrap over events, then chips), as stated and after p -> sigmoid(scale * logit(p) + bias), with
scale and bias fitted on the **other** real sets. 8 bit sets enter by their readers' nominal stretch (the
readers' `STRETCH`), so that what is judged is detector and mapping together. Up to `PIXELS`
pixels a chip are drawn with `SEED`; chips and windows are those of benchmarks/report.py.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.report import SEED, SETS, chips_of, default_real
from pipeline_lib.nn.calibration import fit_calibration
from pipeline_lib.options.evaluate import EvaluateOptions
from pipeline_lib.options.world import WorldOptions
from pipeline_lib.steps.subject import subject_of
from pipeline_lib.world.build import build_world

PIXELS, BINS, RESAMPLES = 20_000, 15, 1000
WORLD_SEEDS = (101, 104, 107)


def answers(entry, limit, detector):
    """(event, logit, label) of drawn pixels of each chip."""
    chips = chips_of(entry, limit)
    options = EvaluateOptions(dataset=entry[0], root=entry[1], split=entry[2], detector=detector)
    _, answer, _ = subject_of(options, chips)
    found = []
    for number, chip in enumerate(chips):
        chance, truth = answer(chip).likelihood, chip.truth()
        usable = np.flatnonzero(np.isfinite(chance) & (truth <= 1))
        if not usable.size:
            continue
        rng = np.random.default_rng([SEED, number])
        drawn = rng.choice(usable, min(PIXELS, usable.size), replace=False)
        p = np.clip(chance.ravel()[drawn].astype(np.float64), 1e-6, 1 - 1e-6)
        found.append((chip.event, np.log(p / (1 - p)), truth.ravel()[drawn]))
    return found


def sums(logit, truth):
    """Per bin pixels, likelihood and water; last the squared error: shape (3 * BINS + 1,)."""
    p = 1 / (1 + np.exp(-logit))
    index = np.minimum((p * BINS).astype(int), BINS - 1)
    parts = [np.bincount(index, weights=each, minlength=BINS) for each in (np.ones_like(p), p, truth)]
    return np.concatenate([*parts, [((p - truth) ** 2).sum()]])


def scores(table):
    pixels, chance, water = table[:BINS], table[BINS : 2 * BINS], table[2 * BINS : 3 * BINS]
    return np.abs(chance - water).sum() / pixels.sum(), table[-1] / pixels.sum()


def judged(found, scale=1.0, bias=0.0):
    """ECE and Brier score with their 95 % intervals."""
    events = {}
    for event, logit, truth in found:
        events.setdefault(event, []).append(sums(scale * logit + bias, truth))
    blocks = [np.array(block) for block in events.values()]
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(RESAMPLES):
        chosen = [blocks[index] for index in rng.integers(0, len(blocks), len(blocks))]
        draws.append(scores(sum(block[rng.integers(0, len(block), len(block))].sum(axis=0) for block in chosen)))
    point = scores(sum(block.sum(axis=0) for block in blocks))
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    return {
        name: [round(float(value), 4) for value in (point[place], low[place], high[place])]
        for place, name in enumerate(("ece", "brier"))
    }


def fitted(parts):
    logit, truth = (np.concatenate([part[place] for part in parts]) for place in (1, 2))
    found = fit_calibration(logit.astype(np.float32), truth.astype(np.uint8))
    return found.scale, found.bias


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, default=default_real())
    parser.add_argument("--out", type=Path, default=Path("out") / "calibration")
    parser.add_argument("--limit", type=int, default=12)
    parser.add_argument("--detector", default="adaptive")
    given = parser.parse_args()
    real = {
        name: answers((name, given.real / folder, split), given.limit, given.detector)
        for name, (folder, split) in SETS.items()
        if name != "sen1floods11" and (given.real / folder).is_dir()
    }
    for seed in WORLD_SEEDS:
        if not (given.out / "worlds" / str(seed) / "truth.json").is_file():
            build_world(given.out / "worlds" / str(seed), WorldOptions.randomised(seed, size=512))
    rows = {"worlds": {"stated": judged(answers(("world", given.out / "worlds", None), 0, given.detector))}}
    for name, found in real.items():
        others = [part for other, parts in real.items() if other != name for part in parts]
        scale, bias = fitted(others)
        share = float(np.mean(np.concatenate([part[2] for part in found])))
        rows[name] = {
            "chips": len(found),
            "events": len({part[0] for part in found}),
            "water_share": round(share, 4),
            "stated": judged(found),
            "mapped": judged(found, scale, bias) | {"scale": round(scale, 3), "bias": round(bias, 3)},
            "own_map": [round(float(value), 3) for value in fitted(found)],
        }
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "calibration.json").write_text(json.dumps(rows, indent=1))
    for name, row in rows.items():
        print(name, json.dumps(row))


if __name__ == "__main__":
    main()
