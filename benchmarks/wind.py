"""What wind does to the default classical detector: flood IoU on open land, calm and windy passes apart.

    python benchmarks/wind.py [--worlds development|validation|NAME ...] [--size 512] [--out FILE]

A world's name is ``d<seed>`` (default options) or ``r<seed>`` (`WorldOptions.randomised`). Choices were made on
`DEVELOPMENT`; `VALIDATION` has been looked at to score only. Each of a world's flood passes is mapped twice, with
everything that is known of the place (dry passes of the same orbit, height above drainage, slope, occurrence) and from
the scene alone, with rough water as a class and without. Printed is the table of docs/explanation/detectors.md.

Judged are pixels of open land: no forest, town or reed, no layover or shadow, no water before the flood.
"""

import argparse
from pathlib import Path

import numpy as np
import xarray as xr

from pipeline_lib.model import Confusion
from pipeline_lib.options.world import WorldOptions
from pipeline_lib.terrain import terrain_of
from pipeline_lib.water import Observation, detector
from pipeline_lib.world.ancillary_item import surface_model
from pipeline_lib.world.inundation import Truth
from pipeline_lib.world.land_cover import LandCover
from pipeline_lib.world.simulate import make_land, radar_scenes

DEVELOPMENT = ("d7", "d1", "d2", *(f"r{seed}" for seed in range(101, 109)))
VALIDATION = ("d21", "d22", "d23", *(f"r{seed}" for seed in range(311, 319)))
SETS = {"development": DEVELOPMENT, "validation": VALIDATION}
KINDS = {"one kind of water": {"rough_share": 0}, "rough water too": {}}
CLOSED = (LandCover.FOREST, LandCover.TOWN, LandCover.WETLAND)


def options_of(name: str, size: int) -> WorldOptions:
    """``d7`` or ``r101`` to the world's options."""
    seed = int(name[1:])
    return WorldOptions(seed=seed, size=size) if name[0] == "d" else WorldOptions.randomised(seed, size=size)


def scene_of(power: np.ndarray) -> xr.Dataset:
    layers = {name: (("y", "x"), plane, {"units": "1"}) for name, plane in zip(("vv", "vh"), power, strict=True)}
    return xr.Dataset(layers, attrs={"backscatter": "gamma0"})


def passes_of(name: str, size: int):
    """Every flood pass of a world: whether it is windy, what a detector may know, the truth, what is judged."""
    options = options_of(name, size)
    land = make_land(options)
    surface = surface_model(land, options.seed).astype(np.float32)
    rows, columns = (np.arange(length) + 0.5 for length in surface.shape)
    elevation = xr.DataArray(surface, {"y": -10.0 * rows, "x": 10.0 * columns}, ("y", "x"), attrs={"units": "m"})
    terrain = terrain_of(elevation).compute()
    place = xr.Dataset({one: (("y", "x"), terrain[one].values) for one in ("hand_m", "slope_deg")})
    occurrence = xr.DataArray((100 * land.cover.occurrence).astype(np.float32), dims=("y", "x"))
    hidden = np.isin(land.cover.classes, CLOSED)
    dry: dict[int, list[xr.Dataset]] = {}
    for scene in radar_scenes(options, land):
        seen = scene_of(np.stack([scene.vv, scene.vh]).astype(np.float32))
        orbit = scene.radar_pass.relative_orbit
        if scene.radar_pass.start < options.flood_start:
            dry.setdefault(orbit, []).append(seen)
            continue
        history = xr.concat(dry[orbit], dim="time")
        everything = Observation(scene=seen, history=history, terrain=place, water_occurrence=occurrence)
        truth = scene.inundation.truth
        judged = ~hidden & np.isin(truth, (0, Truth.OPEN_FLOOD)) & (scene.geometry.layover_shadow == 0)
        yield bool(scene.radar_pass.windy), everything, truth == Truth.OPEN_FLOOD, judged


def counted(observation: Observation, options: dict, flooded: np.ndarray, judged: np.ndarray) -> Confusion:
    from pipeline_lib.evaluate import confusion

    found = detector("adaptive", options).detect(observation)["water"].values
    return confusion(found, flooded, valid=judged)


def iou(counts: list[Confusion]) -> float:
    total = sum(counts[1:], start=counts[0])
    return total.true_positive / max(total.true_positive + total.false_positive + total.false_negative, 1)


def measure(worlds: tuple[str, ...], size: int) -> dict[str, list[tuple[bool, Confusion, Confusion]]]:
    """For each kind of water: windy or not, counts with everything known, counts from the scene alone."""
    rows: dict[str, list[tuple[bool, Confusion, Confusion]]] = {kind: [] for kind in KINDS}
    for name in worlds:
        for windy, everything, flooded, judged in passes_of(name, size):
            alone = Observation(scene=everything.scene)
            for kind, options in KINDS.items():
                pair = (counted(one, options, flooded, judged) for one in (everything, alone))
                rows[kind].append((windy, *pair))
    return rows


def table(title: str, rows: dict[str, list[tuple[bool, Confusion, Confusion]]]) -> list[str]:
    """Rows of the page's table."""
    lines = []
    for kind, passes in rows.items():
        windy = [one for one in passes if one[0]]
        calm = [one for one in passes if not one[0]]
        figures = [
            iou([one[1] for one in passes]),
            iou([one[1] for one in calm]) if calm else float("nan"),
            iou([one[1] for one in windy]) if windy else float("nan"),
            min(iou([one[1]]) for one in passes),
            iou([one[2] for one in passes]),
            iou([one[2] for one in windy]) if windy else float("nan"),
        ]
        lines.append(f"| {title}, {kind} | " + " | ".join(f"{figure:.3f}" for figure in figures) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", nargs="+", default=["development", "validation"])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--out", type=Path, help="write the table here as well")
    given = parser.parse_args()
    sets = {name: SETS[name] for name in given.worlds if name in SETS}
    named = tuple(name for name in given.worlds if name not in SETS)
    if named:
        sets["named"] = named
    lines = [
        f"| worlds of {given.size} x {given.size} px | all | calm | windy | lowest pass | scene alone: all | windy |",
        "|---|---|---|---|---|---|---|",
    ]
    for title, worlds in sets.items():
        lines += table(title, measure(worlds, given.size))
    print("\n".join(lines), flush=True)
    if given.out:
        given.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
