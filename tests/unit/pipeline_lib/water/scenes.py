"""Small simulated scenes for the tests of the detectors."""

import numpy as np
import xarray as xr

LEVELS_DB = {"vv": (-19.5, -10.5), "vh": (-26.5, -17.0)}


def scene_of(water, *, seed=0, names=("vv", "vh"), looks=4.4, levels=LEVELS_DB):
    rng = np.random.default_rng(seed)
    variables = {}
    for name in names:
        wet, dry = levels[name]
        power = 10.0 ** (np.where(water, wet, dry) / 10.0) * rng.gamma(looks, 1 / looks, water.shape)
        variables[name] = (("y", "x"), power.astype(np.float32), {"units": "1"})
    return xr.Dataset(variables, attrs={"backscatter": "gamma0", "datetime": "2024-05-11T05:30:00"})


def history_of(water, *, passes=6, names=("vv", "vh")):
    scenes = [scene_of(water, seed=100 + number, names=names) for number in range(passes)]
    days = np.datetime64("2023-11-01", "s") + np.arange(passes) * np.timedelta64(12 * 86400, "s")
    return xr.concat(scenes, dim=xr.DataArray(days, dims="time", name="time"))


def river(shape=(256, 320)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.abs(y - shape[0] / 2 - 20 * np.sin(x / 40)) < 30


def iou(found, truth):
    return (found & truth).sum() / (found | truth).sum()
