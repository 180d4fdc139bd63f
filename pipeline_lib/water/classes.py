"""Water and land as classes of backscatter: what physics says of them, and what a scene says.

A scene is asked tile by tile: where a tile's histogram clearly has two classes, and the darker lies where water can
lie, the tile knows both. Where no tile knows, the scene has one class: which one is told by the published values, those
of the cross-polarised image where there is one, since wind brightens water there least.

Backscatter is published as sigma0 or as gamma0 = sigma0 / cos(incidence); what is published is converted to the scene's
own (``attrs["backscatter"]``).
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import xarray as xr

from pipeline_lib.options.detect import TileChoice
from pipeline_lib.water.histogram import BINS, CENTRES_DB, TileHistograms
from pipeline_lib.water.threshold import Normal, TwoNormals, fit_two_normals

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Physics:
    """What is published of a polarisation, in dB at 39 degrees of incidence, after a 3 x 3 mean.

    In `CO_POLARISED` and `CROSS_POLARISED` classes are sigma0 and bounds are gamma0, as their sources have them; what
    `physics_of` returns is all of the scene's kind.
    """

    water: Normal
    land: Normal
    darkest_threshold: float
    brightest_threshold: float
    """A threshold between water and land lies between these."""
    water_slope_db_per_deg: float
    """Change of the water's mean with the angle of incidence."""
    prior: float = 0.5
    """Probability of water where nothing but the scene is known."""

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
"""Water: Bauer-Marschallinger et al. (2022), Remote Sensing 14(15), -0.394 dB/deg * 39 deg - 4.142 dB, 2.754 dB; land:
crops, grass and bare fields of C-band compilations, sigma0. Bounds: OPERA DSWx-S1, which reads gamma0, the lower
one raised to where calm water lies at 45 degrees."""
CROSS_POLARISED = Physics(
    water=Normal(-26.5, 2.4),
    land=Normal(-17.0, 2.8),
    darkest_threshold=-28.0,
    brightest_threshold=-18.0,
    water_slope_db_per_deg=-0.1,
)
"""Water: between the noise floor (-22 dB at the worst specified, near -28 dB measured, sigma0) and calm water. Land and
bounds: as above."""
CROSS_NAMES = {"vh", "hv"}
REFERENCE_INCIDENCE_DEG = 39.0
UNSEEN_PRIOR = 0.1
"""Prior of water where no tile of the scene shows two classes and it is land; of land where it is water."""
MIN_CLASS_SPREAD_DB = 1.5
"""Speckle of 4.4 looks after a 3 x 3 mean of correlated pixels is near 1 dB; a class varies on top of it."""


def gamma0_over_sigma0_db(incidence_deg: float) -> float:
    """How much brighter gamma0 is than sigma0 at an angle of incidence, dB: -10 log10(cos(angle))."""
    return float(-10.0 * np.log10(np.cos(np.radians(incidence_deg))))


def mean_incidence_deg(scene: xr.Dataset) -> float | None:
    """Mean local incidence angle of the scene, from every 16th pixel; None where it has none."""
    if "local_incidence_angle" not in scene:
        return None
    angle = float(scene["local_incidence_angle"][::16, ::16].mean())
    return angle if np.isfinite(angle) else None


def physics_of(polarisation: str, scene: xr.Dataset) -> Physics:
    """Published values of ``vv``, ``hh``, ``vh`` or ``hv`` at the scene's mean angle and as its kind of backscatter.

    Args:
        polarisation: of the image.
        scene: a Scene (y, x); without ``local_incidence_angle`` it is taken at 39 degrees.
    """
    published = CO_POLARISED if polarisation in {"vv", "hh"} else CROSS_POLARISED
    known = mean_incidence_deg(scene)
    angle = REFERENCE_INCIDENCE_DEG if known is None else known
    ratio = gamma0_over_sigma0_db(angle)
    of_classes, of_bounds = (ratio, 0.0) if scene.attrs["backscatter"] == "gamma0" else (0.0, -ratio)
    moved = published.water.mean + published.water_slope_db_per_deg * (angle - REFERENCE_INCIDENCE_DEG)
    return Physics(
        water=Normal(moved + of_classes, published.water.spread),
        land=Normal(published.land.mean + of_classes, published.land.spread),
        darkest_threshold=published.darkest_threshold + of_bounds,
        brightest_threshold=published.brightest_threshold + of_bounds,
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

    all_water: bool = False
    """Whether the scene shows one class, and that is water."""

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
    tiles: dict[str, TileHistograms], physics: dict[str, Physics], choice: TileChoice
) -> dict[str, Classes]:
    """Water and land of each polarisation of a scene.

    Wind makes water bright in VV and HH, up to where land is, and hardly in VH and HV. So a class between calm water
    and land is taken for roughened water where the cross-polarised tiles show water, and for dark land where they do
    not or are not there. A scene is water throughout where no tile shows two classes in the cross-polarised image (in
    any image, without one) and `all_water` says so; then the scene's own level is that of water. Two classes in VV
    alone are calm and roughened water there.

    Args:
        tiles: histograms by polarisation.
        physics: what is published of each (`physics_of`).
        choice: when a tile is bimodal.
    """
    found: dict[str, Classes] = {}
    for name in sorted(tiles, key=lambda name: name not in CROSS_NAMES):
        seen = any(known.separable for other, known in found.items() if other in CROSS_NAMES)
        found[name] = classes_of(tiles[name], physics[name], choice, roughened=seen or name in CROSS_NAMES)
    told = [name for name in found if name in CROSS_NAMES] or list(found)
    if not any(found[name].separable for name in told) and all_water(tiles, physics):
        found = {name: _water_alone(tiles[name], physics[name]) for name in tiles}
    return {name: found[name] for name in tiles}


def physics_of_scene(tiles: dict[str, TileHistograms], scene: xr.Dataset) -> dict[str, Physics]:
    """What is published of each polarisation; a scene of one class has its own level in place of that of the class.

    Land brighter than published leaves the published threshold where it is: nothing in the scene shows that water is
    brighter there, too.

    Args:
        tiles: histograms by polarisation.
        scene: the Scene (y, x) they are of.
    """
    published = {name: physics_of(name, scene) for name in tiles}
    classes = classes_by_polarisation(tiles, published, TileChoice())
    if any(known.separable for known in classes.values()):
        return published
    darker = {
        name: replace(published[name], land=known.land)
        for name, known in classes.items()
        if known.land.mean < published[name].land.mean
    }
    water = {
        name: replace(published[name], water=known.water, land=known.land, prior=1.0 - UNSEEN_PRIOR)
        for name, known in classes.items()
        if known.all_water
    }
    return published | darker | water


WATER_QUOTIENT = Normal(13.0, 2.5)
"""VV over VH of rough water after a 3 x 3 mean, dB: CMOD5 (Hersbach et al. 2007, JGR 112; VV of -12 to -6 dB at 8 to 15
m/s and 30 to 40 degrees) over the VH of Vachon & Wolfe (2011), IEEE GRSL 8(3), with a noise floor of -25 dB."""
LAND_QUOTIENT = Normal(10.0, 2.0)
"""The same of land, from above: of land darker than -19 dB in VH it is 7.2 dB on average over ten real places without
flood (five of the TerraMind examples, five of BigEarthNet's), and 10.4 dB in the highest of them (bare arable land)."""


def all_water(tiles: dict[str, TileHistograms], physics: dict[str, Physics]) -> bool:
    """Whether a scene of one class is water, calm or roughened by wind, by what is published of its median.

    Args:
        tiles: histograms by polarisation, of a scene in which no tile shows two classes.
        physics: what is published of each.
    """
    middle = {name: _quantiles(known.scene, (0.5,))[0] for name, known in tiles.items() if known.scene.sum()}
    ratio = {name: _evidence(value, physics[name].water, physics[name].land) for name, value in middle.items()}
    cross = next((name for name in sorted(middle) if name in CROSS_NAMES), None)
    co = next((name for name in sorted(middle) if name not in CROSS_NAMES), None)
    if cross is None or co is None:
        return sum(ratio.values()) > 0
    quotient = middle[co] - middle[cross]
    rough = ratio[cross] - _evidence(quotient, LAND_QUOTIENT, WATER_QUOTIENT)
    return max(ratio[co] + ratio[cross], rough) > 0


def _evidence(value: float, water: Normal, land: Normal) -> float:
    """Log-likelihood ratio of one value; see `Classes.log_ratio`."""
    return float(Classes(water=water, land=land, tiles=0).log_ratio(np.array([value]))[0])


def _water_alone(tiles: TileHistograms, physics: Physics) -> Classes:
    """Classes of a scene of water: its own median and spread, and land at least as far above as two classes are apart.

    References: Ashman et al. (1994), AJ 108 - D = 2 parts two classes.
    """
    if tiles.scene.sum() == 0:
        return Classes(water=physics.water, land=physics.land, tiles=0, all_water=True)
    low, middle, high = _quantiles(tiles.scene, (0.16, 0.5, 0.84))
    water = Normal(middle, float(np.clip((high - low) / 2.0, MIN_CLASS_SPREAD_DB, physics.water.spread)))
    apart = 2.0 * float(np.hypot(water.spread, physics.land.spread)) / np.sqrt(2.0)
    land = Normal(max(physics.land.mean, middle + apart), physics.land.spread)
    return Classes(water=water, land=land, tiles=0, share=share_of_water(tiles.scene, water, land), all_water=True)


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
    if middle <= physics.crossing:
        return physics.land
    return Normal(middle, float(np.clip((high - low) / 2.0, 1.0, physics.land.spread)))


def _quantiles(counts: Values, shares: tuple[float, ...]) -> list[float]:
    """Values below which the given shares of the pixels lie."""
    cumulative = np.cumsum(counts) / counts.sum()
    return [float(CENTRES_DB[int(np.searchsorted(cumulative, share))]) for share in shares]
