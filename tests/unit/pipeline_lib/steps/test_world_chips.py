"""Passes of simulated worlds to learn from: what the wind of a recipe does to them."""

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline_lib.options.train import DataOptions
from pipeline_lib.options.world import WorldOptions
from pipeline_lib.steps.world_chips import varied_looks
from pipeline_lib.world.inundation import Truth
from pipeline_lib.world.simulate import make_land

OPTIONS = WorldOptions.randomised(7, size=128)
LAND = make_land(OPTIONS)
WATER = (Truth.REFERENCE_WATER, Truth.OPEN_FLOOD)


def looks(**data):
    return list(varied_looks(OPTIONS, LAND, DataOptions(dataset="world", **data)))


def water_db(look, name):
    """Mean of a polarisation on open water, dB."""
    seen = np.isin(look.scene.inundation.truth, WATER) & look.scene.observed
    return 10 * np.log10(getattr(look.scene, name)[seen].mean())


def land_db(look):
    """Median VV of what is dry, dB."""
    dry = (look.scene.inundation.truth == Truth.DRY) & look.scene.observed
    return 10 * np.log10(np.median(look.scene.vv[dry]))


def test_wind_roughens_water_and_nothing_else():
    calm, storm = (looks(wind_share=1.0, wind_db=(one, one)) for one in (0.0, 12.0))
    for weak, strong in zip(calm, storm, strict=True):
        rise = {name: water_db(strong, name) - water_db(weak, name) for name in ("vv", "vh")}
        assert rise["vv"] > 3
        assert rise["vh"] < rise["vv"]
        assert land_db(strong) == pytest.approx(land_db(weak), abs=0.3)


def test_each_windy_pass_has_a_wind_of_its_own():
    calm, windy = (looks(wind_share=1.0, wind_db=(0.0, strongest)) for strongest in (0.0, 12.0))
    rise = [water_db(strong, "vv") - water_db(weak, "vv") for weak, strong in zip(calm, windy, strict=True)]
    assert len(rise) == 6
    assert min(rise) > 0
    assert max(rise) - min(rise) > 2


def test_no_wind_where_none_is_asked_for():
    assert not any(look.scene.radar_pass.windy for look in looks(wind_share=0.0, wind_db=(2.0, 12.0)))


@pytest.mark.parametrize("wind_db", [(5.0, 2.0), (-1.0, 2.0), (2.0, 12.5), (float("nan"), 2.0)])
def test_a_wind_that_cannot_blow_is_refused(wind_db):
    with pytest.raises(ValidationError, match=r"wind_db is .*; expected two rising numbers of dB from 0 to 12"):
        DataOptions(dataset="world", wind_db=wind_db)
