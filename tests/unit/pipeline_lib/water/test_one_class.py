"""Scenes that are water throughout, or land throughout, on made and on real radar."""

import numpy as np
import pytest
import rasterio
import xarray as xr
from scenes import history_of, scene_of

from pipeline_lib.water import Observation, detector, detectors

EVERYWHERE = np.ones((192, 192), bool)
LEARNED = ("learned", "fused")
PHYSICAL = [found.name for found in detectors() if found.name not in {"fixed", *LEARNED}]
DATES = ("preflood1", "preflood2", "preflood3", "postflood1", "postflood2")
SEA_WINDOWS = {"06": (20, 20), "08": (0, 220), "09": (0, 180)}
"""Upper left corners of 200 x 200 pixels of sea in cells of Puerto Rico."""


def share_of_water(name, scene, history=None):
    extent = detector(name).detect(Observation(scene=scene, history=history)).compute()
    return float((extent["water"] == 1).mean())


@pytest.mark.parametrize("name", PHYSICAL)
@pytest.mark.parametrize("levels", [(-21.0, -27.0), (-13.5, -25.0)], ids=["calm", "windy"])
def test_a_lake_that_fills_the_scene_is_water(name, levels):
    lake = scene_of(EVERYWHERE, levels={"vv": (levels[0], 0), "vh": (levels[1], 0)})
    assert share_of_water(name, lake, history_of(EVERYWHERE)) > 0.9


@pytest.mark.parametrize("name", PHYSICAL)
@pytest.mark.parametrize("levels", [(-8.0, -14.0), (-11.0, -17.0)], ids=["forest", "fields"])
def test_land_that_fills_the_scene_is_dry(name, levels):
    land = scene_of(~EVERYWHERE, levels={"vv": (0, levels[0]), "vh": (0, levels[1])})
    assert share_of_water(name, land, history_of(~EVERYWHERE)) < 0.01


def sea(real_data, cell, date):
    row, column = SEA_WINDOWS[cell]
    with rasterio.open(real_data / "puerto_rico_2017" / f"cell_{cell}" / f"{date}.tif") as source:
        power = 10.0 ** (source.read([1, 2], window=((row, row + 200), (column, column + 200))) / 10.0)
    bands = {
        name: (("y", "x"), band.astype(np.float32), {"units": "1"})
        for name, band in zip(("vv", "vh"), power, strict=True)
    }
    return xr.Dataset(bands, attrs={"backscatter": "gamma0"})


@pytest.mark.parametrize("cell", SEA_WINDOWS)
@pytest.mark.parametrize("name", ["adaptive", "hierarchical", "dlr-fuzzy"])
def test_the_sea_is_water_whatever_the_wind(real_data, cell, name):
    for date in DATES:
        assert share_of_water(name, sea(real_data, cell, date)) >= 0.85, date
