"""Options of the water detectors: one frozen model each, every default with its source."""

from pydantic import Field, JsonValue

from pipeline_lib.options.base import Options


class DetectorChoice(Options):
    """Which water detector runs, and its own options."""

    detector: str = "default"
    """Name of the detector (``overbank detectors`` lists them)."""
    parameters: dict[str, JsonValue] = {}
    """Fields of the detector's options model; its defaults for what is left out."""


class TileChoice(Options):
    """When a tile's histogram counts as a mixture of water and land (Chini et al. 2017)."""

    min_ashman_d: float = Field(default=2.0, gt=0)
    """Ashman's D: above 2 the classes are clearly apart."""
    min_fit: float = Field(default=0.985, gt=0, le=1)
    """Bhattacharyya coefficient of histogram and fitted mixture (Chini 0.99, OPERA DSWx-S1 0.97; a tile of 64 x 64
    pixels in 0.25 dB bins reaches 0.985 by sampling alone)."""
    min_surface_ratio: float = Field(default=0.1, gt=0, lt=1)
    """Share of the smaller class over that of the larger."""
    min_share: float = Field(default=0.03, ge=0, lt=1)
    """A tile with less than this share of pixels below the brightest possible threshold is not fitted."""
    min_spread_db: float = Field(default=1.6, ge=0)
    """A tile that varies less than filtered speckle over two classes is not fitted."""
    max_tiles: int = Field(default=400, ge=1)
    """Tiles fitted at each tile size, the most variable ones."""


class AdaptiveOptions(Options):
    """Options of ``adaptive``: classes from bimodal tiles, evidence fused as probability, region growing."""

    tiles: TileChoice = TileChoice()
    """How the scene is asked for its classes."""
    filter_radius: int = Field(default=0, ge=0, le=3)
    """Radius of a boxcar on linear power, pixels: 0 = none, 1 = 3 x 3. Power is smeared from bright to dark, so that a
    boxcar eats the edges of water; neighbours are asked by `coupling` instead."""
    context_radius: int = Field(default=0, ge=0, le=4)
    """Radius of the mean over the evidence of the neighbourhood, pixels."""
    coupling: float = Field(default=1.5, ge=0, le=10)
    """Log-odds that unanimous neighbours add; 0 = every pixel for itself."""
    leak: float = Field(default=0.35, ge=0, lt=1)
    """Share of a pixel's power that belongs to its neighbours: 20 m of resolution on a grid of 10 m."""
    rounds: int = Field(default=3, ge=0, le=10)
    """How many times neighbours are asked."""
    evidence_weight: float = Field(default=0.75, gt=0, le=2)
    """Weight of each polarisation's log-likelihood ratio: below 1, because the two are correlated."""
    max_evidence: float = Field(default=6.0, gt=0)
    """Limit of each source's log-likelihood ratio, so that none can overrule all others."""
    rough_share: float = Field(default=0.1, ge=0, lt=1)
    """Share of water that wind may have roughened (needs VV and VH); 0 = none is looked for."""
    seed: float = Field(default=0.6, gt=0, lt=1)
    """A water body holds a pixel at least this likely (DLR: 0.6, OPERA DSWx-S1: 0.81)."""
    min_pixels: int = Field(default=10, ge=1)
    """Smaller bodies are dropped (HydroSAR 3 to 10 pixels of 30 m; 10 pixels of 10 m are 0.1 ha)."""
    flood_prior: float = Field(default=0.6, gt=0, lt=1)
    """Prior probability of water where the reference shows land."""
    min_history: int = Field(default=1, ge=1)
    """Reference passes from which the land is expected pixel by pixel; one is already a change image."""
    hand_middle_m: float = Field(default=15.0, gt=0)
    """Height above drainage at which the prior odds of water are halved (Twele et al. 2016: 15 m)."""
    hand_scale_m: float = Field(default=3.0, gt=0)
    """How fast the prior falls with height above drainage."""
    max_slope_deg: float = Field(default=15.0, gt=0)
    """Slope above which water does not stand (DSWx-S1, HydroSAR: 15)."""


class ThresholdOptions(Options):
    """Options of the detectors that are one threshold for the scene."""

    polarisations: tuple[str, ...] | None = None
    """Which are thresholded; below any one threshold is water. VH alone where None (else VV)."""
    filter_radius: int = Field(default=1, ge=0, le=3)
    """Radius of the boxcar on linear power, pixels."""
    min_pixels: int = Field(default=1, ge=1)
    """Smaller water bodies are dropped."""
    min_ashman_d: float = Field(default=2.0, ge=0)
    """A histogram whose classes are less apart has a single mode and is not thresholded."""


class FixedOptions(ThresholdOptions):
    """Options of ``fixed``."""

    cross_db: float = -22.0
    """Threshold of VH or HV, dB (mean of the events' thresholds of Bonafilia et al. 2020: -21.8)."""
    co_db: float = -16.0
    """Threshold of VV or HH, dB."""


class SplitBasedOptions(ThresholdOptions):
    """Options of ``split-based`` (Martinis et al. 2009, Twele et al. 2016)."""

    variation_quantile: float = Field(default=0.95, gt=0, lt=1)
    """Tiles vary more between their quarters than this share of all tiles."""
    max_disagreement_db: float = Field(default=5.0, gt=0)
    """Standard deviation of the tiles' thresholds beyond which smaller tiles are asked."""


class LogRatioOptions(ThresholdOptions):
    """Options of ``log-ratio``."""

    fall_db: float = Field(default=3.0, gt=0)
    """Least fall against the mean of the reference passes, dB (published: 2 to 5)."""


class ZScoreOptions(ThresholdOptions):
    """Options of ``z-score``."""

    deviations: float = Field(default=2.5, gt=0)
    """Least fall in standard deviations of the pixel's reference passes (published: 2.5 to 3)."""


class HarmonicOptions(Options):
    """Options of ``tuw-bayes`` (Bauer-Marschallinger et al. 2022)."""

    harmonics: int = Field(default=3, ge=0, le=3)
    """Harmonics of the year, as far as the history carries them."""
    min_passes: int = Field(default=2, ge=2)
    """A pixel seen less often has no expectation."""
    min_spread_db: float = Field(default=1.0, gt=0)
    """Least spread of land about its expectation: a short history shows too little of it."""
    incidence_deg: float = Field(default=39.0, gt=0, lt=90)
    """Incidence angle where the scene has none."""
    incidence_range_deg: tuple[float, float] = (27.0, 48.0)
    """Local incidence angles for which the water model holds."""
    max_uncertainty: float = Field(default=0.2, gt=0, le=0.5)
    """Water is only said where the posterior of the other class is below."""
    majority_radius: int = Field(default=2, ge=0, le=4)
    """Radius of the median over the posterior: 2 = 5 x 5."""
    min_pixels: int = Field(default=1, ge=1)
    """Smaller water bodies are dropped."""
    land_db: float = -10.5
    """Land where a pixel's own expectation is as dark as water, dB of sigma0 at 39 degrees."""
    land_spread_db: float = Field(default=2.6, gt=0)
    """Its spread, dB."""
    hand_prior: bool = False
    """Whether height above drainage is the prior (Tupas et al. 2023) instead of one half."""
    hand_middle_m: float = Field(default=15.0, gt=0)
    """Height at which the prior is one half."""
    hand_scale_m: float = Field(default=5.0, gt=0)
    """How fast the prior falls."""


class FuzzyOptions(SplitBasedOptions):
    """Options of ``dlr-fuzzy`` (Martinis et al. 2015, Twele et al. 2016)."""

    seed: float = Field(default=0.6, gt=0, lt=1)
    """Degree of membership from which a water body grows."""
    tolerance: float = Field(default=0.45, gt=0, lt=1)
    """Degree of membership to which it grows."""
    max_slope_deg: float = Field(default=15.0, gt=0)
    """Slope at which membership is zero."""
    size_px: tuple[float, float] = (2.5, 10.0)
    """Size of a body at which membership begins and is full: 250 and 1000 m2 in pixels of 10 m."""


class HydrosarOptions(FuzzyOptions):
    """Options of ``hydrosar``."""

    seed: float = Field(default=0.45, gt=0, lt=1)
    """Degree of membership of water: HydroSAR does not grow regions."""
    size_px: tuple[float, float] = (3.0, 10.0)
    """Size of a body at which membership begins and is full, pixels."""
    min_pixels: int = Field(default=3, ge=1)
    """Smaller water bodies are dropped."""


class HierarchicalOptions(Options):
    """Options of ``hierarchical`` (Chini et al. 2017)."""

    tiles: TileChoice = TileChoice()
    """How bimodal tiles are found."""
    polarisation: str | None = None
    """The co-polarised one where None."""
    filter_radius: int = Field(default=1, ge=0, le=3)
    """Radius of the boxcar on linear power, pixels."""
    min_pixels: int = Field(default=10, ge=1)
    """Smaller water bodies are dropped."""


class EnsembleOptions(Options):
    """Options of ``ensemble`` (the manner of the Global Flood Monitoring service)."""

    members: tuple[str, ...] = ("hierarchical", "dlr-fuzzy", "tuw-bayes")
    """Names of the detectors that vote."""
    parameters: dict[str, dict[str, JsonValue]] = {}
    """Options of each member under its name."""
