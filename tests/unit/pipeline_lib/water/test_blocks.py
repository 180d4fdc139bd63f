"""No detector's answer depends on the size of the blocks it works in: many small ones against one that holds the scene."""

from functools import cache

import numpy as np
import pytest
import xarray as xr
from scenes import history_of, scene_of

from pipeline_lib.water import Observation, detector, detectors
from pipeline_lib.water.blocks import BlockGrid
from pipeline_lib.water.histogram import tile_histograms

SHAPE = (270, 330)
WHOLE_PX = 1024
CASES = {found.name: (found.name, {}) for found in detectors()} | {
    # Where the defaults leave out what can show a block, or hide it behind something wider.
    "adaptive, pixels alone": ("adaptive", {"rounds": 0}),
    "adaptive, mean of evidence": ("adaptive", {"rounds": 0, "context_radius": 2}),
    "clustering": ("clustering", {"clustering": {"texture": True, "sample": 4000}}),
    "fused": ("fused", {"backend": "torch", "threads": 1}),
    "learned": ("learned", {"backend": "torch", "threads": 1}),
    "ensemble": ("ensemble", {"members": ("log-ratio", "otsu", "adaptive")}),
}


def holed(dataset: xr.Dataset, seed: int) -> xr.Dataset:
    """Not observed: single pixels everywhere, a strip across the blocks, and a corner that covers a whole block."""
    lost = np.random.default_rng(seed).random(SHAPE) < 0.02
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    lost |= np.abs(y - x - 40) < 3
    lost |= (y < 70) & (x > 250)
    return dataset.where(~xr.DataArray(lost, dims=("y", "x")))


@cache
def observation(block_px: int) -> Observation:
    """A river, a lake at the crossing of four blocks of 128, speckle, land with a rough flooded part, and holes."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    river = np.abs(y - 135 - 30 * np.sin(x / 40)) < 12
    flood = (np.abs(y - 135 - 30 * np.sin(x / 40)) < 35) & (x > 100)
    lake = (y - 128) ** 2 + (x - 256) ** 2 < 25**2
    scene = holed(scene_of(river | flood | lake, seed=3), 1)
    scene["vv"] = scene["vv"] * np.where(flood & (x > 200), np.float32(6.0), np.float32(1.0))
    angle = (30.0 + 12.0 * x / SHAPE[1]).astype(np.float32)
    scene = scene.assign(
        local_incidence_angle=(("y", "x"), angle), layover_shadow=(("y", "x"), (lake & (y > 128)).astype(np.uint8))
    )
    hand = np.where(river | lake, 0.5, 3.0 + 0.05 * np.abs(y - 135)).astype(np.float32)
    hand[200:210] = np.nan
    terrain = xr.Dataset({"hand_m": (("y", "x"), hand), "slope_deg": (("y", "x"), np.full(SHAPE, 1.5, np.float32))})
    occurrence = np.where(river, 95.0, 0.0).astype(np.float32)
    occurrence[:, 60:70] = np.nan
    return Observation(
        scene=scene,
        history=holed(history_of(river, passes=4), 2),
        terrain=terrain,
        water_occurrence=xr.DataArray(occurrence, dims=("y", "x")),
        block_px=block_px,
    )


@cache
def answer(case: str, block_px: int) -> xr.Dataset:
    found: xr.Dataset = detector(*CASES[case]).detect(observation(block_px))
    return found.compute()


@pytest.mark.parametrize("block_px", [64, 128])
@pytest.mark.parametrize("case", list(CASES))
def test_blocks_do_not_show(case, block_px):
    whole = answer(case, WHOLE_PX)
    assert 0.02 < (whole["water"] == 1).mean() < 0.5
    assert (whole["water"] == 255).any()
    xr.testing.assert_identical(answer(case, block_px), whole)


def test_the_scene_holds_several_blocks():
    assert BlockGrid(SHAPE, 64).counts == (4, 5)
    assert BlockGrid(SHAPE, 128).counts == (2, 3)
    assert observation(64).grid.chunks == ((64, 64, 64, 78), (64, 64, 64, 64, 74))
    assert BlockGrid(SHAPE, WHOLE_PX).counts == (1, 1)


@pytest.mark.parametrize("radius", [0, 1, 3])
def test_histograms_count_every_pixel_once_whatever_the_blocks(radius):
    power = observation(64).scene["vv"].to_numpy()
    whole, small = (
        tile_histograms({"vv": BlockGrid(SHAPE, size).blocked(power)}, radius=radius)["vv"].counts
        for size in (WHOLE_PX, 64)
    )
    assert whole.sum() == np.isfinite(power).sum()
    np.testing.assert_array_equal(small, whole)


def test_a_block_that_cuts_a_tile_is_refused():
    with pytest.raises(ValueError, match="whole tiles of 64"):
        detector("adaptive").detect(Observation(scene=observation(64).scene, block_px=100))
