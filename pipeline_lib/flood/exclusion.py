"""Where the radar cannot tell, and why: bits of `pipeline_lib.model.Exclusion`."""

from dataclasses import dataclass

import numpy as np

from pipeline_lib.model import Exclusion
from pipeline_lib.options.derive import DeriveOptions


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything known of one window, arrays (y, x); None = not given, NaN = unknown there."""

    water: np.ndarray
    """uint8 0 dry, 1 water, 255 not observed."""
    likelihood: np.ndarray
    """float32 probability of water."""
    excluded: np.ndarray
    """uint16 bits of the detector."""
    reference: np.ndarray
    """uint8 0 none, 1 permanent, 2 seasonal, 255 unknown."""
    co_db: np.ndarray | None = None
    """Smoothed power of the pass, co-polarised, dB."""
    cross_db: np.ndarray | None = None
    incidence_deg: np.ndarray | None = None
    layover_shadow: np.ndarray | None = None
    doubt: np.ndarray | None = None
    """uint8 percent, the detector's own ``uncertainty``; 255 not observed."""
    slope_deg: np.ndarray | None = None
    hand_m: np.ndarray | None = None
    passes: np.ndarray | None = None
    dark_share: np.ndarray | None = None
    co_mean_db: np.ndarray | None = None
    co_std_db: np.ndarray | None = None
    cross_mean_db: np.ndarray | None = None


def exclusion_flags(evidence: Evidence, options: DeriveOptions) -> np.ndarray:
    """Reasons why a pixel's class is not to be believed, uint16 bits; 0 = none. Brightening is not yet considered.

    Terrain reasons do not hold on reference water: a digital elevation model is noisy there, and a lake on a plateau is
    a lake.
    """
    flags = evidence.excluded.astype(np.uint16)
    land = ~np.isin(evidence.reference, (1, 2))

    def mark(where: np.ndarray, reason: Exclusion) -> None:
        """Set a reason's bit."""
        flags[where] |= np.uint16(reason.value)

    if evidence.layover_shadow is not None:
        for reason in (Exclusion.SHADOW, Exclusion.LAYOVER):
            mark((evidence.layover_shadow & reason.value) > 0, reason)
    if evidence.slope_deg is not None:
        mark(land & (evidence.slope_deg > options.max_slope_deg), Exclusion.STEEP_SLOPE)
    if evidence.hand_m is not None:
        mark(land & (evidence.hand_m > options.max_hand_m), Exclusion.HIGH_ABOVE_DRAINAGE)
    if evidence.incidence_deg is not None:
        outside = evidence.incidence_deg < options.min_incidence_deg
        mark(outside | (evidence.incidence_deg > options.max_incidence_deg), Exclusion.NO_SENSITIVITY)
    _archive_reasons(evidence, options, land, mark)
    if options.unknown_reference == "exclude":
        mark((evidence.water == 1) & (evidence.reference == 255), Exclusion.NO_REFERENCE)
    flags[evidence.water == 255] = 0
    return flags


def _archive_reasons(evidence: Evidence, options: DeriveOptions, land: np.ndarray, mark: object) -> None:
    """Canopy, buildings and dark land, known from many passes only."""
    if evidence.passes is None:
        return
    assert callable(mark)  # noqa: S101 - narrows the type of the closure
    told = evidence.passes >= options.reference.min_passes
    if options.forest_vh_db is not None and evidence.cross_mean_db is not None:
        mark(told & land & (evidence.cross_mean_db >= options.forest_vh_db), Exclusion.DENSE_VEGETATION)
    if options.urban_vv_db is not None and evidence.co_mean_db is not None:
        mark(told & land & (evidence.co_mean_db >= options.urban_vv_db), Exclusion.URBAN)
    if evidence.dark_share is not None:
        dark = told & (evidence.reference == 0) & (evidence.dark_share >= options.reference.seasonal_share)
        mark(dark, Exclusion.LOW_BACKSCATTER)
