"""What a Sentinel-1 GRD annotation says, as typed frozen records.

Times are seconds since ``GrdAnnotation.epoch`` (UTC, the zero-Doppler time of the first image line). Image
coordinates are zero-based and point at sample centres: line 0, pixel 0 is the centre of the first sample.

References:
    Sentinel-1 Product Specification, S1-RS-MDA-52-7441, sections 6.3 (annotation, calibration, noise).
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Orbit:
    """State vectors in the Earth-fixed frame."""

    time_s: Floats
    """(n,) seconds since the epoch, rising."""
    position_m: Floats
    """(n, 3)."""
    velocity_m_s: Floats
    """(n, 3)."""
    source: str
    """``annotation`` or the name of a precise or restituted orbit file."""


@dataclass(frozen=True, kw_only=True)
class GroundRange:
    """Polynomials between slant range and ground range, one record about every second."""

    time_s: Floats
    """(k,) azimuth time of each record."""
    slant_origin_m: Floats
    """(k,) ``sr0``."""
    slant_to_ground: Floats
    """(k, m) coefficients: ground range = sum c_i (slant range - sr0)^i."""
    ground_origin_m: Floats
    """(k,) ``gr0``."""
    ground_to_slant: Floats
    """(k, m) coefficients: slant range = sum c_i (ground range - gr0)^i."""


@dataclass(frozen=True, kw_only=True)
class ImageGeometry:
    """Size and spacing of the image."""

    lines: int
    samples: int
    line_interval_s: float
    """Zero-Doppler time between two lines (``azimuthTimeInterval``)."""
    range_pixel_m: float
    """Ground range between two samples (``rangePixelSpacing``)."""
    azimuth_pixel_m: float
    near_slant_range_time_s: float
    """Two-way time of the first sample."""


@dataclass(frozen=True, kw_only=True)
class GeolocationGrid:
    """The annotation's own tie points; all arrays (n,)."""

    time_s: Floats
    slant_range_time_s: Floats
    line: Floats
    pixel: Floats
    latitude_deg: Floats
    longitude_deg: Floats
    height_m: Floats
    """Above the WGS 84 ellipsoid."""
    incidence_deg: Floats


@dataclass(frozen=True, kw_only=True)
class LutVector:
    """One row of a look-up table: values at some pixels of one line."""

    line: float
    pixel: Floats
    values: Floats


@dataclass(frozen=True, kw_only=True)
class CalibrationLut:
    """The three look-up tables: intensity = DN^2 / LUT^2."""

    sigma0: tuple[LutVector, ...]
    beta0: tuple[LutVector, ...]
    gamma0: tuple[LutVector, ...]
    digital_number: float
    """First value of the ``dn`` table; scales the noise of IPF before 2.5."""


@dataclass(frozen=True, kw_only=True)
class AzimuthNoise:
    """Noise factor along the lines of one block of one swath; both ends of the block are included."""

    swath: str
    first_line: int
    last_line: int
    first_pixel: int
    last_pixel: int
    line: Floats
    values: Floats


@dataclass(frozen=True, kw_only=True)
class NoiseLut:
    """Thermal noise power in units of DN^2: range vectors times azimuth factors."""

    range_vectors: tuple[LutVector, ...]
    azimuth_blocks: tuple[AzimuthNoise, ...]
    """Empty before IPF 2.90, which had no azimuth vectors: the factor is 1."""


@dataclass(frozen=True, kw_only=True)
class GrdAnnotation:
    """Everything the chain needs to know of one polarisation of one GRD product."""

    platform: str
    """``S1A`` ... ``S1D``."""
    mode: str
    """``IW``, ``EW`` or ``S1`` ... ``S6``."""
    polarisation: str
    """Lower case."""
    epoch: datetime
    """Zero-Doppler time of the first line, UTC; zero of every ``time_s``."""
    orbit_direction: str
    """``ascending`` or ``descending``."""
    absolute_orbit: int
    relative_orbit: int | None
    """As the manifest says it; None where there is no manifest."""
    ipf_version: tuple[int, int] | None
    """(2, 91) for IPF 002.91; None where neither manifest nor image says it."""
    noise_removed: bool
    """Whether the processor has subtracted thermal noise already."""
    image: ImageGeometry
    orbit: Orbit
    ground_range: GroundRange
    geolocation: GeolocationGrid
    calibration: CalibrationLut
    noise: NoiseLut | None
    """None where it was neither asked for nor needed."""
