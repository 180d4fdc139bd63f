"""The event product against exact truth on simulated worlds: areas, ranges, classes, durations, what is excluded.

    python benchmarks/event_worlds.py [--seeds 601 602 ...] [--size 512] [--keep FOLDER] [--set urban_vv_db=-3 ...]

Each world is mapped with the default detector, its reference passes, long-term occurrence with noise, and heights above
drainage and slopes of the archive's elevation model (a surface of 30 m with part of the trees and houses and its own
error, not the ground that the flood knows), then derived and joined as `overbank map` does. Truth of an area: pixels
truly flooded (of any kind) where the map answers. Truth of a duration: time under flood between the first and the last
pass, in steps of three hours. ``--keep`` keeps what comes before the derive step, so that its options can be compared
in seconds.
"""

import argparse
import json
import pickle
from datetime import timedelta
from pathlib import Path

import numpy as np
import xarray as xr

from benchmarks.model_on_worlds import observation_of
from pipeline_lib.flood import derive_flood, mosaic, reference_water
from pipeline_lib.flood.archive import archive_statistics
from pipeline_lib.options.derive import DeriveOptions
from pipeline_lib.options.world import WorldOptions
from pipeline_lib.publish.figures import event_figures, pass_series
from pipeline_lib.steps.world_chips import learning_passes, past_of
from pipeline_lib.terrain import terrain_of
from pipeline_lib.water import detector
from pipeline_lib.world.ancillary_item import surface_model
from pipeline_lib.world.inundation import Truth, inundate
from pipeline_lib.world.land_cover import LandCover
from pipeline_lib.world.simulate import simulate, world_geobox

FLOODED = (Truth.OPEN_FLOOD, Truth.FLOODED_VEGETATION, Truth.FLOODED_TOWN)


def prepared(seed, size):
    """Everything before the derive step, and the truth, of each flood pass of a world."""
    world = simulate(WorldOptions.randomised(seed, size=size), with_optical=False)
    box = world_geobox(world.options)
    coords = {"y": box.coords["y"].values, "x": box.coords["x"].values}
    cover = world.land.cover
    rng = np.random.default_rng([seed, 9])
    occurrence = np.clip(100 * cover.occurrence + rng.normal(0, 3, cover.occurrence.shape), 0, 100)
    occurrence = np.where(cover.occurrence > 0, occurrence, 0).astype(np.float32)
    hidden = np.isin(cover.classes, (LandCover.FOREST, LandCover.WETLAND, LandCover.TOWN))
    for geometry in world.land.geometry.values():
        hidden = hidden | (geometry.layover_shadow > 0)
    place = lambda data: data.assign_coords(coords).rio.write_crs(str(box.crs))  # noqa: E731
    elevation = xr.DataArray(surface_model(world.land, world.options.seed), dims=("y", "x"))
    terrain = terrain_of(place(elevation)).compute()
    passes = []
    for _, scene in learning_passes(world)[1:]:
        seen = observation_of(world, scene, past_of(world, scene))
        water = detector("adaptive").detect(seen).compute()
        statistics = archive_statistics(seen.history, DeriveOptions().reference).compute()
        passes.append(
            {
                "when": scene.radar_pass.start,
                "water": place(water),
                "scene": place(seen.scene.compute()),
                "terrain": terrain,
                "archive": place(statistics),
                "truth": scene.inundation.truth,
            }
        )
    layer = xr.DataArray(occurrence, dims=("y", "x"), coords=coords)
    hours = hours_under_flood(world, passes[0]["when"], passes[-1]["when"])
    return {"passes": passes, "occurrence": layer, "open_land": ~hidden, "cover": cover.classes, "hours": hours}


def hours_under_flood(world, start, end, step=timedelta(hours=3)):
    """True hours that each pixel was flooded in between."""
    hours, when = np.zeros(world.land.cover.classes.shape, np.float32), start
    while when < end:
        length = min(step, end - when)
        truth = inundate(world.options, world.land.relief, world.land.cover, when + length / 2).truth
        hours += np.isin(truth, FLOODED) * (length.total_seconds() / 3600)
        when += length
    return hours


def durations(world, event, union):
    """Mapped and true days, and the days either side that the product allows itself, where flood was seen rightly."""
    judged_at = union & (event["flood_extent"].values == 1) & world["open_land"]
    days = [event[name].values[judged_at] / 24 for name in ("duration", "duration_uncertainty")]
    return np.stack([days[0], world["hours"][judged_at] / 24, days[1]])


def derived(world, options):
    """FloodMaps of a world's passes."""
    floods = []
    for one in world["passes"]:
        reference = reference_water(world["occurrence"], one["archive"], options.reference)
        flood = derive_flood(one["water"], reference, one["terrain"], one["scene"], options, one["archive"]).compute()
        floods.append(flood.assign_coords(spatial_ref=one["scene"]["spatial_ref"]))
    return floods


def judged(world, floods):
    """Counts of one world, and its areas with their ranges."""
    found = {"open": np.zeros(3), "vegetation": np.zeros(3), "town": np.zeros(3), "shown": np.zeros(2)}
    areas = []
    union, answered = np.zeros(world["open_land"].shape, bool), np.zeros(world["open_land"].shape, bool)
    event = mosaic([(one["when"], flood) for one, flood in zip(world["passes"], floods, strict=True)]).compute()
    series = pass_series(event)
    for one, flood, told in zip(world["passes"], floods, series, strict=True):
        extent, classes, truth = flood["flood_extent"].values, flood["flood_class"].values, one["truth"]
        usable, wet = extent < 254, np.isin(truth, FLOODED)
        land = usable & world["open_land"] & ~np.isin(truth, (Truth.FLOODED_VEGETATION, Truth.FLOODED_TOWN))
        found["open"] += _counts(extent == 1, truth == Truth.OPEN_FLOOD, land)
        found["vegetation"] += _counts(classes == 3, truth == Truth.FLOODED_VEGETATION, extent != 255)
        found["town"] += _counts(classes == 4, truth == Truth.FLOODED_TOWN, extent != 255)
        found["shown"] += [(extent == 254).sum(), (extent != 255).sum()]
        union |= usable & wet
        answered |= usable
        areas.append((told.flood_low_km2, told.flood_km2, told.flood_high_km2, (usable & wet).sum() * 1e-4))
    inside = xr.ones_like(event["flood_extent"])
    figures = event_figures(event, inside)
    ranged = (figures.flood_area_low_km2, figures.flood_area_km2, figures.flood_area_high_km2)
    whole = (*ranged, (union & answered).sum() * 1e-4)
    return found, areas, whole, durations(world, event, union)


def _counts(found, true, where):
    """True positives, false positives, false negatives."""
    return np.array([(found & true & where).sum(), (found & ~true & where).sum(), (~found & true & where).sum()])


def _said(name, areas):
    """How often the truth lies in its range, and how wide the ranges are."""
    low, mapped, high, true = np.array(areas).T
    within = (low <= true) & (true <= high)
    error = np.abs(mapped / true - 1)
    print(
        f"{name}: {within.sum()} of {within.size} in range; median width {np.median((high - low) / true):.2f} of the "
        f"true area; median error {np.median(error):.3f}, worst {error.max():.2f}"
    )


def _said_days(mapped, true, allowed):
    """How far durations are off, in days."""
    error = np.abs(mapped - true)
    print(
        f"duration at {error.size} pixels of open land rightly seen flooded: median error {np.median(error):.2f} days, "
        f"nine in ten within {np.quantile(error, 0.9):.2f}, mean {np.mean(mapped - true):+.2f}; true median "
        f"{np.median(true):.2f}; within its own plus or minus and an hour {np.mean(error <= allowed + 1 / 24):.3f}"
    )


def main():
    """Map, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(601, 613)))
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--set", nargs="*", default=[], help="derive options, name=JSON")
    given = parser.parse_args()
    options = DeriveOptions.model_validate({k: json.loads(v) for k, v in (pair.split("=") for pair in given.set)})
    total, passes, events, lasted = None, [], [], []
    for seed in given.seeds:
        kept = None if given.keep is None else given.keep / f"{seed}-{given.size}.pickle"
        if kept is not None and kept.exists():
            world = pickle.loads(kept.read_bytes())  # noqa: S301 - written by this script
        else:
            world = prepared(seed, given.size)
            if kept is not None:
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_bytes(pickle.dumps(world))
        found, areas, event, days = judged(world, derived(world, options))
        lasted.append(days)
        total = found if total is None else {name: total[name] + found[name] for name in found}
        passes += areas
        events.append(event)
        print(seed, [tuple(round(float(v), 2) for v in one) for one in (*areas, event)], flush=True)
    for name in ("open", "vegetation", "town"):
        hit, false, missed = total[name]
        print(
            f"{name} flood: IoU {hit / max(hit + false + missed, 1):.3f}, precision {hit / max(hit + false, 1):.3f}, "
            f"recall {hit / max(hit + missed, 1):.3f}"
        )
    print(f"excluded {total['shown'][0] / total['shown'][1]:.3f} of what was observed")
    _said_days(*np.concatenate(lasted, axis=1))
    _said("passes", passes)
    _said("events", events)


if __name__ == "__main__":
    main()
