"""Means and spreads of the simulated backscatter by class, to hold against published values."""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.world.inundation import Truth
from pipeline_lib.world.land_cover import LandCover
from pipeline_lib.world.radar import Land, RadarScene

STEP = 7
"""Every seventh pixel of each row and column is counted."""


class Statistics:
    """Collects sigma0 in decibels by kind of ground and state of the water, over the passes of a world."""

    def __init__(self, land: Land) -> None:
        """Begin with nothing counted."""
        self._land = land
        self._samples: dict[tuple[str, str], list[NDArray[np.float32]]] = defaultdict(list)

    def add(self, scene: RadarScene) -> None:
        """Count a pass; layover and shadow are left out."""
        every = (slice(None, None, STEP), slice(None, None, STEP))
        truth, classes = scene.inundation.truth[every], self._land.cover.classes[every]
        clear = (scene.geometry.layover_shadow[every] == 0) & scene.observed[every] & (scene.look_alike[every] < 100)
        flattening = np.cos(np.radians(scene.geometry.incidence_deg[every]))
        groups = {code.name.lower(): clear & (truth == Truth.DRY) & (classes == code) for code in LandCover}
        wind = "windy_water" if scene.radar_pass.windy else "water"
        groups[wind] = clear & np.isin(truth, (Truth.REFERENCE_WATER, Truth.OPEN_FLOOD))
        groups["flooded_vegetation"] = clear & (truth == Truth.FLOODED_VEGETATION)
        groups["flooded_town"] = clear & (truth == Truth.FLOODED_TOWN)
        for polarisation, gamma0 in (("vv", scene.vv[every]), ("vh", scene.vh[every])):
            decibels = 10 * np.log10(np.maximum(gamma0 * flattening, 1e-6))
            for name, where in groups.items():
                self._samples[name, polarisation].append(decibels[where])

    def table(self) -> dict[str, dict[str, float]]:
        """Mean and standard deviation of sigma0, decibels, of every kind with at least 50 samples."""
        rows: dict[str, dict[str, float]] = {}
        for (name, polarisation), parts in self._samples.items():
            values = np.concatenate(parts)
            if values.size >= 50:
                row = rows.setdefault(name, {"samples": int(values.size)})
                row[f"{polarisation}_mean_db"] = round(float(values.mean()), 2)
                row[f"{polarisation}_sd_db"] = round(float(values.std()), 2)
        return rows

    def land_cover_share(self, classes: NDArray[np.uint8]) -> dict[str, float]:
        """Share of the world under each land cover."""
        return {code.name.lower(): round(float((classes == code).mean()), 4) for code in LandCover}
