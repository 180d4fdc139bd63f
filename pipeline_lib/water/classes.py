"""Water and land as classes of backscatter: what physics says of them, and what a scene says.

A scene is asked tile by tile: where a tile's histogram clearly has two classes, and the darker lies where water can
lie, the tile knows both. Where no tile knows, the published values stand, and the answer says so.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline_lib.options.detect import TileChoice
from pipeline_lib.water.histogram import BINS, CENTRES_DB, TileHistograms
from pipeline_lib.water.threshold import Normal, TwoNormals, fit_two_normals

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Physics:
    """What is published of a polarisation, in dB at 39 degrees of incidence, after a 3 x 3 mean."""

    water: Normal
    land: Normal
    darkest_threshold: float
    brightest_threshold: float
    """A threshold between water and land lies between these."""
    water_slope_db_per_deg: float
    """Change of the water's mean with the angle of incidence."""

    @property
    def crossing(self) -> float:
        """Where the densities of water and of land cross, dB."""
        return TwoNormals(self.water, self.land, 0.5, 1.0).crossing

    def brightest_water(self, *, roughened: bool) -> float:
        """The brightest mean, dB, of a class that is taken for water: one spread above water's, or the crossing."""
        return self.crossing if roughened else min(self.water.mean + self.water.spread, self.crossing)


CO_POLARISED = Physics(
    water=Normal(-19.5, 2.75),
    land=Normal(-10.5, 2.6),
    darkest_threshold=-22.0,
    brightest_threshold=-11.0,
    water_slope_db_per_deg=-0.394,
)
"""Water: Bauer-Marschallinger et al. (2022), Remote Sensing 14(15), -0.394 dB/deg * 39 deg - 4.142 dB, 2.754 dB. Land:
crops, grass and bare fields of C-band compilations. Bounds: OPERA DSWx-S1, the lower one raised to where calm water
lies at 45 degrees."""
CROSS_POLARISED = Physics(
    water=Normal(-26.5, 2.4),
    land=Normal(-17.0, 2.8),
    darkest_threshold=-28.0,
    brightest_threshold=-18.0,
    water_slope_db_per_deg=-0.1,
)
"""Water: between the noise floor (-22 dB at the worst specified, near -28 dB measured) and calm water. Land: as above.
Bounds: OPERA DSWx-S1."""
CROSS_NAMES = {"vh", "hv"}
REFERENCE_INCIDENCE_DEG = 39.0
MIN_CLASS_SPREAD_DB = 1.5
"""Speckle of 4.4 looks after a 3 x 3 mean of correlated pixels is near 1 dB; a class varies on top of it."""


def physics_of(polarisation: str, incidence_deg: float | None) -> Physics:
    """Published values of ``vv``, ``hh``, ``vh`` or ``hv``, moved to the scene's mean angle where it is known."""
    published = CO_POLARISED if polarisation in {"vv", "hh"} else CROSS_POLARISED
    if incidence_deg is None:
        return published
    moved = published.water.mean + published.water_slope_db_per_deg * (incidence_deg - REFERENCE_INCIDENCE_DEG)
    return Physics(
        water=Normal(moved, published.water.spread),
        land=published.land,
        darkest_threshold=published.darkest_threshold,
        brightest_threshold=published.brightest_threshold,
        water_slope_db_per_deg=published.water_slope_db_per_deg,
    )


@dataclass(frozen=True, kw_only=True)
class Classes:
    """Water and land of one polarisation in one scene, and how they became known."""

    water: Normal
    land: Normal
    tiles: int
    """Tiles that told; 0 = the published values stand."""

    share: float = 0.5
    """Share of water in the scene, by the two densities; the prior where nothing else is known."""

    @property
    def separable(self) -> bool:
        """Whether the scene itself showed two classes."""
        return self.tiles > 0

    def speckled(self, filtered_db: float, single_db: float) -> "Classes":
        """The classes of single pixels, from those of filtered ones: the speckle that the filter took off is put back.

        Args:
            filtered_db: standard deviation of speckle where the classes were fitted.
            single_db: standard deviation of speckle where they are applied.
        """
        added = max(single_db**2 - filtered_db**2, 0.0)
        shift = -added * np.log(10.0) / 20.0
        water, land = (
            Normal(known.mean + shift, float(np.hypot(known.spread, np.sqrt(added))))
            for known in (self.water, self.land)
        )
        return Classes(water=water, land=land, tiles=self.tiles, share=self.share)

    def log_ratio(self, decibel: Values) -> Values:
        """Log-likelihood ratio of water against land: falls with backscatter, level beyond the two means.

        Args:
            decibel: of any shape; the answer falls over all values of the array, in order of backscatter.
        """
        value = np.clip(decibel, self.water.mean, max(self.land.mean, self.water.mean)).ravel()
        ratio: Values = self.water.log_density(value) - self.land.log_density(value)
        order = np.argsort(decibel, axis=None, kind="stable")
        answer = np.empty_like(ratio)
        answer[order] = np.minimum.accumulate(ratio[order])
        return answer.reshape(np.shape(decibel))


def bimodal_tiles(
    tiles: TileHistograms, physics: Physics, choice: TileChoice, *, roughened: bool = False
) -> list[tuple[TwoNormals, Values]]:
    """Largest tiles whose histogram is a mixture of water and land, as a quadtree finds them from above.

    A tile is asked at 8, 4, 2 and 1 times the base size; where it has two classes it is taken whole, where not its
    quarters are asked. Only tiles with pixels on both sides of the physical range are fitted, and of those the ones
    with the largest variance between the classes, at most `TileChoice.max_tiles` a size.

    Returns:
        The fitted mixture and the histogram of each tile taken.
    """
    taken: list[tuple[TwoNormals, Values]] = []
    open_tiles: npt.NDArray[np.bool_] | None = None
    for factor in (8, 4, 2, 1):
        level = tiles.coarsened(factor)
        rows, columns, _ = level.counts.shape
        if open_tiles is None:
            open_tiles = np.ones((rows, columns), dtype=bool)
        else:
            open_tiles = np.kron(open_tiles, np.ones((2, 2), dtype=bool))[:rows, :columns]
        for place in _candidates(level, open_tiles, physics, choice):
            counts = level.counts[place].astype(np.float64)
            fitted = fit_two_normals(counts, CENTRES_DB)
            if _is_water_and_land(fitted, physics, choice, roughened=roughened):
                taken.append((fitted, counts))
                open_tiles[place] = False
    return taken


def _candidates(
    level: TileHistograms, open_tiles: npt.NDArray[np.bool_], physics: Physics, choice: TileChoice
) -> list[tuple[int, int]]:
    """Tiles worth a fit: full enough, with dark and bright pixels; the most variable ones first."""
    number, _, spread = level.moments()
    bright_bins = physics.brightest_threshold < CENTRES_DB
    dark = level.counts[..., ~bright_bins].sum(axis=2, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = dark / number
    worth = open_tiles & (number >= 0.3 * level.tile_px**2) & (share > choice.min_share) & (share < 1.0)
    places = np.argwhere(worth & (spread > choice.min_spread_db))
    order = np.argsort(-spread[tuple(places.T)], kind="stable")[: choice.max_tiles]
    return [(int(row), int(column)) for row, column in places[order]]


def _is_water_and_land(fitted: TwoNormals, physics: Physics, choice: TileChoice, *, roughened: bool) -> bool:
    """Two classes by the criteria of Chini et al. (2017), and the darker one where water is.

    Bare fields beside forest are two classes as well, of -14 and -10 dB in VV.
    """
    return (
        fitted.ashman_d > choice.min_ashman_d
        and fitted.fit > choice.min_fit
        and fitted.surface_ratio > choice.min_surface_ratio
        and physics.darkest_threshold <= fitted.crossing <= physics.brightest_threshold
        and fitted.dark.mean <= physics.brightest_water(roughened=roughened)
        and fitted.bright.mean >= physics.brightest_threshold - 3.0
    )


def classes_by_polarisation(
    tiles: dict[str, TileHistograms], incidence_deg: float | None, choice: TileChoice
) -> dict[str, Classes]:
    """Water and land of each polarisation of a scene.

    Wind makes water bright in VV and HH, up to where land is, and hardly in VH and HV. So a class between calm water
    and land is taken for roughened water where the cross-polarised tiles show water, and for dark land where they do
    not or are not there.

    Args:
        tiles: histograms by polarisation.
        incidence_deg: the scene's mean angle of incidence, where it is known.
        choice: when a tile is bimodal.
    """
    found: dict[str, Classes] = {}
    for name in sorted(tiles, key=lambda name: name not in CROSS_NAMES):
        seen = any(known.separable for other, known in found.items() if other in CROSS_NAMES)
        found[name] = classes_of(
            tiles[name], physics_of(name, incidence_deg), choice, roughened=seen or name in CROSS_NAMES
        )
    return {name: found[name] for name in tiles}


def classes_of(tiles: TileHistograms, physics: Physics, choice: TileChoice, *, roughened: bool = False) -> Classes:
    """Water and land of one polarisation: fitted to the pooled histogram of its bimodal tiles, else as published.

    Each tile weighs the same in the pool, so that one large tile does not speak for the scene.

    Args:
        tiles: histograms.
        physics: what is published of the polarisation.
        choice: when a tile is bimodal.
        roughened: whether a class as bright as roughened water may be water; else it is dark land.
    """
    taken = bimodal_tiles(tiles, physics, choice, roughened=roughened)
    if not taken:
        return Classes(water=physics.water, land=_land_alone(tiles, physics), tiles=0)
    pooled = np.zeros(BINS)
    for fitted, counts in taken:
        weight = np.where(fitted.crossing > CENTRES_DB, 0.5 / fitted.dark_share, 0.5 / (1.0 - fitted.dark_share))
        pooled += weight * counts / counts.sum()
    fitted = fit_two_normals(pooled, CENTRES_DB)
    if not _is_water_and_land(fitted, physics, choice, roughened=roughened):
        fitted = sorted(taken, key=lambda pair: pair[0].crossing)[len(taken) // 2][0]
    water, land = _widened(fitted.dark), _widened(fitted.bright)
    return Classes(water=water, land=land, tiles=len(taken), share=share_of_water(tiles.scene, water, land))


def share_of_water(counts: Values, water: Normal, land: Normal) -> float:
    """Share of water in a histogram whose classes are known: expectation-maximisation over the share alone."""
    ratio = np.exp(np.clip(Classes(water=water, land=land, tiles=1).log_ratio(CENTRES_DB), -30.0, 30.0))
    share = 0.5
    for _ in range(100):
        share = float(counts @ (share * ratio / (share * ratio + 1.0 - share)) / counts.sum())
    return share


def _widened(fitted: Normal) -> Normal:
    """A class with at least `MIN_CLASS_SPREAD_DB`: the tiles that tell are the clear ones, the scene is not."""
    return Normal(fitted.mean, max(fitted.spread, MIN_CLASS_SPREAD_DB))


def _land_alone(tiles: TileHistograms, physics: Physics) -> Normal:
    """Land of a scene with one class: the scene's own median and spread where those are land's, else as published."""
    counts = tiles.scene
    if counts.sum() == 0:
        return physics.land
    low, middle, high = _quantiles(counts, (0.16, 0.5, 0.84))
    if middle <= physics.brightest_threshold:
        return physics.land
    return Normal(middle, float(np.clip((high - low) / 2.0, 1.0, physics.land.spread)))


def _quantiles(counts: Values, shares: tuple[float, ...]) -> list[float]:
    """Values below which the given shares of the pixels lie."""
    cumulative = np.cumsum(counts) / counts.sum()
    return [float(CENTRES_DB[int(np.searchsorted(cumulative, share))]) for share in shares]
