"""Options of calibrating and geocoding a Sentinel-1 GRD product."""

from typing import Literal

from pydantic import Field

from pipeline_lib.options.base import Options


class CalibrateOptions(Options):
    """How digital numbers in radar geometry become backscatter on a map grid."""

    backscatter: Literal["gamma0", "sigma0"] = "gamma0"
    """``gamma0`` is terrain-flattened (RTC) unless ``flatten`` is off; ``sigma0`` counts from the ellipsoid."""
    flatten: bool = True
    """Divide by the illuminated terrain area of each image cell (gamma0 only)."""
    polarisations: tuple[Literal["vv", "vh", "hh", "hv"], ...] | None = None
    """Polarisations to process; all that the product holds where empty."""
    remove_noise: bool = True
    """Subtract thermal noise, unless the processor did so already."""
    border: Literal["auto", "always", "never"] = "auto"
    """Mask border noise: ``auto`` does so for IPF before 2.90, which left it in."""
    vertical_datum: Literal["geoid", "ellipsoid"] = "geoid"
    """What the elevation model counts from; Copernicus DEM and SRTM count from the geoid."""
    geoid_file: str | None = None
    """Grid of geoid undulations in degrees (GeoTIFF, GTX); the shipped EGM96 where empty."""
    orbit_files: tuple[str, ...] = ()
    """Precise or restituted orbit files (``.EOF``), or folders of them; the best that covers the pass is used (precise
    before restituted, the newest of each kind), else the orbit of the annotation."""
    chunk: int = Field(default=2048, ge=64, le=8192)
    """Pixels along each side of an output tile."""
