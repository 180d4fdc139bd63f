"""How hard the simulated world is: Otsu and a pixel-wise logistic model against the truth, over seeds.

    python benchmarks/world_difficulty.py [SIZE] [SEED ...]

Prints a table: one row for each seed and flood pass. "Otsu" is one threshold of VH over the whole scene, scored on all
water; "logistic" is a quadratic logistic model of smoothed VV and VH with their means before the flood, trained on half
of the pixels and scored on the other half of the open land (no forest, reed, town, layover, shadow or reference water).
"""

import sys
import time

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.filters import threshold_otsu
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from pipeline_lib.options.world import WorldOptions
from pipeline_lib.world.inundation import Truth
from pipeline_lib.world.land_cover import LandCover
from pipeline_lib.world.simulate import simulate


def iou(found, true):
    return (found & true).sum() / max((found | true).sum(), 1)


def smoothed(power):
    return 10 * np.log10(gaussian_filter(np.nan_to_num(power, nan=1.0), 1.5))


def open_land_iou(world, scene):
    before = [
        one
        for one in world.radar
        if one.radar_pass.start < world.options.flood_start and one.radar_pass.direction == scene.radar_pass.direction
    ]
    layers = [smoothed(getattr(scene, name)) for name in ("vv", "vh")]
    layers += [smoothed(np.mean([getattr(one, name) for one in before], axis=0)) for name in ("vv", "vh")]
    truth = scene.inundation.truth
    hidden = np.isin(world.land.cover.classes, (LandCover.FOREST, LandCover.WETLAND, LandCover.TOWN))
    counted = scene.observed & ~hidden & (scene.geometry.layover_shadow == 0) & (truth != Truth.REFERENCE_WATER)
    features, true = np.stack([layer[counted] for layer in layers], axis=-1), truth[counted] == Truth.OPEN_FLOOD
    rng = np.random.default_rng(0)
    half = rng.random(true.size) < 0.5
    model = make_pipeline(StandardScaler(), PolynomialFeatures(2), LogisticRegression(max_iter=500))
    taught = rng.choice(np.flatnonzero(half), min(40_000, half.sum()), replace=False)
    model.fit(features[taught], true[taught])
    return iou(model.predict_proba(features[~half])[:, 1] > 0.4, true[~half])


def main(size, seeds):
    print("| seed | pass | open flood, % | vegetation, % | town, % | Otsu VH, all water | logistic, open land |")
    print("|---|---|---|---|---|---|---|")
    for seed in seeds:
        start = time.process_time()
        world = simulate(WorldOptions(seed=seed, size=size), with_optical=False)
        spent = time.process_time() - start
        for scene in world.radar[-4:]:
            truth, decibels = scene.inundation.truth, 10 * np.log10(scene.vh)
            shares = [100 * (truth[scene.observed] == code).mean() for code in (2, 3, 4)]
            otsu = iou(
                (decibels < threshold_otsu(decibels[scene.observed]))[scene.observed], (truth > 0)[scene.observed]
            )
            print(
                f"| {seed} | {scene.radar_pass.pass_id} | {shares[0]:.1f} | {shares[1]:.1f} | {shares[2]:.1f} "
                f"| {otsu:.2f} | {open_land_iou(world, scene):.2f} |"
            )
        print(f"<!-- seed {seed}: {spent:.1f} s of processor time without optical scenes -->")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 640, [int(seed) for seed in sys.argv[2:]] or [1, 2, 3, 7])
