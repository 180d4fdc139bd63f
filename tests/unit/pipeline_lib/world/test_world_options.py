"""Options: frozen, checked, and drawn within the ranges they allow."""

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline_lib.options.world import OpticalOptions, WorldOptions
from pipeline_lib.world.simulate import simulate


def test_random_worlds_differ_and_repeat():
    drawn = [WorldOptions.randomised(seed) for seed in range(200)]
    assert len({one.model_dump_json() for one in drawn}) == 200
    assert WorldOptions.randomised(5) == drawn[5]
    looks = [one.radar.looks for one in drawn]
    assert 3 <= min(looks) < 3.3
    assert 9.7 < max(looks) <= 10
    assert {one.size for one in drawn} == {512}


def test_mistakes_are_errors():
    for wrong in ({"size": 64}, {"seed": -1}, {"sise": 300}, {"radar": {"looks": 0.2}}):
        with pytest.raises(ValidationError):
            WorldOptions(**wrong)
    with pytest.raises(ValidationError, match="shares from 0 to 1"):
        OpticalOptions(cloud_cover=(0, 0, 2, 0))


@pytest.mark.parametrize("seed", range(6))
def test_random_worlds_are_whole(seed):
    world = simulate(WorldOptions.randomised(seed, size=160))
    assert len(world.radar) == 14
    assert len(world.optical) == 4
    for scene in world.radar:
        assert np.array_equal(np.isfinite(scene.vv), scene.observed)
        assert (scene.vh[scene.observed] > 0).all()
    flooded = max((scene.inundation.truth >= 2).mean() for scene in world.radar)
    assert 0.02 < flooded < 0.8
    assert (world.radar[0].inundation.truth >= 2).sum() == 0
