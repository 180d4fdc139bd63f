"""How scenes, terrain and optical composites are prepared."""

from typing import Literal

from pydantic import Field

from pipeline_lib.options.base import Options


class PrepareOptions(Options):
    """Options of the ``prepare`` step; the pixel size belongs to the plan's grid."""

    chunk: int = Field(default=2048, ge=128, le=8192)
    """Pixels along each side of a Dask chunk. No result depends on it; memory does."""
    resampling: Literal["nearest", "bilinear"] = "bilinear"
    """How backscatter is brought onto the grid; bilinear averages linear power."""
    speckle_filter: Literal["none", "lee", "refined_lee", "gamma_map"] = "none"
    """Applied to the scene after loading; detectors that filter on their own want ``none``."""
    speckle_window: int = Field(default=7, ge=3, le=31)
    """Pixels along each side of the filter's window; odd. The refined Lee filter always takes 7."""
    looks: float = Field(default=4.4, gt=0)
    """Equivalent number of looks of the product; 4.4 for IW GRDH and what is made from it."""
    drainage_area_km2: float = Field(default=1.0, gt=0)
    """Upstream area from which flow counts as a channel, for the height above nearest drainage."""
    max_shift_px: float = Field(default=8.0, gt=0)
    """Largest residual shift between passes that co-registration looks for, pixels."""
    min_correction_px: float = Field(default=0.5, ge=0)
    """Shifts up to this are reported and left; larger confident ones are corrected."""
    correct_against_optical: bool = False
    """Move passes by confident shifts against the Sentinel-2 composite, too; for archives whose geolocation is known
    to be wrong. Off: such shifts are reported alone, because trees and houses lean towards the radar."""
    cloud_margin_px: int = Field(default=10, ge=0, le=100)
    """Pixels by which optical clouds are grown; their shadows by a third of it."""
