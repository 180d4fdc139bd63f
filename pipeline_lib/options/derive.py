"""Options of deriving flood from water and of joining passes into an event."""

from typing import Literal

from pydantic import Field

from pipeline_lib.options.base import Options

MosaicRule = Literal["latest", "maximum", "count"]


class ReferenceOptions(Options):
    """When a pixel counts as reference water: permanent or seasonal, and so not flood."""

    permanent_occurrence_percent: float = Field(default=75.0, ge=1, le=100)
    """Long-term occurrence from which water is permanent, percent."""
    seasonal_occurrence_percent: float = Field(default=25.0, ge=1, le=100)
    """Long-term occurrence from which water is seasonal, percent; below it water is flood."""
    never_occurrence_percent: float = Field(default=1.0, ge=0, le=100)
    """Below this the long-term record says that there never was water, percent."""
    permanent_share: float = Field(default=0.8, gt=0, le=1)
    """Share of archive passes that are dark as water from which water is permanent."""
    seasonal_share: float = Field(default=0.5, gt=0, le=1)
    """Share of archive passes that are dark as water from which water is seasonal."""
    min_passes: int = Field(default=4, ge=1)
    """Archive passes needed to tell permanent from seasonal; with fewer, a majority dark means seasonal."""
    dark_vv_db: float = Field(default=-16.0, ge=-40, le=0)
    """Co-polarised gamma0 below which a smoothed archive pixel is dark as water, dB."""
    dark_vh_db: float = Field(default=-21.5, ge=-40, le=0)
    """Cross-polarised gamma0 below which a smoothed archive pixel is dark as water, dB."""
    smoothing_px: int = Field(default=5, ge=1, le=31)
    """Side of the box that averages power before a decibel is looked at, pixels, odd."""
    shore_px: int = Field(default=3, ge=0, le=50)
    """Dark archive pixels this near to long-term water are water, not dark land, pixels."""


class BrighteningOptions(Options):
    """When a brighter pixel is a flooded stand or a flooded street (double bounce)."""

    enabled: bool = True
    """Look for flooded vegetation and flooded towns at all."""
    min_rise_db: float = Field(default=1.7, gt=0, le=20)
    """Least rise of co-polarised gamma0 over the archive's mean, beyond that of the pass's dry land, dB."""
    min_deviations: float = Field(default=1.7, gt=0, le=20)
    """Least rise in standard deviations of the archive."""
    min_cross_gap_db: float = Field(default=1.5, gt=0, le=20)
    """Least by which cross-polarised gamma0 must rise less than co-polarised, dB."""
    town_min_rise_db: float = Field(default=1.2, gt=0, le=20)
    """As `min_rise_db`, on built-up ground, where rain is not taken off, dB."""
    town_min_deviations: float = Field(default=1.0, gt=0, le=20)
    """As `min_deviations`, on built-up ground."""
    town_min_cross_gap_db: float = Field(default=1.2, gt=0, le=20)
    """As `min_cross_gap_db`, on built-up ground, dB."""
    town_min_co_db: float = Field(default=-8.0, ge=-30, le=20)
    """Archive mean of co-polarised gamma0 from which ground may be built up, dB."""
    town_pattern_db: float = Field(default=9.5, ge=0, le=40)
    """Archive's co- over cross-polarised mean plus twice its spatial deviation, from which ground is built up, dB."""
    window_m: float = Field(default=70.0, ge=0, le=1000)
    """Side of the box over which rises are averaged, metres."""
    min_deviation_db: float = Field(default=0.8, gt=0, le=5)
    """Floor of the archive's standard deviation, dB."""
    reach_m: float = Field(default=300.0, ge=0, le=5000)
    """Open flood must lie within this distance, metres."""
    max_hand_m: float = Field(default=10.0, gt=0, le=100)
    """Highest place above drainage that may be flooded so, metres; ignored where unknown."""
    confidence_percent: tuple[int, int] = (55, 80)
    """Likelihood given at the least rise, and at twice the least rise and beyond."""


class DeriveOptions(Options):
    """Options of `pipeline_lib.flood.derive_flood`."""

    max_slope_deg: float = Field(default=12.0, gt=0, le=90)
    """Steeper land is excluded, degrees."""
    max_hand_m: float = Field(default=20.0, gt=0, le=500)
    """Land higher above the nearest drainage is excluded, metres."""
    min_incidence_deg: float = Field(default=20.0, ge=0, le=90)
    """Below this local incidence angle radar cannot tell water from land, degrees."""
    max_incidence_deg: float = Field(default=60.0, ge=0, le=90)
    """Above this local incidence angle radar cannot tell water from land, degrees."""
    forest_vh_db: float | None = Field(default=-13.0, ge=-30, le=0)
    """Archive mean of cross-polarised gamma0 from which a canopy hides the ground, dB; None: never excluded."""
    urban_vv_db: float | None = Field(default=-5.0, ge=-30, le=20)
    """Archive mean of co-polarised gamma0 from which buildings hide the ground, dB; None: never excluded."""
    min_mapping_unit_m2: float = Field(default=2000.0, ge=0, le=1_000_000)
    """Flooded objects smaller than this (8-connected) are dropped, square metres."""
    unknown_reference: Literal["exclude", "flood"] = "exclude"
    """Water where no reference is known: excluded from the flood extent, or taken as flood."""
    advisory_cell_m: float = Field(default=2560.0, gt=0)
    """Side of the cells in which advisory flags are decided, metres."""
    reference: ReferenceOptions = ReferenceOptions()
    brightening: BrighteningOptions = BrighteningOptions()
    mosaic_rule: MosaicRule = "maximum"
    """How the event's flood extent is made of its passes."""
