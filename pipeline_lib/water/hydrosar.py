"""HydroSAR's threshold: three normal classes by expectation-maximisation on the most heterogeneous dark tiles.

Tiles of 128 x 128 pixels (100 x 100 in the original). A candidate is darker than the median of all; it is chosen where
the standard deviation of its quarters' means over its own mean lies beyond the 95th percentile, relaxed until five
tiles are found. The scene's threshold is the median of the four lowest of the five tiles' thresholds, at most -15.5 dB
(VV) or -23 dB (VH).

References:
    Meyer et al. (2020), HydroSAR; Chini et al. (2017).
"""

import numba
import numpy as np
import numpy.typing as npt

from pipeline_lib.water.classes import CO_POLARISED, CROSS_NAMES, CROSS_POLARISED, Physics
from pipeline_lib.water.histogram import CENTRES_DB, TileHistograms
from pipeline_lib.water.threshold import fit_two_normals
from pipeline_lib.water.thresholding import Cut, published_cut

Values = npt.NDArray[np.float64]

HIGHEST_CO_DB = -15.5
HIGHEST_CROSS_DB = -23.0
"""Of gamma0, which HydroSAR reads."""
WANTED_TILES = 5
CLASSES = 3
LEAST_APART = 2.0
"""Ashman's D below which a tile has a single mode (the original thresholds it all the same)."""
EM_ROUNDS = 200
EM_TOLERANCE = 1e-6


@numba.njit(nogil=True, cache=True)
def _em_three(share: Values, centres: Values, start: Values) -> Values:
    """Weights, means and spreads of three normal classes, float64 (3, 3), by EM from given means."""
    classes = start.size
    weight = np.full(classes, 1.0 / classes)
    mean = start.copy()
    spread = np.full(classes, 2.0)
    before = -np.inf
    density = np.zeros(classes)
    for _ in range(EM_ROUNDS):
        total, first, second = np.zeros(classes), np.zeros(classes), np.zeros(classes)
        likelihood = 0.0
        for position in range(share.size):
            if share[position] <= 0:
                continue
            for k in range(classes):
                scaled = (centres[position] - mean[k]) / spread[k]
                density[k] = weight[k] * np.exp(-0.5 * scaled * scaled) / spread[k] + 1e-300
            summed = density.sum()
            likelihood += share[position] * np.log(summed)
            for k in range(classes):
                part = share[position] * density[k] / summed
                total[k] += part
                first[k] += part * centres[position]
                second[k] += part * centres[position] ** 2
        for k in range(classes):
            if total[k] > 1e-9:
                weight[k] = total[k]
                mean[k] = first[k] / total[k]
                spread[k] = max(np.sqrt(max(second[k] / total[k] - mean[k] ** 2, 0.0)), 0.3)
        if abs(likelihood - before) < EM_TOLERANCE:
            break
        before = likelihood
    return np.stack((weight, mean, spread))


def em_threshold(counts: Values) -> float:
    """Crossing of the two darkest of three weighted normal classes fitted to a histogram, dB."""
    share = np.ascontiguousarray(counts / counts.sum())
    cumulative = np.cumsum(share)
    start = np.array([CENTRES_DB[int(np.searchsorted(cumulative, level))] for level in (0.1, 0.5, 0.9)])
    weight, mean, spread = _em_three(share, CENTRES_DB, start + np.array([-0.5, 0.0, 0.5]))
    order = np.argsort(mean)
    dark, next_dark = order[0], order[1]
    between = np.linspace(mean[dark], mean[next_dark], 257)
    densities = [
        weight[k] / spread[k] * np.exp(-0.5 * ((between - mean[k]) / spread[k]) ** 2) for k in (dark, next_dark)
    ]
    return float(between[int(np.argmin(np.abs(densities[0] - densities[1])))])


def hydrosar_cut(tiles: TileHistograms, physics: Physics, polarisation: str) -> Cut:
    """Threshold of a scene from its most heterogeneous dark tiles; the published one where there is none."""
    published, limit = (
        (CROSS_POLARISED, HIGHEST_CROSS_DB) if polarisation in CROSS_NAMES else (CO_POLARISED, HIGHEST_CO_DB)
    )
    highest = limit + physics.brightest_threshold - published.brightest_threshold
    chosen = [tile for tile in _heterogeneous_tiles(tiles) if fit_two_normals(tile, CENTRES_DB).ashman_d > LEAST_APART]
    found = sorted(em_threshold(tile) for tile in chosen)
    if not found:
        return published_cut(physics, "no heterogeneous tile has two modes")
    level = float(np.median(found[: WANTED_TILES - 1]))
    if level > highest:
        return Cut(threshold_db=highest, note=f"{highest:.1f} dB (upper limit; {len(found)} tiles say {level:.1f})")
    return Cut(threshold_db=level, note=f"{level:.1f} dB ({len(found)} tiles)")


def _heterogeneous_tiles(tiles: TileHistograms) -> list[Values]:
    """Histograms of at most five tiles of 128 pixels."""
    number, mean, _ = tiles.moments()
    rows, columns = (size // 2 for size in mean.shape)
    if rows == 0 or columns == 0:
        return []
    known = np.where(number >= 0.8 * tiles.tile_px**2, mean, np.nan)[: 2 * rows, : 2 * columns]
    quarters = known.reshape(rows, 2, columns, 2).transpose(0, 2, 1, 3).reshape(rows, columns, 4)
    middle = quarters.mean(axis=2)
    if not np.isfinite(middle).any():
        return []
    candidate = np.isfinite(middle) & (middle <= np.nanmedian(middle))
    variation = np.where(candidate, quarters.std(axis=2) / np.abs(middle), np.nan)
    parents = tiles.coarsened(2).counts
    for quantile in np.arange(0.95, 0.0, -0.05):
        limit = np.nanquantile(variation, quantile)
        places = np.argwhere(candidate & (variation >= limit))
        if len(places) >= min(WANTED_TILES, int(candidate.sum())):
            order = np.argsort(-variation[tuple(places.T)], kind="stable")[:WANTED_TILES]
            return [parents[row, column].astype(np.float64) for row, column in places[order]]
    return []
