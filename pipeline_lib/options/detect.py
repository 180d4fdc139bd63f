"""Options of the water detectors: one frozen model each, every default with its source."""

from pydantic import Field, JsonValue

from pipeline_lib.options.base import Options


class DetectOptions(Options):
    """Which detector looks for water, and with which options of its own."""

    detector: str = "default"
    """Name in the registry; ``overbank detectors`` lists them."""
    parameters: dict[str, JsonValue] = {}
    """The detector's own options."""


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
    filter_radius: int = Field(default=1, ge=0, le=3)
    """Radius of the boxcar on linear power, pixels: 1 = 3 x 3."""
    context_radius: int = Field(default=1, ge=0, le=4)
    """Radius of the mean over the evidence of the neighbourhood, pixels."""
    evidence_weight: float = Field(default=0.75, gt=0, le=2)
    """Weight of each polarisation's log-likelihood ratio: below 1, because the two are correlated."""
    max_evidence: float = Field(default=6.0, gt=0)
    """Limit of each source's log-likelihood ratio, so that none can overrule all others."""
    seed: float = Field(default=0.81, gt=0, lt=1)
    """A water body holds a pixel at least this likely (OPERA DSWx-S1: 0.81)."""
    min_pixels: int = Field(default=10, ge=1)
    """Smaller bodies are dropped (HydroSAR 3 to 10 pixels of 30 m; 10 pixels of 10 m are 0.1 ha)."""
    flood_prior: float = Field(default=0.3, gt=0, lt=1)
    """Prior probability of water where the reference shows land."""
    min_history: int = Field(default=1, ge=1)
    """Reference passes from which the land is expected pixel by pixel; one is already a change image."""
    hand_middle_m: float = Field(default=15.0, gt=0)
    """Height above drainage at which the prior odds of water are halved (Twele et al. 2016: 15 m)."""
    hand_scale_m: float = Field(default=3.0, gt=0)
    """How fast the prior falls with height above drainage."""
    max_slope_deg: float = Field(default=15.0, gt=0)
    """Slope above which water does not stand (DSWx-S1, HydroSAR: 15)."""
