"""Options of the simulated flood world: what may be chosen, and what a training run draws at random."""

import random
from datetime import datetime, timezone

from pydantic import Field, field_validator

from pipeline_lib.errors import InputError
from pipeline_lib.options.base import Options

MIN_SIZE = 128
MAX_SIZE = 8192
MAX_WIND_DB = 12.0


class RadarOptions(Options):
    """How the simulated Sentinel-1 sees; decibels are of sigma0 unless said otherwise."""

    looks: float = Field(default=4.4, ge=1.0, le=100.0)
    """Equivalent number of looks of the speckle; IW GRDH has 4.4."""
    correlation_px: float = Field(default=0.76, ge=0.0, le=3.0)
    """Standard deviation of the Gaussian kernel that correlates the speckle, pixels."""
    noise_floor_db: float = Field(default=-28.0, ge=-40.0, le=-15.0)
    """Noise-equivalent sigma0."""
    gain_db: float = Field(default=0.0, ge=-3.0, le=3.0)
    """Calibration error added to every pixel of both polarisations."""
    ascending_incidence_deg: float = Field(default=36.0, ge=29.0, le=46.0)
    """Ellipsoid incidence angle in the middle of the world on the ascending orbit."""
    descending_incidence_deg: float = Field(default=41.0, ge=29.0, le=46.0)
    """The same on the descending orbit."""
    wind_db: float = Field(default=5.0, ge=0.0, le=MAX_WIND_DB)
    """Mean VV brightening of open water on the windy pass; VH brightens by 0.4 of it."""
    flooded_vegetation_db: float = Field(default=4.0, ge=0.0, le=9.0)
    """Mean VV brightening of flooded vegetation by double bounce."""
    flooded_town_db: float = Field(default=4.0, ge=0.0, le=9.0)
    """Mean VV brightening of flooded town whose fronts face the radar."""
    class_offset_db: float = Field(default=0.0, ge=0.0, le=3.0)
    """Standard deviation of an error drawn once for each class and polarisation: domain randomisation."""
    dry_passes_per_orbit: int = Field(default=5, ge=1, le=5)
    """Acquisitions before the flood on each of the two relative orbits."""


class OpticalOptions(Options):
    """How the simulated Sentinel-2 sees."""

    cloud_cover: tuple[float, float, float, float] = (0.04, 0.25, 0.55, 0.18)
    """Share of the world under cloud on the two dates before and the two during the flood, 0 to 1."""
    turbidity: float = Field(default=1.0, ge=0.0, le=2.0)
    """Brightness of flood water's suspended sediment, 1 = muddy river."""

    @field_validator("cloud_cover")
    @classmethod
    def _shares(cls, value: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        if not all(0 <= share <= 1 for share in value):
            raise InputError(f"cloud_cover is {value}; expected four shares from 0 to 1.")
        return value


class WorldOptions(Options):
    """One simulated flood: same options, same pixels."""

    seed: int = Field(default=7, ge=0, le=2**31 - 1)
    """Seed of everything random."""
    size: int = Field(default=1152, ge=MIN_SIZE, le=MAX_SIZE)
    """Pixels along each side, of 10 m."""
    floodplain_share: float = Field(default=0.17, ge=0.08, le=0.3)
    """Half width of the floodplain as a share of the world's width."""
    relief_m: float = Field(default=260.0, ge=40.0, le=800.0)
    """Height of the hills above the valley floor."""
    peak_stage_m: float = Field(default=2.7, ge=0.5, le=8.0)
    """River stage at the flood's peak, metres above the bankfull level."""
    town_share: float = Field(default=0.05, ge=0.0, le=0.3)
    """Share of the land that is town."""
    forest_share: float = Field(default=0.22, ge=0.0, le=0.7)
    """Share of the land that is forest."""
    look_alike_share: float = Field(default=0.035, ge=0.0, le=0.2)
    """Share of the cropland that is smooth and dark, as water is, before and during the flood."""
    grd: bool = False
    """Also write every pass as a GRD product (SAFE), which takes four times as long as all the rest."""
    radar: RadarOptions = RadarOptions()
    optical: OpticalOptions = OpticalOptions()

    @property
    def flood_start(self) -> datetime:
        """When the river leaves its banks, UTC."""
        return datetime(2025, 10, 28, 12, tzinfo=timezone.utc)

    @property
    def flood_end(self) -> datetime:
        """End of the simulated event, UTC."""
        return datetime(2025, 11, 9, tzinfo=timezone.utc)

    @classmethod
    def randomised(cls, seed: int, *, size: int = 512) -> "WorldOptions":
        """Draw a world for training: another landscape, flood, sensor and sky for every seed.

        The ranges are those of research dossiers and of the Sentinel-1 mission: incidence 30 to 45 degrees, 3 to 10
        looks, gain within 1 dB, noise floor -31 to -24 dB, wind up to 10 dB, class means off by 0.8 dB (1 sigma).
        """
        draw = random.Random(seed)  # noqa: S311 - simulation, not cryptography
        return cls(
            seed=seed,
            size=size,
            floodplain_share=draw.uniform(0.11, 0.24),
            relief_m=draw.uniform(80.0, 420.0),
            peak_stage_m=draw.uniform(1.4, 4.2),
            town_share=draw.uniform(0.01, 0.12),
            forest_share=draw.uniform(0.08, 0.4),
            look_alike_share=draw.uniform(0.0, 0.08),
            radar=_random_radar(draw),
            optical=OpticalOptions(
                cloud_cover=(draw.uniform(0, 0.2), draw.uniform(0, 0.5), draw.uniform(0.2, 0.8), draw.uniform(0, 0.5)),
                turbidity=draw.uniform(0.4, 1.6),
            ),
        )


def _random_radar(draw: random.Random) -> RadarOptions:
    """The sensor's part of a randomised world."""
    return RadarOptions(
        looks=draw.uniform(3.0, 10.0),
        correlation_px=draw.uniform(0.5, 1.0),
        noise_floor_db=draw.uniform(-31.0, -24.0),
        gain_db=draw.uniform(-1.0, 1.0),
        ascending_incidence_deg=draw.uniform(30.0, 45.0),
        descending_incidence_deg=draw.uniform(30.0, 45.0),
        wind_db=draw.uniform(1.0, 10.0),
        flooded_vegetation_db=draw.uniform(2.0, 6.0),
        flooded_town_db=draw.uniform(1.5, 6.0),
        class_offset_db=0.8,
    )
